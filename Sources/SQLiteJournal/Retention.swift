import Engine
import Model
import Synchronization

extension SQLiteJournal {
    /// Rows that one eviction looks at or deletes at most, so that it holds up no commit for long.
    private static let evictionStep = 20_000
    /// Eviction makes this share of `max_size` free, so that it does not come back at once.
    private static let headroom = 0.02

    /// Evicts what `max_size` and `max_age` no longer allow.
    func keepWithinLimits() throws {
        let used = try database.usedByteCount()
        let (first, next) = state.withLock { state in
            state.usedByteCount = used
            return (state.first, state.next)
        }
        guard first < next else { return }
        var keepFrom = first
        if used > settings.maxByteCount {
            let excess = Double(used) - Double(settings.maxByteCount) * (1 - Self.headroom)
            let share = excess / Double(used)
            keepFrom = first + max(1, UInt64(Double(next - first) * share))
        }
        let oldest = clock.utc - settings.maxAge
        if let young = try database.firstPosition(recordedSince: oldest, limit: Self.evictionStep) {
            keepFrom = max(keepFrom, young)
        }
        keepFrom = min(keepFrom, first + UInt64(Self.evictionStep), next)
        if keepFrom > first { try evict(below: keepFrom, from: first, next: next) }
    }

    private func evict(below keepFrom: Position, from first: Position, next: Position) throws {
        let owed = state.withLock { $0.publishers.values.flatMap { $0 } }
        let lost = owed.filter { $0.low < keepFrom && !$0.isEmpty }
        var gap: StoredRow?
        if let low = lost.map({ max($0.low, first) }).min(), low < keepFrom {
            let high = lost.map { min(($0.high ?? keepFrom), keepFrom) }.max() ?? keepFrom
            if low < high { gap = try gapRow(for: low...(high - 1), position: next) }
        }
        try database.evict(below: keepFrom, gap: gap)
        state.withLock { $0.first = keepFrom }
        if let gap { committed([gap], readings: 0) }
    }

    private func gapRow(for positions: ClosedRange<Position>, position: Position) throws -> StoredRow {
        let now = clock.utc
        let record = GapRecord(
            positions: positions, from: try database.recorded(at: positions.lowerBound) ?? now,
            to: try database.recorded(at: positions.upperBound) ?? now, reason: .bufferEvicted,
            count: UInt64(positions.count))
        return StoredRow(position: position, epoch: epoch, recorded: now, body: BatchCodec.encode(.gap(record)))
    }
}
