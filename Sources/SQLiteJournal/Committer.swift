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

    init(lock: StateLock, mark: StateMark) {
        self.lock = lock
        self.mark = mark
    }

    nonisolated var unownedExecutor: UnownedSerialExecutor {
        executor.asUnownedSerialExecutor()
    }

    func commit(_ journal: SQLiteJournal) {
        let (group, next, loss) = journal.takeGroup()
        guard !group.isEmpty || loss != nil else { return }
        var rows = group.rows
        if let loss { rows.insert(journal.record(of: loss), at: 0) }
        let stored = rows.enumerated().map { index, row in
            StoredRow(position: next + UInt64(index), epoch: journal.epoch, recorded: row.recorded, body: row.body)
        }
        do {
            // One more for the gap record of an eviction.
            try reserve(next + Position(stored.count) + 1)
            try journal.database.commit(stored, pending: group.pending)
            journal.committed(stored, readings: group.readings, toldLoss: loss != nil)
        } catch {
            noteIfDamage(error)
            journal.refused(group, error)
        }
        guard pace.committed(stored, maxByteCount: journal.settings.maxByteCount) else { return }
        keepWithinLimits(journal)
    }

    /// Commits what waits; rows that the disk refuses get their second chance at once.
    func flush(_ journal: SQLiteJournal) {
        commit(journal)
        if journal.hasRefusedReadings { commit(journal) }
    }

    func keepWithinLimits(_ journal: SQLiteJournal) {
        do {
            let gaps = try journal.keepWithinLimits()
            if !gaps.isEmpty { journal.committed(gaps, readings: 0, toldLoss: false) }
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
        guard journal.endAppending() else { return }
        let next = journal.state.withLock { $0.next }
        do {
            try journal.database.close(next: next)
            mark.reserved = next
            mark.unsyncedBoot = nil
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
    /// Takes the waiting group, and the loss that is still to be told.
    func takeGroup() -> (group: RowGroup, next: Position, loss: Loss?) {
        state.withLock { state in
            guard !state.isClosed else { return (RowGroup(), state.next, nil) }
            defer { state.group = RowGroup() }
            return (state.group, state.next, state.loss)
        }
    }

    var hasRefusedReadings: Bool {
        state.withLock { $0.group.hasRefusedReadings }
    }

    func record(of loss: Loss) -> RowGroup.Waiting {
        let now = clock.utc
        let gap = GapRecord(from: min(loss.since, now), to: now, reason: .diskError, count: loss.readings)
        return RowGroup.Waiting(recorded: now, body: BatchCodec.encode(.gap(gap)), readings: 0)
    }

    func committed(_ rows: [StoredRow], readings: Int, toldLoss: Bool) {
        let (listeners, next) = state.withLock { state in
            state.recent.append(rows)
            state.next += UInt64(rows.count)
            state.readings += UInt64(readings)
            state.commits += 1
            state.fault = nil
            if toldLoss { state.loss = nil }
            return (Array(state.listeners.values), state.next)
        }
        for listener in listeners { listener.yield(next) }
    }

    /// The disk did not take the group. What is lost by that is remembered until it can be told.
    func refused(_ group: RowGroup, _ error: any Error) {
        let known = isConflict(error) ? try? database.bounds().next : nil
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

    private func isConflict(_ error: any Error) -> Bool {
        (error as? DatabaseError)?.resultCode == .SQLITE_CONSTRAINT
    }

    /// From now on nothing is taken any more; what could not be committed is counted as lost.
    ///
    /// - Returns: false when that was so already.
    func endAppending() -> Bool {
        let listeners = state.withLock { state -> [AsyncStream<Position>.Continuation]? in
            guard !state.isClosed else { return nil }
            state.isClosed = true
            state.lostReadings += UInt64(state.group.readings)
            state.group = RowGroup()
            defer { state.listeners = [:] }
            return Array(state.listeners.values)
        }
        listeners?.forEach { $0.finish() }
        return listeners != nil
    }
}
