import Engine
package import Model
import Synchronization

/// Time that passes only when a test says so. Whoever sleeps is woken in the order of the deadlines, one after the other,
/// each at exactly its moment.
package final class ManualClock: Timekeeper {
    private struct Sleeper {
        var id: UInt64
        var deadline: Duration
        var continuation: CheckedContinuation<Void, any Error>
    }

    private struct State {
        var uptime: Duration
        /// UTC at uptime zero.
        var epoch: UnixTime
        var nextID: UInt64 = 0
        var sleepers: [Sleeper] = []
        var cancelled: Set<UInt64> = []
        var watchers: [(count: Int, continuation: CheckedContinuation<Void, Never>)] = []

        mutating func takeSatisfiedWatchers() -> [CheckedContinuation<Void, Never>] {
            let satisfied = watchers.filter { $0.count <= sleepers.count }
            watchers.removeAll { $0.count <= sleepers.count }
            return satisfied.map(\.continuation)
        }
    }

    private let state: Mutex<State>

    /// - Parameters:
    ///   - uptime: the monotonic time at which the clock stands.
    ///   - utc: UTC at uptime zero.
    package init(uptime: Duration = .seconds(100), utc: UnixTime = UnixTime(milliseconds: 1_795_218_000_000)) {
        state = Mutex(State(uptime: uptime, epoch: utc))
    }

    package var uptime: Duration { state.withLock { $0.uptime } }
    package var utc: UnixTime { state.withLock { $0.epoch + $0.uptime } }

    /// Somebody sets the wall clock; uptime goes on as if nothing had happened.
    package func stepUTC(by duration: Duration) {
        state.withLock { $0.epoch = $0.epoch + duration }
    }

    package func sleep(until deadline: Duration) async throws {
        let id = state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation {
                register(Sleeper(id: id, deadline: deadline, continuation: $0))
            }
        } onCancel: {
            cancel(id)
        }
    }

    /// Lets `duration` pass. Before each step it waits until `sleepers` tasks sleep, so that whoever was woken has done its
    /// work and sleeps again.
    package func advance(by duration: Duration, sleepers: Int = 1) async {
        await advance(to: uptime + duration, sleepers: sleepers)
    }

    /// Lets time pass until ``uptime`` is `target`, see ``advance(by:sleepers:)``.
    package func advance(to target: Duration, sleepers: Int = 1) async {
        while true {
            await waitForSleepers(sleepers)
            guard let sleeper = takeNext(until: target) else { break }
            sleeper.continuation.resume()
        }
        state.withLock { $0.uptime = max($0.uptime, target) }
    }

    /// Returns once at least `count` tasks sleep.
    package func waitForSleepers(_ count: Int) async {
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            let isSatisfied = state.withLock { state in
                if state.sleepers.count >= count { return true }
                state.watchers.append((count, continuation))
                return false
            }
            if isSatisfied { continuation.resume() }
        }
    }

    private func takeNext(until target: Duration) -> Sleeper? {
        state.withLock { state in
            let due = state.sleepers.indices.filter { state.sleepers[$0].deadline <= target }
            let first = due.min {
                (state.sleepers[$0].deadline, state.sleepers[$0].id)
                    < (state.sleepers[$1].deadline, state.sleepers[$1].id)
            }
            guard let first else { return nil }
            state.uptime = max(state.uptime, state.sleepers[first].deadline)
            return state.sleepers.remove(at: first)
        }
    }

    private func register(_ sleeper: Sleeper) {
        enum Answer { case sleeps([CheckedContinuation<Void, Never>]), isDue, isCancelled }
        let answer: Answer = state.withLock { state in
            if state.cancelled.remove(sleeper.id) != nil { return .isCancelled }
            if sleeper.deadline <= state.uptime { return .isDue }
            state.sleepers.append(sleeper)
            return .sleeps(state.takeSatisfiedWatchers())
        }
        switch answer {
        case .sleeps(let watchers): for watcher in watchers { watcher.resume() }
        case .isDue: sleeper.continuation.resume()
        case .isCancelled: sleeper.continuation.resume(throwing: CancellationError())
        }
    }

    private func cancel(_ id: UInt64) {
        let sleeper: Sleeper? = state.withLock { state in
            guard let index = state.sleepers.firstIndex(where: { $0.id == id }) else {
                state.cancelled.insert(id)
                return nil
            }
            return state.sleepers.remove(at: index)
        }
        sleeper?.continuation.resume(throwing: CancellationError())
    }
}
