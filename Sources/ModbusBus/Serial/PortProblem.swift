import Glibc

/// Why a serial port cannot be used, told with what to do about it.
enum PortProblem: Error, Hashable {
    /// - Parameter others: ports that are there, stable names first.
    case missing(others: [String])
    /// - Parameters:
    ///   - group: the port belongs to; nil where it has no name.
    case notAllowed(user: String, group: String?)
    /// The user may, and the service manager keeps this kind of device from the service.
    case notForServices
    /// - Parameter holders: who has it open, as far as that can be seen.
    case busy(holders: [PortHolder])
    case notSerial
    case cannotBeSet([String])
    case noRS485
    case rs485Refused
    case tooManyFiles(descriptor: Int32)
    /// It was open and failed: an adapter that was unplugged, mostly.
    case failed(code: Int32)
    case other(code: Int32)

    func message(_ path: String) -> String {
        switch self {
        case .missing(let others):
            let list = others.isEmpty ? "no serial port is there" : "there are: \(others.joined(separator: ", "))"
            return "cannot open \(path): no such device; is the adapter plugged in? \(list)"
        case .notAllowed(let user, let group):
            guard let group else { return "cannot open \(path): permission denied for the user \(user)" }
            return "cannot open \(path): permission denied; it belongs to the group \(group) and the user \(user) is "
                + "not in it: sudo usermod -aG \(group) \(user), then log in or start the service again"
        case .notForServices:
            return
                "cannot open \(path): not permitted; a service opens what its DeviceAllow names, of drivers that were "
                + "loaded when it started: restart it, or add the device: sudo systemctl edit headgate"
        case .busy(let holders):
            let who = holders.isEmpty ? "another program" : holders.map(\.text).joined(separator: ", ")
            return "cannot open \(path): in use by \(who); a line has one master"
        case .notSerial: return "cannot open \(path): it is no serial port"
        case .cannotBeSet(let differences):
            return "cannot open \(path): \(differences.joined(separator: "; "))"
        case .noRS485:
            return
                "cannot open \(path): its driver has no RS-485 mode; leave rs485 out (or rs485: off) where the adapter "
                + "switches the direction by itself, as most USB adapters do"
        case .rs485Refused:
            return "cannot open \(path): its driver took the RS-485 settings and left the mode off"
        case .tooManyFiles(let descriptor): return "\(path): too many open files (descriptor \(descriptor))"
        case .failed(let code) where [EIO, ENODEV, ENXIO, ECONNRESET, EBADF].contains(code):
            return "\(path) is gone: was the adapter unplugged? It is opened again as soon as it is back"
        case .failed(let code): return "\(path): \(String(cString: strerror(code)))"
        case .other(let code): return "cannot open \(path): \(String(cString: strerror(code)))"
        }
    }
}

/// A program that has a port open.
struct PortHolder: Hashable {
    var process: Int32
    /// Nil where it cannot be seen.
    var program: String?

    var text: String { program.map { "\($0) (process \(process))" } ?? "process \(process)" }

    /// Processes that hold a lock on a file, from the text of /proc/locks, as `FLOCK ADVISORY WRITE 17602 00:1a:3 0 EOF`:
    /// device numbers in hexadecimal, then the inode.
    static func processes(locking inode: UInt64, major: UInt32, minor: UInt32, in locks: String) -> [Int32] {
        locks.split(separator: "\n").compactMap { line in
            let words = line.split(separator: " ")
            guard let kind = words.firstIndex(where: { $0 == "FLOCK" || $0 == "POSIX" || $0 == "OFDLCK" }),
                words.count > kind + 4, words[kind - 1] != "->"
            else { return nil }
            let place = words[kind + 4].split(separator: ":")
            guard place.count == 3, UInt32(place[0], radix: 16) == major, UInt32(place[1], radix: 16) == minor,
                UInt64(place[2]) == inode
            else { return nil }
            return Int32(words[kind + 3])
        }
    }
}
