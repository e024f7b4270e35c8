import Dispatch
package import Engine
package import Model
import Synchronization

/// A bus whose units answer as a test says; it remembers who was asked when. A time-out takes its virtual time.
package final class ScriptedBus: Bus {
    package struct Request: Hashable, Sendable {
        package var unit: UInt8
        package var span: RegisterSpan
        package var time: Duration
    }

    package let executor: any SerialExecutor = QueueExecutor()
    private let clock: ManualClock
    private let answer: @Sendable (UInt8, RegisterSpan) -> Result<[UInt16], BusError>
    private let log = Mutex<[Request]>([])

    package init(
        clock: ManualClock, answer: @escaping @Sendable (UInt8, RegisterSpan) -> Result<[UInt16], BusError>
    ) {
        self.clock = clock
        self.answer = answer
    }

    package var requests: [Request] { log.withLock { $0 } }

    package func read(_ span: RegisterSpan, unit: UInt8, timeout: Duration) async throws(BusError) -> [UInt16] {
        log.withLock { $0.append(Request(unit: unit, span: span, time: clock.uptime)) }
        let result = answer(unit, span)
        if case .failure(.noResponse) = result { try? await clock.sleep(until: clock.uptime + timeout) }
        return try result.get()
    }

    package func close() async {}
}

/// A serial executor on a dispatch queue.
private final class QueueExecutor: SerialExecutor {
    private let queue = DispatchQueue(label: "scripted bus")

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        queue.async { job.runSynchronously(on: self.asUnownedSerialExecutor()) }
    }
}
