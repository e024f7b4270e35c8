import Engine
import GatewayTesting
import Model
import Synchronization

/// A bus that writes down what went over it and when, in virtual time. Each unit answers what its script says, as late as
/// that says; on a serial line the time on the wire comes on top, and after a time-out the line rests.
final class TranscriptBus: Bus {
    struct Answer {
        var after: Duration
        var result: Result<[UInt16], BusError>

        static func word(_ word: UInt16, of span: RegisterSpan, after: Duration) -> Answer {
            Answer(after: after, result: .success(Array(repeating: word, count: span.registerCount)))
        }

        static let silence = Answer(after: .seconds(3600), result: .failure(.noResponse))
    }

    /// What a unit answers at this time since the start.
    typealias Script = @Sendable (Duration, RegisterSpan) -> Answer

    private struct State {
        var scripts: [UInt8: Script] = [:]
        var registers: [UInt8: [UInt16: UInt16]] = [:]
        var lines: [(unit: UInt8, time: Duration, text: String)] = []
    }

    let executor: any SerialExecutor & TaskExecutor = QueueExecutor()
    private let clock: ManualClock
    private let start: Duration
    private let line: SerialLine?
    private let state = Mutex(State())

    init(clock: ManualClock, line: SerialLine? = nil) {
        self.clock = clock
        self.line = line
        start = clock.uptime
    }

    func script(_ unit: UInt8, _ script: @escaping Script) {
        state.withLock { $0.scripts[unit] = script }
    }

    /// The transcript of a time, and of some units where only those matter.
    func text(of units: Set<UInt8>? = nil, from: Duration = .zero, to end: Duration) -> String {
        state.withLock { state in
            state.lines.filter { units?.contains($0.unit) != false && (from..<end).contains($0.time) }
                .map { "\(Self.seconds($0.time))  \($0.text)\n" }.joined()
        }
    }

    func read(_ span: RegisterSpan, unit: UInt8, timeout: Duration) async throws(BusError) -> [UInt16] {
        try await timedRead(span, unit: unit, timeout: timeout).words
    }

    func timedRead(_ span: RegisterSpan, unit: UInt8, timeout: Duration) async throws(BusError) -> BusReply {
        let sent = clock.uptime
        note(unit, "→ unit \(unit)  \(Self.words(span))  waits \(timeout.milliseconds) ms")
        let answer = state.withLock { $0.scripts[unit] }?(sent - start, span) ?? .silence
        let wireTime = line?.duration(byteCount: 13 + 2 * span.registerCount) ?? .zero
        guard answer.after <= timeout else {
            try? await clock.sleep(until: sent + wireTime + timeout)
            let late = answer.after < .seconds(3600) ? "; its reply takes \(answer.after.milliseconds) ms" : ""
            note(unit, "✗ unit \(unit)  time-out\(late)")
            if line != nil { try? await clock.sleep(until: clock.uptime + .milliseconds(20)) }
            throw .noResponse
        }
        try? await clock.sleep(until: sent + wireTime + answer.after)
        switch answer.result {
        case .success(let words): note(unit, "← unit \(unit)  \(words.count) words")
        case .failure(let error): note(unit, "← unit \(unit)  \(error)")
        }
        return BusReply(words: try answer.result.get(), duration: answer.after)
    }

    func write(
        _ write: RegisterWrite, unit: UInt8, timeout: Duration, session: UInt64?
    ) async throws(WriteFailure) {
        let sent = clock.uptime
        note(unit, "→ unit \(unit)  write \(write)  waits \(timeout.milliseconds) ms")
        try? await clock.sleep(until: sent + (line?.duration(byteCount: 16) ?? .zero) + .milliseconds(10))
        note(unit, "← unit \(unit)  acknowledged")
    }

    /// The devices of a transcript are never asked who they are.
    func identification(of unit: UInt8, timeout: Duration) async throws(BusError) -> [UInt8: String] {
        throw .refused(0x01)
    }

    var session: UInt64 { 1 }

    func close() async {}

    private func note(_ unit: UInt8, _ text: String) {
        state.withLock { $0.lines.append((unit, clock.uptime - start, text)) }
    }

    private static func words(_ span: RegisterSpan) -> String {
        "FC0\(span.table.readFunction) \(span.table.rawValue) \(span.start)..<\(span.end)"
    }

    /// `  12.034`
    private static func seconds(_ duration: Duration) -> String {
        let milliseconds = "\(duration.milliseconds % 1000 + 1000)".dropFirst()
        let text = "\(duration.milliseconds / 1000).\(milliseconds)"
        return String(repeating: " ", count: max(0, 8 - text.count)) + text
    }
}
