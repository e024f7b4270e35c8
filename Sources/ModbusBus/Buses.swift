package import Engine
package import Model
package import NIOCore

/// Makes the bus of a connection.
package enum Buses {
    /// - Parameter loop: carries the TCP channels of this bus.
    package static func make(_ connection: Connection, loop: any EventLoop, clock: any Timekeeper) -> any Bus {
        switch connection.channel {
        case .tcp(let endpoint):
            StreamBus(connection, endpoint: endpoint, framing: .tcp, loop: loop, clock: clock)
        case .rtuOverTCP(let endpoint):
            StreamBus(connection, endpoint: endpoint, framing: .rtu, loop: loop, clock: clock)
        case .serial(let line): SerialBus(connection, line: line, clock: clock)
        }
    }
}
