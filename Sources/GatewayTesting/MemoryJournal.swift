package import Engine
package import Model
import Synchronization

/// A journal in memory that commits at once: the simplest thing that keeps the contract.
package final class MemoryJournal: Journal {
    private struct State {
        var entries: [JournalEntry] = []
        var first: Position = 1
        var layouts: [DeviceLayout] = []
        var pending: [String: [PositionInterval]] = [:]
        var listeners: [AsyncStream<Position>.Continuation] = []
    }

    package let epoch: UInt32 = 1
    private let state = Mutex(State())

    package init() {}

    package func register(_ layout: DeviceLayout) async throws(JournalError) -> LayoutID {
        state.withLock { state in
            if let known = state.layouts.firstIndex(of: layout) { return LayoutID(known) }
            state.layouts.append(layout)
            return LayoutID(state.layouts.count - 1)
        }
    }

    package func layout(_ id: LayoutID) async throws(JournalError) -> DeviceLayout {
        let layout = state.withLock { $0.layouts.indices.contains(Int(id)) ? $0.layouts[Int(id)] : nil }
        guard let layout else { throw .storage("no layout \(id)") }
        return layout
    }

    package func append(_ body: JournalEntry.Body) async {
        let (listeners, next) = state.withLock { state in
            let position = state.first + UInt64(state.entries.count)
            state.entries.append(JournalEntry(position: position, epoch: epoch, body: body))
            return (state.listeners, position + 1)
        }
        for listener in listeners { listener.yield(next) }
    }

    package func flush() async {}

    package func read(from position: Position, limit: Int) async throws(JournalError) -> [JournalEntry] {
        state.withLock { Array($0.entries.filter { $0.position >= position }.prefix(limit)) }
    }

    /// Forgets everything below `first`, as retention does.
    package func evict(below first: Position) {
        state.withLock { state in
            state.entries.removeAll { $0.position < first }
            state.first = first
        }
    }

    package var next: Position {
        get async { state.withLock { $0.first + UInt64($0.entries.count) } }
    }

    package func commits() async -> AsyncStream<Position> {
        let (stream, continuation) = AsyncStream.makeStream(of: Position.self, bufferingPolicy: .bufferingNewest(1))
        state.withLock { $0.listeners.append(continuation) }
        return stream
    }

    package func pending(for publisher: String) async throws(JournalError) -> [PositionInterval]? {
        state.withLock { $0.pending[publisher] }
    }

    package func save(_ pending: [PositionInterval], for publisher: String) async {
        state.withLock { $0.pending[publisher] = pending }
    }

    package var figures: JournalFigures {
        get async {
            state.withLock { state in
                JournalFigures(first: state.first, next: state.first + UInt64(state.entries.count), byteCount: 0)
            }
        }
    }

    /// Everything appended, in order.
    package var bodies: [JournalEntry.Body] { state.withLock { $0.entries.map(\.body) } }
}
