import Foundation
import Model

/// What tells a file from a copy of itself, written into the file: its inode, and when it was last changed. Copying a
/// file back gives it another inode or another time of change, which cannot be set. A snapshot of the whole file system has
/// both, and is not found this way.
struct FileStamp: Hashable, Sendable {
    var inode: UInt64
    /// Microseconds since 1970 by the kernel's clock.
    var changed: Int64
    /// Begins the name of the machine's boot under which it was written.
    var boot: String

    static let none = FileStamp(inode: 0, changed: 0, boot: "-")
    static let wordCount = 3
    private static let bootLength = 8

    var words: String { "\(inode) \(changed) \(boot)" }

    init(inode: UInt64, changed: Int64, boot: String) {
        self.inode = inode
        self.changed = changed
        self.boot = boot
    }

    init?(_ words: ArraySlice<Substring>) {
        let words = Array(words)
        guard words.count == Self.wordCount, let inode = UInt64(words[0], in: 0...UInt64.max),
            let changed = Int64(words[1], in: 0...Int64.max / 2)
        else { return nil }
        self.init(inode: inode, changed: changed, boot: String(words[2]))
    }

    /// Of a file as it is now.
    init?(of descriptor: Int32, boot: String, keepsInode: Bool) {
        var attributes = stat()
        guard fstat(descriptor, &attributes) == 0 else { return nil }
        let time = attributes.st_ctim
        inode = keepsInode ? UInt64(attributes.st_ino) : 0
        changed = Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000
        self.boot = String(boot.prefix(Self.bootLength))
    }

    /// False for file systems that number their files anew at each mount.
    static func keepsInodes(_ descriptor: Int32) -> Bool {
        var attributes = stat()
        guard fstat(descriptor, &attributes) == 0 else { return false }
        let device = UInt64(attributes.st_dev)
        let major = (device >> 8) & 0xFFF | (device >> 32) & 0xFFFF_F000
        let minor = device & 0xFF | (device >> 12) & 0xFFFF_FF00
        let mounts = (try? String(contentsOfFile: "/proc/self/mountinfo", encoding: .utf8)) ?? ""
        let mount = mounts.split(separator: "\n").map { $0.split(separator: " ") }
            .last { $0.count > 4 && $0[2] == "\(major):\(minor)" }
        guard let mount, let dash = mount.firstIndex(of: "-"), dash + 1 < mount.count else { return true }
        return !["vfat", "msdos", "exfat", "9p"].contains(mount[dash + 1]) && !mount[dash + 1].hasPrefix("fuse")
    }

    var time: UnixTime { UnixTime(microseconds: changed) }

    /// Time between the writing of a stamp and the end of that change.
    private static let tolerance: Int64 = 1_000_000
    /// After a power cut the file's times may be older than its content.
    private static let toleranceAfterBoot: Int64 = 120_000_000

    /// Whether the file that holds this stamp, and has the times of `file` now, is the one that it was written into.
    func isOriginal(_ file: FileStamp) -> Bool {
        guard self != .none else { return true }
        let tolerance = boot == file.boot ? Self.tolerance : Self.toleranceAfterBoot
        return inode == file.inode && abs(changed.subtractingReportingOverflow(file.changed).partialValue) <= tolerance
    }
}

/// When this process began to use a state folder, by the kernel's clock.
enum ProcessStart {
    static let second = time(nil)
}
