import Synchronization

/// A worker that sleeps until it is called, without a clock. One waits; calls while it works are remembered once.
final class Substitute: Sendable {
    private struct State {
        var isCalled = false
        var isOver = false
        var waiting: CheckedContinuation<Bool, Never>?
    }

    private let state = Mutex(State())

    /// Waits for the next call; false once it is over.
    func isNeeded() async -> Bool {
        await withCheckedContinuation { continuation in
            let ready = state.withLock { state -> Bool? in
                if state.isOver { return false }
                if state.isCalled {
                    state.isCalled = false
                    return true
                }
                state.waiting = continuation
                return nil
            }
            if let ready { continuation.resume(returning: ready) }
        }
    }

    func call() {
        let waiting = state.withLock { state in
            defer { state.waiting = nil }
            state.isCalled = state.waiting == nil
            return state.waiting
        }
        waiting?.resume(returning: true)
    }

    func end() {
        let waiting = state.withLock { state in
            defer { state.waiting = nil }
            state.isOver = true
            return state.waiting
        }
        waiting?.resume(returning: false)
    }
}
