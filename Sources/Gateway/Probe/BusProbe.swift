import Engine
package import ModbusBus
package import Model
import NIOCore
import NIOPosix

/// Reads registers of one unit.
package struct BusProbe: Sendable {
    /// Why nothing was read, in words.
    package struct Failure: Error, Hashable, Sendable, CustomStringConvertible {
        package var description: String
    }

    private let connection: Connection
    private let telling: BusTelling

    package init(_ connection: Connection, telling: BusTelling? = nil) {
        self.connection = connection
        self.telling = telling ?? BusTelling()
    }

    /// - Returns: one word a register or bit.
    package func read(_ span: RegisterSpan, unit: UInt8) async throws -> [UInt16] {
        let loops = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let bus = Buses.make(connection, loop: loops.next(), clock: SystemClock(), telling: telling)
        let result: Result<[UInt16], BusError>
        do throws(BusError) {
            result = .success(try await bus.read(span, unit: unit, timeout: connection.timeout))
        } catch {
            result = .failure(error)
        }
        await bus.close()
        try await loops.shutdownGracefully()
        return try result.mapError { Failure(description: Self.words($0, span, unit)) }.get()
    }

    static func words(_ error: BusError, _ span: RegisterSpan, _ unit: UInt8) -> String {
        switch error {
        case .linkDown(let reason), .invalidRequest(let reason): reason
        case .noResponse: "unit \(unit) does not answer"
        case .garbled(let reason): "the answer of unit \(unit) is damaged: \(reason)"
        case .mismatch(let reason): "the answer of unit \(unit) does not fit the request: \(reason)"
        case .refused(2): "unit \(unit) refuses \(span) (exception 02, an address it does not have): try fewer"
        case .refused(let code): "unit \(unit) refuses \(span) (exception \(code))"
        }
    }
}
