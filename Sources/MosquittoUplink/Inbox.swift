import Synchronization

/// Where callbacks leave what happened and one reader picks it up. Callbacks only copy and wake: they hold no lock of the
/// library's callers, and no caller holds this lock while in the library.
final class Inbox<Element: Sendable>: Sendable {
    private struct State {
        var elements: [Element] = []
        var reader: CheckedContinuation<[Element]?, Never>?
        var isClosed = false
    }

    private let state = Mutex(State())

    func post(_ element: Element) {
        let (reader, elements) = state.withLock { state -> (CheckedContinuation<[Element]?, Never>?, [Element]) in
            state.elements.append(element)
            guard let reader = state.reader else { return (nil, []) }
            defer { (state.reader, state.elements) = (nil, []) }
            return (reader, state.elements)
        }
        reader?.resume(returning: elements)
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
    func take() async -> [Element]? {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let ready = state.withLock { state -> [Element]?? in
                    if !state.elements.isEmpty {
                        defer { state.elements = [] }
                        return .some(state.elements)
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
