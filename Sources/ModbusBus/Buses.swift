package import Engine
package import Model
package import NIOCore

/// Makes the bus of a connection.
package enum Buses {
    /// - Parameter loop: carries the TCP channels of this bus.
    package static func make(
        _ connection: Connection, loop: any EventLoop, clock: any Timekeeper, telling: BusTelling = BusTelling()
    ) -> any Bus {
        makeInterviewing(connection, loop: loop, clock: clock, telling: telling)
    }

    /// A clock whose sleepers are woken by `loop`: a poller on that loop wakes up without a change of thread.
    package static func clock(_ clock: any Timekeeper, on loop: any EventLoop) -> any Timekeeper {
        LoopClock(clock, loop: loop)
    }

    /// The same bus, for who wants to ask devices who they are.
    package static func makeInterviewing(
        _ connection: Connection, loop: any EventLoop, clock: any Timekeeper, telling: BusTelling = BusTelling()
    ) -> any InterviewingBus {
        switch connection.channel {
        case .tcp(let endpoint):
            StreamBus(connection, endpoint: endpoint, framing: .tcp, loop: loop, clock: clock, telling: telling)
        case .rtuOverTCP(let endpoint):
            StreamBus(connection, endpoint: endpoint, framing: .rtu, loop: loop, clock: clock, telling: telling)
        case .serial(let line): SerialBus(connection, line: line, clock: clock, telling: telling)
        }
    }
}
