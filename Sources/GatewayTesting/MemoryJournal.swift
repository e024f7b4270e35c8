package import Engine
package import Model
import Synchronization

/// A journal that lives as long as the test: every row is committed as soon as it is appended.
package final class MemoryJournal: Journal {
    private struct State {
        var first: Position = 1
        var rows: [JournalEntry] = []
        var layouts: [DeviceLayout] = []
        var pending: [String: [PositionInterval]] = [:]
        var readings: UInt64 = 0
        var listeners: [AsyncStream<Position>.Continuation] = []

        var next: Position { first + Position(rows.count) }
    }

    package let epoch: UInt32
    private let state = Mutex(State())

    package init(epoch: UInt32 = 1) {
        self.epoch = epoch
    }

    /// Everything that is stored.
    package var entries: [JournalEntry] { state.withLock { $0.rows } }

    package func register(_ layout: DeviceLayout) async throws(JournalError) -> LayoutID {
        state.withLock { state in
            if let known = state.layouts.firstIndex(of: layout) { return LayoutID(known + 1) }
            state.layouts.append(layout)
            return LayoutID(state.layouts.count)
        }
    }

    package func layout(_ id: LayoutID) async throws(JournalError) -> DeviceLayout {
        let layout = state.withLock { $0.layouts.indices.contains(Int(id) - 1) ? $0.layouts[Int(id) - 1] : nil }
        guard let layout else { throw .unusable("no layout has the number \(id)") }
        return layout
    }

    package func append(_ body: JournalEntry.Body) async {
        let (next, listeners) = state.withLock { state in
            state.rows.append(JournalEntry(position: state.next, epoch: epoch, body: body))
            if case .readings(let batch) = body { state.readings += UInt64(batch.count) }
            return (state.next, state.listeners)
        }
        for listener in listeners { listener.yield(next) }
    }

    /// Removes everything below `first`, as a full journal does, and tells it by a gap record.
    package func evict(below first: Position, at now: UnixTime) async {
        let lost: ClosedRange<Position>? = state.withLock { state in
            let count = Int(min(first, state.next) - min(first, state.first))
            guard count > 0 else { return nil }
            defer { state.first += Position(count) }
            state.rows.removeFirst(count)
            return state.first...(state.first + Position(count) - 1)
        }
        guard let lost else { return }
        let gap = GapRecord(positions: lost, from: now, to: now, reason: .bufferEvicted, count: UInt64(lost.count))
        await append(.gap(gap))
    }

    package func flush() async {}

    package func read(from position: Position, limit: Int) async throws(JournalError) -> JournalSlice {
        state.withLock { state in
            let entries = Array(state.rows.drop { $0.position < position }.prefix(max(0, limit)))
            return JournalSlice(entries: entries, end: entries.last.map { $0.position + 1 } ?? position)
        }
    }

    package var next: Position { get async { state.withLock { $0.next } } }

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

    package func serve(_ publishers: Set<String>) async {}

    package var figures: JournalFigures {
        get async {
            state.withLock { state in
                var figures = JournalFigures(first: state.first, next: state.next, byteCount: 0)
                figures.readings = state.readings
                figures.commits = UInt64(state.rows.count)
                return figures
            }
        }
    }
}
