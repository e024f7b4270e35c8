import Dispatch
package import Engine
package import Model
import Synchronization

/// A serial executor on a dispatch queue of its own.
package final class QueueExecutor: SerialExecutor, TaskExecutor {
    private let queue = DispatchQueue(label: "headgate.testing.bus")

    package init() {}

    package func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        queue.async {
            job.runSynchronously(isolatedTo: self.asUnownedSerialExecutor(), taskExecutor: self.asUnownedTaskExecutor())
        }
    }
}

/// A bus whose units answer what the test wrote down, in virtual time, and that keeps the list of all requests.
package final class ScriptedBus: Bus {
    /// A request and the virtual moment at which it was sent.
    package struct Request: Hashable, Sendable {
        package var time: Duration
        package var unit: UInt8
        package var span: RegisterSpan
        package var timeout: Duration
    }

    /// A write and the virtual moment at which it was sent.
    package struct Write: Hashable, Sendable {
        package var time: Duration
        package var unit: UInt8
        package var write: RegisterWrite
    }

    /// Anything that went over the wire.
    package enum Traffic: Hashable, Sendable {
        case read(Request)
        case write(Write)

        package var unit: UInt8 {
            switch self {
            case .read(let request): request.unit
            case .write(let write): write.unit
            }
        }
    }

    /// What a unit does about a write; nil when it does as told.
    package typealias WriteScript = @Sendable (RegisterWrite) -> WriteFailure?

    /// What a unit answers to a span.
    package typealias Script = @Sendable (RegisterSpan) -> Result<[UInt16], BusError>

    private struct State {
        var scripts: [UInt8: Script] = [:]
        var writeScripts: [UInt8: WriteScript] = [:]
        var traffic: [Traffic] = []
        var closings = 0
        var session: UInt64 = 1
        var names: [UInt8: Result<[UInt8: String], BusError>] = [:]
        var introductions: [UInt8] = []
        var remarks: [UInt8: String] = [:]
    }

    package let executor: any SerialExecutor & TaskExecutor = QueueExecutor()
    private let clock: ManualClock
    private let replyTime: Duration
    private let state = Mutex(State())

    /// - Parameter replyTime: what every answer takes; a missing one takes the whole time-out.
    package init(clock: ManualClock, replyTime: Duration = .milliseconds(10)) {
        self.clock = clock
        self.replyTime = replyTime
    }

    /// Reads and writes in the order in which they were sent.
    package var traffic: [Traffic] { state.withLock { $0.traffic } }

    package var requests: [Request] {
        traffic.compactMap { if case .read(let request) = $0 { request } else { nil } }
    }

    package var writes: [Write] {
        traffic.compactMap { if case .write(let write) = $0 { write } else { nil } }
    }

    package var closings: Int { state.withLock { $0.closings } }

    package func forgetRequests() {
        state.withLock { $0.traffic = [] }
    }

    /// From now on `unit` answers what `script` says; a unit without a script does not answer.
    package func script(_ unit: UInt8, _ script: @escaping Script) {
        state.withLock { $0.scripts[unit] = script }
    }

    /// From now on `unit` treats writes as `script` says; without one it acknowledges them.
    package func scriptWrites(_ unit: UInt8, _ script: @escaping WriteScript) {
        state.withLock { $0.writeScripts[unit] = script }
    }

    /// How often the channel was opened, by the will of the test.
    package var session: UInt64 { state.withLock { $0.session } }

    /// The connection is lost and opened again before the next request.
    package func reopen() {
        state.withLock { $0.session += 1 }
    }

    /// From now on `unit` says who it is; one without a name refuses that function code.
    package func name(_ unit: UInt8, _ answer: Result<[UInt8: String], BusError>) {
        state.withLock { $0.names[unit] = answer }
    }

    /// The units that were asked who they are.
    package var introductions: [UInt8] { state.withLock { $0.introductions } }

    /// From now on every register of `unit` holds `word`.
    package func answer(_ unit: UInt8, with word: UInt16) {
        script(unit) { .success(Array(repeating: word, count: $0.registerCount)) }
    }

    /// From now on `unit` fails in this way.
    package func fail(_ unit: UInt8, _ error: BusError) {
        script(unit) { _ in .failure(error) }
    }

    /// From now on the channel shows this instead of an answer of `unit`.
    package func remark(_ unit: UInt8, _ words: String) {
        state.withLock { $0.remarks[unit] = words }
    }

    package func remark(on unit: UInt8) async -> String? {
        state.withLock { $0.remarks[unit] }
    }

    package func read(_ span: RegisterSpan, unit: UInt8, timeout: Duration) async throws(BusError) -> [UInt16] {
        let sent = clock.uptime
        let script = state.withLock { state in
            state.traffic.append(.read(Request(time: sent, unit: unit, span: span, timeout: timeout)))
            return state.scripts[unit]
        }
        let result = script?(span) ?? .failure(.noResponse)
        try? await clock.sleep(until: sent + (result == .failure(.noResponse) ? timeout : replyTime))
        return try result.get()
    }

    package func write(
        _ write: RegisterWrite, unit: UInt8, timeout: Duration, session: UInt64?
    ) async throws(WriteFailure) {
        let sent = clock.uptime
        guard session == nil || session == self.session else { throw .openedAnew }
        let script = state.withLock { state in
            state.traffic.append(.write(Write(time: sent, unit: unit, write: write)))
            return state.writeScripts[unit]
        }
        let failure = script?(write)
        if case .notSent = failure {
        } else {
            var replyTime = replyTime
            if case .indeterminate = failure { replyTime = timeout }
            try? await clock.sleep(until: sent + replyTime)
        }
        if let failure { throw failure }
    }

    package func identification(of unit: UInt8, timeout: Duration) async throws(BusError) -> [UInt8: String] {
        let sent = clock.uptime
        let result = state.withLock { state in
            state.introductions.append(unit)
            return state.names[unit] ?? .failure(.refused(0x01))
        }
        try? await clock.sleep(until: sent + (result == .failure(.noResponse) ? timeout : replyTime))
        return try result.get()
    }

    package func close() async {
        state.withLock { $0.closings += 1 }
    }
}
