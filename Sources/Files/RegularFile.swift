import Glibc

/// The content of a file that the configuration names: keys, passwords, certificates, YAML. A path can name anything, so
/// it is a regular file or refused, its size is bounded, and opening it waits for nothing: a FIFO without a writer would
/// otherwise hold up whatever asks for it, and opening a device can set it off.
package struct RegularFile: Sendable {
    /// Why a file is not read. Its description does not name the path.
    package enum Problem: Error, Hashable, Sendable, CustomStringConvertible {
        /// What the path names instead.
        case notRegular(String)
        case tooLarge(limit: Int)
        /// Another program writes it just now.
        case changing
        /// What the system answers, as an `errno`.
        case refused(Int32)

        package var description: String {
            switch self {
            case .notRegular(let kind): "is \(kind); a regular file is needed"
            case .tooLarge(let limit): "is larger than \(limit) bytes"
            case .changing: "changes while it is read; write it under another name and rename it"
            case .refused(let code): String(cString: strerror(code))
            }
        }
    }

    /// MQTT counts the bytes of a password in 16 bits; a line end follows it.
    package static let passwordLimit = 65_536
    /// The authorities of a whole system are about 250 kB.
    package static let certificateLimit = 1 << 20
    private static let attempts = 3
    private static let chunk = 16_384

    package let bytes: [UInt8]
    /// Permissions of the file that was read, whatever the path names by now.
    package let mode: UInt32

    /// Reads the file behind `path`; symbolic links are followed, as `/etc/ssl` and systemd credentials need.
    ///
    /// - Parameter limit: a file of more bytes is refused, and never read whole.
    package init(_ path: String, limit: Int) throws(Problem) {
        for _ in 0..<Self.attempts {
            guard let file = try Self.whole(path, limit) else { continue }
            self = file
            return
        }
        throw .changing
    }

    private init(bytes: [UInt8], mode: UInt32) {
        self.bytes = bytes
        self.mode = mode
    }

    /// The content as text in UTF-8 without NUL; nil where it is something else.
    package var text: String? {
        bytes.contains(0) ? nil : String(validating: bytes, as: UTF8.self)
    }

    /// Nil where the file changed meanwhile.
    private static func whole(_ path: String, _ limit: Int) throws(Problem) -> RegularFile? {
        var named = stat()
        guard stat(path, &named) == 0 else { throw .refused(errno) }
        // Before it is opened: opening a watchdog or a tape is an order to it.
        try check(named)
        let descriptor = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .refused(errno) }
        defer { close(descriptor) }
        let before = try status(descriptor)
        try check(before)
        guard Int(before.st_size) <= limit else { throw .tooLarge(limit: limit) }
        let bytes = try content(descriptor, limit)
        let after = try status(descriptor)
        guard before.st_size == after.st_size, before.st_mtim.tv_sec == after.st_mtim.tv_sec,
            before.st_mtim.tv_nsec == after.st_mtim.tv_nsec
        else { return nil }
        return RegularFile(bytes: bytes, mode: UInt32(before.st_mode) & 0o7777)
    }

    private static func content(_ descriptor: Int32, _ limit: Int) throws(Problem) -> [UInt8] {
        var bytes: [UInt8] = []
        var part = [UInt8](repeating: 0, count: chunk)
        while true {
            let count = Glibc.read(descriptor, &part, chunk)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw .refused(errno) }
            guard count > 0 else { return bytes }
            bytes += part[..<count]
            guard bytes.count <= limit else { throw .tooLarge(limit: limit) }
        }
    }

    private static func status(_ descriptor: Int32) throws(Problem) -> stat {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw .refused(errno) }
        return status
    }

    private static func check(_ status: stat) throws(Problem) {
        switch status.st_mode & S_IFMT {
        case S_IFREG: return
        case S_IFDIR: throw .notRegular("a folder")
        case S_IFIFO: throw .notRegular("a FIFO")
        case S_IFSOCK: throw .notRegular("a socket")
        default: throw .notRegular("a device")
        }
    }
}
