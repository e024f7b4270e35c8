import Engine
import Synchronization

/// Where callbacks leave what happened and one reader picks it up. Callbacks only copy and wake: they hold no lock of the
/// library's callers, and no caller holds this lock while in the library.
final class UplinkInbox: Sendable {
    private struct State {
        var events: [UplinkEvent] = []
        var reader: CheckedContinuation<[UplinkEvent]?, Never>?
        var isClosed = false
    }

    private let state = Mutex(State())

    func post(_ event: UplinkEvent) {
        let (reader, events) = state.withLock { state -> (CheckedContinuation<[UplinkEvent]?, Never>?, [UplinkEvent]) in
            state.events.append(event)
            guard let reader = state.reader else { return (nil, []) }
            defer { (state.reader, state.events) = (nil, []) }
            return (reader, state.events)
        }
        reader?.resume(returning: events)
    }

    /// No more events will come; what is there can still be taken.
    func close() {
        let reader = state.withLock { state in
            defer { state.reader = nil }
            state.isClosed = true
            return state.reader
        }
        reader?.resume(returning: nil)
    }

    /// Everything since the last call, waiting for the first; nil when closed and empty, or the task is cancelled.
    func take() async -> [UplinkEvent]? {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let ready = state.withLock { state -> [UplinkEvent]?? in
                    if !state.events.isEmpty {
                        defer { state.events = [] }
                        return .some(state.events)
                    }
                    if state.isClosed || Task.isCancelled { return .some(nil) }
                    state.reader = continuation
                    return nil
                }
                if let ready { continuation.resume(returning: ready) }
            }
        } onCancel: {
            let reader = state.withLock { state in
                defer { state.reader = nil }
                return state.reader
            }
            reader?.resume(returning: nil)
        }
    }
}
