import CTerminal
import Glibc
import Model

/// What the other side of a pseudo-terminal is set to, so that a simulated line is as deaf as a real one at the wrong baud
/// rate or parity.
///
/// Linux keeps a speed for a pseudo-terminal and carries the bytes whatever it is. It clears PARENB, for there are no
/// parity bits, but not INPCK (parity is checked on input) nor PARODD: whoever opens a port with parity sets these too.
struct LineSettings: Hashable {
    var speed: speed_t
    var parity: SerialFormat.Parity

    init(_ settings: termios) {
        var settings = settings
        speed = cfgetospeed(&settings)
        let checksParity = settings.c_iflag & tcflag_t(INPCK) != 0 || settings.c_cflag & tcflag_t(PARENB) != 0
        parity = !checksParity ? .none : settings.c_cflag & tcflag_t(PARODD) != 0 ? .odd : .even
    }

    /// Of the slave; the settings of a master are those of its slave.
    init?(master descriptor: Int32) {
        var settings = termios()
        guard tcgetattr(descriptor, &settings) == 0 else { return nil }
        self.init(settings)
    }

    /// Whether a unit on `line` understands what is sent with these settings. A receiver looks at one stop bit only.
    func isHeard(on line: SerialLine) -> Bool {
        speed == hg_speed(line.baud) && parity == line.format.parity
    }
}
