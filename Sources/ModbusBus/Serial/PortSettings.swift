import CTerminal
import Glibc
import Model

/// What a port is really set to, and how that differs from what was asked for: drivers take the nearest they can do, and
/// say nothing.
struct PortSettings: Hashable {
    var speed: speed_t
    var dataBits: Int
    var parity: SerialFormat.Parity
    var stopBits: Int

    init(_ settings: termios) {
        var settings = settings
        speed = cfgetospeed(&settings)
        func has(_ flag: Int32) -> Bool { settings.c_cflag & tcflag_t(flag) != 0 }
        dataBits = settings.c_cflag & tcflag_t(CSIZE) == tcflag_t(CS8) ? 8 : 7
        parity = !has(PARENB) ? .none : has(PARODD) ? .odd : .even
        stopBits = has(CSTOPB) ? 2 : 1
    }

    /// - Parameter hasWire: false for a pseudo-terminal, which has neither parity nor seven bits and says so.
    /// - Returns: a sentence part for each difference.
    func differences(from line: SerialLine, hasWire: Bool) -> [String] {
        var found: [String] = []
        if hg_speed(line.baud) == speed_t(B0) || speed != hg_speed(line.baud) {
            found.append("the driver cannot do \(line.baud) baud (it is set to \(Self.baud(of: speed)))")
        }
        if stopBits != line.format.stopBits {
            found.append("the driver set \(stopBits) stop bits instead of \(line.format.stopBits)")
        }
        guard hasWire else { return found }
        if dataBits != line.format.dataBits {
            found.append("the driver set \(dataBits) data bits instead of \(line.format.dataBits)")
        }
        if parity != line.format.parity {
            found.append("the driver set \(parity.words) parity instead of \(line.format.parity.words)")
        }
        return found
    }

    private static func baud(of speed: speed_t) -> String {
        let known = SerialLine.bauds + [300, 600, 230_400, 460_800, 500_000, 576_000, 921_600, 1_000_000]
        return known.first { hg_speed($0) == speed }.map(String.init) ?? "another rate"
    }
}

extension SerialFormat.Parity {
    fileprivate var words: String {
        switch self {
        case .none: "no"
        case .even: "even"
        case .odd: "odd"
        }
    }
}
