import CTerminal
import Foundation

/// A pair of connected terminals: the simulator holds the master side, the gateway opens the slave path like any serial
/// port. Nothing to install, nothing left behind.
package struct PseudoTerminal: Sendable {
    package let master: Int32
    /// Kept open, so that the master survives a gateway that closes and opens the line again.
    private let slave: Int32
    package let slavePath: String

    package init() throws {
        var descriptors: (master: Int32, slave: Int32) = (-1, -1)
        var settings = termios()
        cfmakeraw(&settings)
        var name = [CChar](repeating: 0, count: 128)
        guard openpty(&descriptors.master, &descriptors.slave, &name, &settings, nil) == 0 else {
            throw SimulatorError("cannot make a pseudo-terminal: \(String(cString: strerror(errno)))")
        }
        (master, slave) = descriptors
        slavePath = String(decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    /// Closes the slave side; the master belongs to the server that was given it.
    package func close() {
        _ = Foundation.close(slave)
    }
}
