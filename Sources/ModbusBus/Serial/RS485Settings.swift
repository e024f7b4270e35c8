import CTerminal
import Model

/// The kernel's settings of an RS-485 port (linux/serial.h, Documentation/driver-api/serial/serial-rs485.rst), asked for
/// and read back: a driver clears what it cannot do.
struct RS485Settings: Hashable {
    var flags: UInt32
    /// Milliseconds.
    var delayBeforeSend: UInt32
    var delayAfterSend: UInt32

    private static let names: [(bit: UInt32, name: String)] = [
        (1 << 0, "the RS-485 mode"), (1 << 1, "rts_on_send"), (1 << 2, "rts_after_send"), (1 << 4, "receive_own"),
        (1 << 5, "termination"),
    ]

    init(_ mode: RS485Mode) {
        let wanted = [true, mode.rtsOnSend, mode.rtsAfterSend, mode.receivesOwn, mode.isTerminated]
        flags = zip(Self.names, wanted).reduce(0) { $0 | ($1.1 ? $1.0.bit : 0) }
        delayBeforeSend = UInt32(mode.delayBeforeSend.microseconds / 1000)
        delayAfterSend = UInt32(mode.delayAfterSend.microseconds / 1000)
    }

    init(_ kernel: serial_rs485) {
        flags = kernel.flags
        delayBeforeSend = kernel.delay_rts_before_send
        delayAfterSend = kernel.delay_rts_after_send
    }

    var kernel: serial_rs485 {
        var settings = serial_rs485()
        settings.flags = flags
        settings.delay_rts_before_send = delayBeforeSend
        settings.delay_rts_after_send = delayAfterSend
        return settings
    }

    /// Whether the driver drives the transceiver at all.
    var isEnabled: Bool { flags & 1 != 0 }

    /// A sentence part for each setting that the driver made into another.
    func differences(from asked: RS485Settings) -> [String] {
        var found = Self.names.compactMap { bit, name -> String? in
            guard flags & bit != asked.flags & bit else { return nil }
            return "\(name) is \(flags & bit != 0 ? "on" : "off") instead of \(asked.flags & bit != 0 ? "on" : "off")"
        }
        if delayBeforeSend != asked.delayBeforeSend {
            found.append("delay_before_send is \(delayBeforeSend) ms instead of \(asked.delayBeforeSend) ms")
        }
        if delayAfterSend != asked.delayAfterSend {
            found.append("delay_after_send is \(delayAfterSend) ms instead of \(asked.delayAfterSend) ms")
        }
        return found
    }
}
