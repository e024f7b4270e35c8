import Engine
import Foundation
import GRDB
import Model
import Synchronization

/// Commits one group after the other, on a queue of its own so that an fsync holds up nobody else. The only writer.
actor Committer {
    private let executor = QueueExecutor(label: "journal")
    private let lock: StateLock
    private var mark: StateMark
    private var pace = RetentionPace()
    private var retryAt = Duration.zero

    /// What has to be stored before the first row, where the disk refused the start.
    private var refusedStart: RefusedStart?

    init(lock: StateLock, mark: StateMark, refusedStart: RefusedStart?) {
        self.lock = lock
        self.mark = mark
        self.refusedStart = refusedStart
    }

    nonisolated var unownedExecutor: UnownedSerialExecutor {
        executor.asUnownedSerialExecutor()
    }

    /// While the disk refuses rows, it is asked again this often.
    private static let retryInterval = Duration.seconds(1)

    func commit(_ journal: SQLiteJournal, isUrgent: Bool = false) {
        let due = journal.takeDue()
        guard !due.isEmpty else { return }
        if !due.held.isEmpty, !isUrgent, journal.clock.uptime < retryAt { return hold(due, journal, nil) }
        let gaps = journal.records(of: due)
        let gapsFrom = due.next + Position(due.group.rows.count)
        let fresh = journal.stored(due.group.rows, from: due.next) + journal.stored(gaps, from: gapsFrom)
        do {
            let next = due.next + Position(fresh.count)
            // One more for the gap record of an eviction.
            try reserve(next + 1)
            try begin(journal, next: due.held.first?.position ?? due.next)
            let layouts = try settleLayouts(journal)
            let rows = (due.held + fresh).map(layouts.settled)
            try journal.checkLog(for: rows.reduce(0) { $0 + $1.body.count })
            try journal.database.commit(rows, pending: due.group.pending)
            note(next: next)
            journal.committed(fresh, due)
            noteVolatileRows(false)
        } catch {
            noteIfDamage(error)
            retryAt = journal.clock.uptime + Self.retryInterval
            // A position that somebody else took cannot be held: the rows get others.
            if JournalOpening.isConflict(error) { journal.refused(due.group, error) } else { hold(due, journal, error) }
            return
        }
        try? journal.database.checkpointIfDue()
        guard pace.committed(fresh, maxByteCount: journal.settings.maxByteCount) else { return }
        keepWithinLimits(journal)
    }

    /// Gives the rows their positions without the disk, after the state's mark says so: what is published from memory must
    /// never be published otherwise under the same position, whatever happens to this process.
    private func hold(_ due: SQLiteJournal.Due, _ journal: SQLiteJournal, _ error: (any Error)?) {
        do {
            let next = due.next + Position(due.group.rows.count)
            noteVolatileRows(true)
            // A start whose numbers come from the clock needs no mark.
            if refusedStart?.isMarked ?? true {
                guard mark.isVolatile else {
                    throw JournalError.storage("the mark of the state folder cannot be written")
                }
                try reserve(next + 1)
                note(next: next)
            }
            journal.hold(due, error)
        } catch let second {
            journal.refused(due.group, error ?? second)
        }
    }

    /// Stores what a start has to store that the disk refused.
    private func begin(_ journal: SQLiteJournal, next: Position) throws {
        guard let start = refusedStart else { return }
        try journal.database.open()
        let stored = try journal.database.bounds()
        guard stored.next <= next else {
            throw JournalError.storage("\(journal.database.path) has rows that this start does not know of")
        }
        try journal.database.begin(epoch: start.epoch, at: start.time, next: next, gaps: [], publishers: [:])
        journal.begun(first: stored.first, owed: start.knowsPublishers ? [:] : try journal.database.publishers())
        refusedStart = nil
    }

    /// Stores the layouts that wait for the disk.
    private func settleLayouts(_ journal: SQLiteJournal) throws -> ProvisionalLayouts {
        let provisional = journal.state.withLock { $0.provisional }
        for (id, layout) in provisional.waiting {
            let stored = LayoutID(try journal.database.layoutID(of: layout.encoded))
            journal.state.withLock { state in
                state.layouts[stored] = layout
                state.provisional.stored(id, as: stored)
            }
        }
        return provisional.waiting.isEmpty ? provisional : journal.state.withLock { $0.provisional }
    }

    /// A mark that is behind is mended by the next commit.
    private func note(next: Position) {
        mark.next = next
        try? lock.write(mark, isSynced: false)
    }

    private func noteVolatileRows(_ areThere: Bool) {
        guard mark.isVolatile != areThere else { return }
        var changed = mark
        changed.isVolatile = areThere
        guard (try? lock.write(changed)) != nil else { return }
        mark = changed
    }

    /// Commits what waits; rows that could not be held get their second chance at once.
    func flush(_ journal: SQLiteJournal) {
        commit(journal, isUrgent: true)
        if journal.hasRefusedReadings { commit(journal, isUrgent: true) }
    }

    func keepWithinLimits(_ journal: SQLiteJournal) {
        do {
            let gaps = try journal.keepWithinLimits()
            guard let last = gaps.last else { return }
            note(next: last.position + 1)
            journal.evicted(telling: gaps)
        } catch {
            // A disk that refuses shows at the next commit; eviction is tried again when it is due again.
            noteIfDamage(error)
        }
    }

    func register(_ layout: [UInt8], in database: JournalDatabase) throws -> LayoutID {
        LayoutID(try database.layoutID(of: layout))
    }

    func close(_ journal: SQLiteJournal) {
        flush(journal)
        guard let losesRows = journal.endAppending() else { return }
        let next = journal.state.withLock { $0.next }
        do {
            try journal.database.close(next: losesRows ? nil : next)
            mark.reserved = next
            mark.next = next
            mark.unsyncedBoot = nil
            mark.isVolatile = losesRows
            try lock.write(mark)
        } catch {
            // The mark still covers every position that was given away: the next start goes on behind it.
            noteIfDamage(error)
        }
        lock.release()
    }

    /// The next start repairs what this one met.
    func noteIfDamage(_ error: any Error) {
        guard JournalOpening.isDamage(error), !mark.isDamaged else { return }
        mark.isDamaged = true
        try? lock.write(mark)
    }

    private func reserve(_ next: Position) throws {
        guard next > mark.reserved else { return }
        var extended = mark
        extended.reserved = next + StateMark.reserve
        try lock.write(extended)
        mark = extended
    }
}

/// A serial executor on a plain dispatch queue: blocking calls are fine on it.
final class QueueExecutor: SerialExecutor {
    private let queue: DispatchQueue

    init(label: String) {
        queue = DispatchQueue(label: label)
    }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        queue.async { job.runSynchronously(on: self.asUnownedSerialExecutor()) }
    }
}

extension SQLiteJournal {
    /// What the next commit is about.
    struct Due {
        /// Rows that have positions already, below `next`.
        var held: [StoredRow]
        var group: RowGroup
        var next: Position
        /// Losses that are still to be told.
        var loss: Loss?
        var dropped: HeldRows.Dropped?

        var isEmpty: Bool { held.isEmpty && group.isEmpty && loss == nil && dropped == nil }
    }

    func takeDue() -> Due {
        state.withLock { state in
            guard !state.isClosed else { return Due(held: [], group: RowGroup(), next: state.next) }
            state.steps.look(clock, next: state.next, maxAge: settings.maxAge)
            defer { state.group = RowGroup() }
            return Due(
                held: state.held.rows, group: state.group, next: state.next, loss: state.loss,
                dropped: state.held.dropped)
        }
    }

    /// The start that the disk refused is stored.
    ///
    /// - Parameter owed: what publishers have to deliver as the file says; this run learns it only now.
    func begun(first: Position, owed: [String: [PositionInterval]]) {
        state.withLock { state in
            state.first = min(first, state.first)
            state.withheld = owed
            for (name, pending) in owed { state.group.pending[name] = pending + (state.publishers[name] ?? []) }
        }
    }

    var hasRefusedReadings: Bool {
        state.withLock { $0.group.hasRefusedReadings }
    }

    func stored(_ rows: [RowGroup.Waiting], from position: Position) -> [StoredRow] {
        rows.enumerated().map { index, row in
            StoredRow(position: position + Position(index), epoch: epoch, recorded: row.recorded, body: row.body)
        }
    }

    /// The gap records that tell the losses of `due`.
    func records(of due: Due) -> [RowGroup.Waiting] {
        let now = clock.utc
        let loss = due.loss.map {
            GapRecord(from: min($0.since, now), to: now, reason: .diskError, count: $0.readings)
        }
        return [loss, due.dropped?.record].compactMap { $0 }.map {
            RowGroup.Waiting(recorded: now, body: BatchCodec.encode(.gap($0)), readings: 0)
        }
    }

    /// Everything of `due` is on the disk, `fresh` of it for the first time.
    func committed(_ fresh: [StoredRow], _ due: Due) {
        let (listeners, next) = state.withLock { state in
            state.recent.append(fresh)
            state.next += Position(fresh.count)
            state.readings += UInt64(due.group.readings) + state.held.readingCount
            state.commits += 1
            state.fault = nil
            state.loss = nil
            if let dropped = due.dropped { state.tell(dropped.positions) }
            state.held = HeldRows()
            return (Array(state.listeners.values), state.next)
        }
        for listener in listeners { listener.yield(next) }
    }

    func evicted(telling gaps: [StoredRow]) {
        let (listeners, next) = state.withLock { state in
            state.recent.append(gaps)
            state.next += Position(gaps.count)
            return (Array(state.listeners.values), state.next)
        }
        for listener in listeners { listener.yield(next) }
    }

    /// The disk does not take the group: its rows get their positions and wait in memory, where publishers find them.
    ///
    /// - Parameter error: nil when the disk was not asked again yet.
    func hold(_ due: Due, _ error: (any Error)?) {
        let rows = stored(due.group.rows, from: due.next)
        let (listeners, next) = state.withLock { state in
            for (row, waiting) in zip(rows, due.group.rows) {
                let owed = state.served?.isEmpty == false ? state.owed : nil
                state.lostReadings += state.held.append(row, readings: waiting.readings) { position in
                    owed?.contains { $0.low <= position && position < $0.high ?? .max } ?? true
                }
            }
            state.recent.append(rows)
            state.next += Position(rows.count)
            state.group.pending.merge(due.group.pending) { newer, _ in newer }
            if let error { state.fault = "the disk refuses rows, which wait in memory: \(error)" }
            return (Array(state.listeners.values), state.next)
        }
        for listener in listeners { listener.yield(next) }
    }

    /// The disk did not take the group, and it cannot be held either. What is lost by that is remembered until it can be
    /// told.
    func refused(_ group: RowGroup, _ error: any Error) {
        let known = JournalOpening.isConflict(error) ? try? database.bounds().next : nil
        let (listeners, next) = state.withLock { state in
            if let known, known > state.next {
                // Rows are there that this process does not know of: their positions are never given again.
                state.next = known
                state.recent = RecentRows()
            }
            let lost = state.group.takeBack(group)
            if let first = lost.first {
                let readings = lost.reduce(0) { $0 + UInt64($1.readings) }
                state.loss = Loss(
                    since: state.loss?.since ?? first.recorded, readings: (state.loss?.readings ?? 0) + readings)
                state.lostReadings += readings
            }
            state.fault = "the disk refuses rows: \(error)"
            return (Array(state.listeners.values), state.next)
        }
        for listener in listeners { listener.yield(next) }
    }

    /// From now on nothing is taken any more; what could not be committed is counted as lost.
    ///
    /// - Returns: whether rows are lost that had positions; nil when it was closed already.
    func endAppending() -> Bool? {
        let end = state.withLock { state -> (listeners: [AsyncStream<Position>.Continuation], holds: Bool)? in
            guard !state.isClosed else { return nil }
            state.isClosed = true
            state.lostReadings += UInt64(state.group.readings) + state.held.readingCount
            state.group = RowGroup()
            defer { state.listeners = [:] }
            return (Array(state.listeners.values), !state.held.isEmpty || state.held.dropped != nil)
        }
        end?.listeners.forEach { $0.finish() }
        return end?.holds
    }
}
