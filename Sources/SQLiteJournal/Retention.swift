import Engine
import Model
import Synchronization

/// When retention is due: what came since the last look must stay below what one look can evict, or the file would grow.
struct RetentionPace: Sendable {
    private static let commits = 20
    private static let rows = 10_000
    /// Share of `max_size`.
    private static let share: Int64 = 64

    private var commitCount = 0
    private var rowCount = 0
    private var byteCount: Int64 = 0

    /// Counts a commit.
    ///
    /// - Returns: whether retention is due now.
    mutating func committed(_ rows: [StoredRow], maxByteCount: Int64) -> Bool {
        commitCount += 1
        rowCount += rows.count
        byteCount += rows.reduce(0) { $0 + Int64($1.body.count) }
        guard commitCount >= Self.commits || rowCount >= Self.rows || byteCount >= maxByteCount / Self.share else {
            return false
        }
        self = RetentionPace()
        return true
    }
}

/// Space that eviction frees is used again by the next rows, so the file stays at its largest size: it is not given back by
/// auto-vacuum, which would move pages about (flash wear) only to need them again a moment later.
extension SQLiteJournal {
    /// Rows that one eviction looks at or deletes at most, so that it holds up no commit for long.
    private static let evictionStep = 20_000
    /// Eviction makes this share of `max_size` free, so that it does not come back at once.
    private static let headroom = 0.02

    /// Evicts what `max_size` and `max_age` no longer allow. On the committer's queue only.
    ///
    /// - Returns: the gap record that the eviction appended.
    func keepWithinLimits() throws -> [StoredRow] {
        let used = try database.usedByteCount()
        let onDisk = try database.byteCountOnDisk()
        let (first, next) = state.withLock { state in
            state.byteCount = onDisk
            return (state.first, state.next)
        }
        // The newest row always stays: it carries the position on.
        guard first + 1 < next else { return [] }
        var keepFrom = first
        if used > settings.maxByteCount {
            let excess = Double(used) - Double(settings.maxByteCount) * (1 - Self.headroom)
            let share = excess / Double(used)
            keepFrom = first + max(1, UInt64(Double(next - first) * share))
        }
        let oldest = clock.utc - settings.maxAge
        keepFrom = max(keepFrom, try database.firstPosition(recordedSince: oldest, limit: Self.evictionStep) ?? first)
        keepFrom = min(keepFrom, first + UInt64(Self.evictionStep), next - 1)
        return keepFrom > first ? try evict(below: keepFrom, from: first, next: next) : []
    }

    private func evict(below keepFrom: Position, from first: Position, next: Position) throws -> [StoredRow] {
        let owed = state.withLock { $0.publishers.values.flatMap { $0 } }.overlap(with: first...(keepFrom - 1))
        var gaps: [StoredRow] = []
        if let low = owed.first?.lowerBound, let high = owed.last?.upperBound {
            let count = owed.reduce(0) { $0 + $1.upperBound - $1.lowerBound + 1 }
            gaps = [try gapRow(for: low...high, count: count, position: next)]
        }
        try database.evict(below: keepFrom, gap: gaps.first)
        state.withLock { state in
            state.first = keepFrom
            state.recent.evict(below: keepFrom)
        }
        return gaps
    }

    private func gapRow(for positions: ClosedRange<Position>, count: UInt64, position: Position) throws -> StoredRow {
        let now = clock.utc
        let from = try database.recorded(at: positions.lowerBound) ?? now
        let to = try database.recorded(at: positions.upperBound) ?? now
        let record = GapRecord(
            positions: positions, from: min(from, to), to: max(from, to), reason: .bufferEvicted, count: count)
        return StoredRow(position: position, epoch: epoch, recorded: now, body: BatchCodec.encode(.gap(record)))
    }
}

extension [PositionInterval] {
    /// The positions of `range` that are in any of the intervals: ascending, disjoint.
    func overlap(with range: ClosedRange<Position>) -> [ClosedRange<Position>] {
        var result: [ClosedRange<Position>] = []
        for interval in sorted(by: { $0.low < $1.low }) where !interval.isEmpty {
            let low = Swift.max(interval.low, result.last.map { $0.upperBound + 1 } ?? range.lowerBound)
            let high = Swift.min(interval.high.map { $0 - 1 } ?? .max, range.upperBound)
            guard low <= high else { continue }
            if let last = result.last, last.upperBound + 1 == low {
                result[result.count - 1] = last.lowerBound...high
            } else {
                result.append(low...high)
            }
        }
        return result
    }

    /// What is left without the positions of `range`, which are gone.
    func removing(_ range: ClosedRange<Position>) -> [PositionInterval] {
        flatMap { interval in
            let before = PositionInterval(
                low: interval.low, high: Swift.min(interval.high ?? .max, range.lowerBound))
            let after = PositionInterval(low: Swift.max(interval.low, range.upperBound + 1), high: interval.high)
            return [before, after].filter { !$0.isEmpty }
        }
    }
}
