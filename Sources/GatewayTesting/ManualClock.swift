import Engine
package import Model
import Synchronization

/// Virtual time: it moves only when a test says so, and sleepers wake in the order of their deadlines.
package final class ManualClock: Timekeeper {
    private struct Sleeper {
        var deadline: Duration
        var order: Int
        var continuation: CheckedContinuation<Void, any Error>
    }

    private struct State {
        var now = Duration.zero
        var sleepers: [Int: Sleeper] = [:]
        var next = 0
        var expected = 0
    }

    private let state = Mutex(State())
    private let start: UnixTime

    package init(start: UnixTime = UnixTime(milliseconds: 1_795_000_000_000)) {
        self.start = start
    }

    package var uptime: Duration { state.withLock { $0.now } }
    package var utc: UnixTime { start + uptime }

    package func sleep(until deadline: Duration) async throws {
        let id = state.withLock { state in
            state.next += 1
            return state.next
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let isDue = state.withLock { state in
                    if state.now >= deadline || Task.isCancelled { return true }
                    state.sleepers[id] = Sleeper(deadline: deadline, order: id, continuation: continuation)
                    return false
                }
                if isDue { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.sleepers.removeValue(forKey: id) }?.continuation.resume(throwing: CancellationError())
        }
        try Task.checkCancellation()
    }

    /// Moves time forward, stopping at each sleeper's deadline and letting everything run that it wakes.
    package func advance(by duration: Duration) async {
        let end = uptime + duration
        await settle()
        while let due = wakeNext(until: end) {
            due.resume()
            await settle()
        }
        state.withLock { $0.now = end }
        await settle()
    }

    private func wakeNext(until end: Duration) -> CheckedContinuation<Void, any Error>? {
        state.withLock { state in
            let due = state.sleepers.min { ($0.value.deadline, $0.value.order) < ($1.value.deadline, $1.value.order) }
            guard let due, due.value.deadline <= end else { return nil }
            state.now = max(state.now, due.value.deadline)
            return state.sleepers.removeValue(forKey: due.key)?.continuation
        }
    }

    /// Waits until everything under test sleeps again.
    private func settle() async {
        let limit = ContinuousClock.now + .seconds(5)
        while state.withLock({ $0.sleepers.count < $0.expected }), ContinuousClock.now < limit { await Task.yield() }
        for _ in 0..<20 { await Task.yield() }
    }

    /// How many tasks sleep when nothing is left to do at a moment.
    package func expectSleepers(_ count: Int) {
        state.withLock { $0.expected = count }
    }
}
