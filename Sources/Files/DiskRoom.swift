import Glibc

/// Bytes of a file system, as this user may use it.
package struct DiskRoom: Hashable, Sendable {
    package var free: UInt64
    package var total: UInt64

    package init(free: UInt64, total: UInt64) {
        self.free = free
        self.total = total
    }

    /// The file system of a file or folder. Nil where the system does not say.
    package init?(of path: String) {
        var system = statvfs()
        guard statvfs(path, &system) == 0 else { return nil }
        let block = UInt64(system.f_frsize)
        self.init(free: UInt64(system.f_bavail) * block, total: UInt64(system.f_blocks) * block)
    }

    /// Below this the ledger and the journal have little room left: a twentieth, at least 64 MiB and at most 1 GiB, but never
    /// more than a quarter of a small file system.
    package var least: UInt64 { min(total / 4, min(1 << 30, max(64 << 20, total / 20))) }
}
