import CTerminal
import Foundation
import Model

/// Holds a serial port for one program, before anything about it is changed: whoever else looks at it may be polling.
///
/// An advisory lock keeps out programs that lock too, TIOCEXCL keeps out all but root's.
final class PortLock {
    let descriptor: Int32
    private let path: String

    init(_ path: String) throws(PortProblem) {
        self.path = path
        let opened = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC)
        guard opened >= 0 else { throw Self.problem(opening: path, errno) }
        guard isatty(opened) == 1 else {
            Glibc.close(opened)
            throw .notSerial
        }
        guard flock(opened, LOCK_EX | LOCK_NB) == 0 else {
            let code = errno
            Glibc.close(opened)
            throw code == EWOULDBLOCK ? .busy(holders: Self.holders(of: path)) : .other(code: code)
        }
        descriptor = opened
    }

    /// Keeps others from opening it from now on; our own descriptors are open.
    func exclude() {
        _ = ioctl(descriptor, UInt(TIOCEXCL))
    }

    /// A pseudo-terminal cannot keep a parity, and setting one is an error where nothing else changes: that is so when whoever
    /// had it before was killed.
    func forgetSpeed() {
        var settings = termios()
        guard tcgetattr(descriptor, &settings) == 0 else { return }
        cfsetspeed(&settings, speed_t(B50))
        _ = tcsetattr(descriptor, TCSANOW, &settings)
    }

    func close() {
        // A pseudo-terminal outlives its last user, and would stay closed to all others.
        _ = ioctl(descriptor, UInt(TIOCNXCL))
        Glibc.close(descriptor)
    }

    /// A pseudo-terminal: it has no wire, no parity and no driver that counts.
    var isPseudoTerminal: Bool {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { return false }
        return (136...143).contains(Self.major(status.st_rdev))
    }

    static func problem(opening path: String, _ code: Int32) -> PortProblem {
        switch code {
        case ENOENT, ENODEV, ENXIO: .missing(others: others())
        case EACCES: .notAllowed(user: user(geteuid()), group: group(of: path))
        case EPERM: .notForServices
        case EBUSY: .busy(holders: holders(of: path))
        case ENOTTY: .notSerial
        default: .other(code: code)
        }
    }

    // MARK: - Looking around

    /// Ports that are there: stable names, and the numbers of adapters that have none.
    private static func others() -> [String] {
        let files = FileManager.default
        let folder = "/dev/serial/by-id"
        let stable = ((try? files.contentsOfDirectory(atPath: folder)) ?? []).sorted().map { folder + "/" + $0 }
        let named = Set(stable.map { URL(fileURLWithPath: $0).resolvingSymlinksInPath().path })
        let adapters = ((try? files.contentsOfDirectory(atPath: "/sys/class/tty")) ?? []).filter {
            $0.hasPrefix("ttyUSB") || $0.hasPrefix("ttyACM") || $0.hasPrefix("ttyAMA")
        }
        return stable + adapters.sorted().map { "/dev/" + $0 }.filter { !named.contains($0) }
    }

    private static func holders(of path: String) -> [PortHolder] {
        var status = stat()
        guard stat(path, &status) == 0, let locks = try? String(contentsOfFile: "/proc/locks", encoding: .utf8) else {
            return []
        }
        let locking = PortHolder.processes(
            locking: UInt64(status.st_ino), major: major(status.st_dev), minor: minor(status.st_dev), in: locks)
        let processes = locking.isEmpty ? openers(of: status.st_rdev) : locking
        return processes.map { PortHolder(process: $0, program: program(of: $0)) }
    }

    /// Processes that have the device open, as far as this user may see.
    private static func openers(of device: dev_t) -> [Int32] {
        let files = FileManager.default
        let processes = ((try? files.contentsOfDirectory(atPath: "/proc")) ?? []).compactMap {
            Int32($0, in: 1...Int32.max)
        }
        return processes.filter { process in
            let folder = "/proc/\(process)/fd"
            guard process != getpid(), let names = try? files.contentsOfDirectory(atPath: folder) else { return false }
            return names.contains { name in
                var status = stat()
                return stat(folder + "/" + name, &status) == 0 && status.st_mode & S_IFMT == S_IFCHR
                    && status.st_rdev == device
            }
        }
    }

    private static func program(of process: Int32) -> String? {
        (try? String(contentsOfFile: "/proc/\(process)/comm", encoding: .utf8))?
            .trimmingCharacters(in: .whitespacesAndNewlines)
    }

    private static func user(_ id: uid_t) -> String {
        getpwuid(id).map { String(cString: $0.pointee.pw_name) } ?? "\(id)"
    }

    private static func group(of path: String) -> String? {
        var status = stat()
        guard stat(path, &status) == 0, let group = getgrgid(status.st_gid) else { return nil }
        return String(cString: group.pointee.gr_name)
    }

    /// Linux' numbers of a device in 64 bits (sys/sysmacros.h).
    private static func major(_ device: dev_t) -> UInt32 {
        UInt32(truncatingIfNeeded: device >> 8 & 0xFFF | device >> 32 & 0xFFFF_F000)
    }

    private static func minor(_ device: dev_t) -> UInt32 {
        UInt32(truncatingIfNeeded: device & 0xFF | device >> 12 & 0xFFFF_FF00)
    }
}
