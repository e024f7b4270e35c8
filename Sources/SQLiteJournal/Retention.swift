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

/// What `max_age` makes of a row.
enum RowAge: Hashable, Sendable {
    case young
    /// Too old; once one is overdue, all that are old go.
    case old(isOverdue: Bool)
    /// Its time is that of a clock that was not set.
    case unknown
}

/// Space that eviction frees is used again by the next rows, so the file stays at its largest size: giving it back would move
/// pages about (flash wear) only to need them again a moment later. It is given back only where `max_size` became smaller.
extension SQLiteJournal {
    /// Rows that one eviction looks at or deletes at most, so that it holds up no commit for long.
    private static let evictionStep = 20_000
    /// Eviction makes this share of `max_size` free, and waits until rows are older than `max_age` by this share of it, so
    /// that it does not come back at once: what is lost in a long outage is told by few gap records.
    private static let headroom = 0.02
    /// Pages that one look gives back to the file system at most.
    private static let shrinkStep: Int64 = 512

    /// Evicts what `max_size` and `max_age` no longer allow. On the committer's queue only.
    ///
    /// - Returns: the gap record that the eviction appended.
    func keepWithinLimits() throws -> [StoredRow] {
        let used = try database.usedByteCount()
        let onDisk = database.byteCountOnDisk()
        let (first, next, isHolding) = state.withLock { state in
            state.byteCount = onDisk
            state.usedByteCount = used
            return (state.first, state.next, !state.held.isEmpty)
        }
        guard !isHolding else { return [] }
        defer { shrink() }
        // The newest row always stays: it carries the position on.
        guard first + 1 < next else { return [] }
        let limit = min(settings.rowByteLimit, database.byteCountThatFits())
        var keepFrom = first
        if used > limit {
            let excess = Double(used) - Double(limit) * (1 - Self.headroom)
            let share = excess / Double(used)
            keepFrom = first + max(1, UInt64(clamping: Double(next - first) * share))
        }
        keepFrom = max(keepFrom, try firstYoungPosition() ?? first)
        keepFrom = min(keepFrom, first + UInt64(Self.evictionStep), next - 1)
        return keepFrom > first ? try evict(below: keepFrom, from: first, next: next) : []
    }

    /// Gives back free pages of a file that is larger than `max_size` allows, some at a time. One that an older version made
    /// cannot.
    private func shrink() {
        guard StoreFile.byteCount(database.path) > settings.rowByteLimit else { return }
        try? database.shrink(by: Self.shrinkStep)
    }

    /// Whether rows of `byteCount` bytes may be stored: the write-ahead log grows while a reader from outside holds it back,
    /// and `max_size` means what is on the disk.
    ///
    /// - Throws: ``JournalError`` where they may not.
    func checkLog(for byteCount: Int) throws(JournalError) {
        let log = database.logByteCount
        guard log + Int64(byteCount) * 2 > settings.logAllowance, log > settings.logAllowance / 2 else { return }
        let total = database.byteCountOnDisk() + Int64(byteCount) * 2
        guard total > settings.maxByteCount, (try? database.truncateLog()) != true else { return }
        throw .storage(
            "a program reads \(database.path) for so long that its write-ahead log cannot be cut back: "
                + "\(total) bytes, max_size is \(settings.maxByteCount)")
    }

    /// The first row that `max_age` allows, once there are rows that are clearly too old.
    ///
    /// A row of an earlier run whose clock was not set has no age of its own: it is younger than all that is older than it,
    /// and goes with the next row behind it that has one.
    private func firstYoungPosition() throws -> Position? {
        let now = clock.utc
        let oldest = now - settings.maxAge
        let overdue = oldest - settings.maxAge * Self.headroom
        let steps = state.withLock { $0.steps }
        return try database.firstYoungPosition(limit: Self.evictionStep) { position, recorded in
            let time = steps.corrected(recorded, at: position)
            if now.isPlausible, !time.isPlausible { return .unknown }
            return time >= oldest ? .young : .old(isOverdue: time < overdue)
        }
    }

    private func evict(below keepFrom: Position, from first: Position, next: Position) throws -> [StoredRow] {
        let (owed, publishers) = state.withLock { state in
            // Who is told by the gap record no longer has to deliver; who is not there now is told when it comes back.
            let told = state.publishers.filter { state.served?.contains($0.key) ?? true }
                .mapValues { $0.removing(0...(keepFrom - 1)) }
            return (state.owed.overlap(with: first...(keepFrom - 1)), told)
        }
        let gap =
            try owed.isEmpty
            ? nil : database.evictionRecord(of: owed, below: keepFrom, position: next, epoch: epoch, now: clock.utc)
        try database.evict(below: keepFrom, gap: gap, publishers: publishers)
        state.withLock { state in
            state.first = keepFrom
            state.recent.evict(below: keepFrom)
            for (name, pending) in publishers where state.group.pending[name] == nil {
                state.publishers[name] = pending
            }
        }
        return gap.map { [$0] } ?? []
    }
}

extension JournalDatabase {
    /// One record over all that goes undelivered, and over what undelivered records among it told.
    func evictionRecord(
        of owed: [ClosedRange<Position>], below keepFrom: Position, position: Position, epoch: UInt32, now: UnixTime
    ) throws -> StoredRow {
        var low = owed[0].lowerBound
        var high = owed[owed.count - 1].upperBound
        var from = try recorded(at: low) ?? now
        var to = try recorded(at: high) ?? now
        var count = owed.reduce(0) { $0 + $1.upperBound - $1.lowerBound + 1 }
        for (position, gap) in try gaps(below: keepFrom) where owed.contains(where: { $0.contains(position) }) {
            guard let told = gap.positions else { continue }
            (low, high) = (min(low, told.lowerBound), max(high, told.upperBound))
            (from, to) = (min(from, gap.from), max(to, gap.to))
            count += gap.reason == .bufferEvicted ? gap.count : told.upperBound - told.lowerBound + 1
        }
        let record = GapRecord(
            positions: low...high, from: min(from, to), to: max(from, to), reason: .bufferEvicted, count: count)
        return StoredRow(position: position, epoch: epoch, recorded: now, body: BatchCodec.encode(.gap(record)))
    }

    /// Bytes that a start on a full disk makes free at least, and pages that it moves at a time: each time the log must fit
    /// into what is free.
    private static let roomByteCount: Int64 = 4 << 20
    private static let roomStep: Int64 = 64

    /// Gives up the oldest sixteenth of the rows, or more, and gives its space back to the file system.
    ///
    /// - Returns: the first row that stays, and whether a gap record was appended.
    func makeRoom(
        first: Position, next: Position, publishers: [String: [PositionInterval]], epoch: UInt32, now: UnixTime
    ) throws -> (first: Position, hasGap: Bool) {
        let used = max(1, try usedByteCount())
        let share = max(1.0 / 16, min(1, Double(Self.roomByteCount) / Double(used)))
        let keepFrom = min(first + max(1, Position(clamping: Double(next - first) * share)), next - 1)
        guard keepFrom > first else { throw JournalError.storage("the disk is full, and no row can be given up") }
        let owed = publishers.values.flatMap { $0 }.overlap(with: first...(keepFrom - 1))
        let gap =
            try owed.isEmpty
            ? nil : evictionRecord(of: owed, below: keepFrom, position: next, epoch: epoch, now: now)
        try evict(
            below: keepFrom, gap: gap, publishers: publishers.mapValues { $0.removing(0...(keepFrom - 1)) })
        for _ in 0..<(Self.roomByteCount / 4096 / Self.roomStep) {
            guard try truncateLog() else { break }
            try shrink(by: Self.roomStep)
        }
        _ = try truncateLog()
        return (keepFrom, gap != nil)
    }
}
