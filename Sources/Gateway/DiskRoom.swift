import Foundation

/// Room on a file system, as this user may use it.
struct DiskRoom: Hashable, Sendable {
    var free: UInt64
    var total: UInt64

    /// Nil where the system does not say.
    static func of(_ folder: String) -> DiskRoom? {
        var system = statvfs()
        guard statvfs(folder, &system) == 0, system.f_blocks > 0 else { return nil }
        let block = UInt64(system.f_frsize)
        return DiskRoom(free: UInt64(system.f_bavail) * block, total: UInt64(system.f_blocks) * block)
    }

    /// Below this the ledger and the journal have little room left: a twentieth, at least 64 MiB and at most 1 GiB, but never
    /// more than a quarter of a small file system.
    var least: UInt64 { min(total / 4, min(1 << 30, max(64 << 20, total / 20))) }
}

/// Decides when little room is news: once, until there is a quarter more than the least again. A pure value.
struct DiskRoomWatch: Sendable {
    enum News: Hashable, Sendable {
        case low, enough
    }

    static let interval = Duration.seconds(60)

    private var isLow = false
    private var next = Duration.zero

    /// Whether it is time to look again.
    mutating func isDue(at uptime: Duration) -> Bool {
        guard uptime >= next else { return false }
        next = uptime + Self.interval
        return true
    }

    mutating func take(_ room: DiskRoom) -> News? {
        if !isLow, room.free < room.least {
            isLow = true
            return .low
        }
        if isLow, room.free >= room.least + room.least / 4 {
            isLow = false
            return .enough
        }
        return nil
    }
}
