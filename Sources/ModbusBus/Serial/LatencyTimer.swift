import CTerminal
import Foundation

/// The time for which a USB adapter gathers bytes before it hands them on: 16 ms by default on common ones, which is most
/// of the time of a short request. As far as driver and rights go it is set to one; nothing depends on it.
enum LatencyTimer {
    /// The driver's own switch for it (ASYNC_LOW_LATENCY, linux/tty_flags.h).
    private static let lowLatency: Int32 = 1 << 13

    /// - Returns: what was achieved where there is an adapter of this kind, for the log.
    static func lower(_ descriptor: Int32, _ path: String) -> [BusNote] {
        let device = URL(fileURLWithPath: path).resolvingSymlinksInPath().lastPathComponent
        let file = "/sys/class/tty/\(device)/device/latency_timer"
        let before = milliseconds(in: file)
        setFlag(descriptor)
        if before != nil, milliseconds(in: file) != 1 {
            try? "1".write(toFile: file, atomically: false, encoding: .utf8)
        }
        return note(before: before, after: milliseconds(in: file), file: file).map { [$0] } ?? []
    }

    /// - Parameters:
    ///   - before, after: milliseconds, nil where the driver has no such timer.
    static func note(before: Int?, after: Int?, file: String) -> BusNote? {
        guard let before, let after else { return nil }
        guard after > 1 else { return BusNote(.debug, "latency timer \(after) ms (was \(before) ms)") }
        return BusNote(
            .notice,
            "the adapter holds answers back for up to \(after) ms; polls are faster after: echo 1 | sudo tee \(file)")
    }

    private static func milliseconds(in file: String) -> Int? {
        (try? String(contentsOfFile: file, encoding: .utf8)).flatMap {
            Int($0.trimmingCharacters(in: .whitespacesAndNewlines))
        }
    }

    private static func setFlag(_ descriptor: Int32) {
        var serial = serial_struct()
        guard ioctl(descriptor, UInt(TIOCGSERIAL), &serial) == 0, serial.flags & lowLatency == 0 else { return }
        serial.flags |= lowLatency
        _ = ioctl(descriptor, UInt(TIOCSSERIAL), &serial)
    }
}
