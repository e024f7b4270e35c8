import Engine
import Foundation
import Model
import Synchronization

/// Commits one group after the other, on a queue of its own so that an fsync holds up nobody else.
actor Committer {
    private let executor = QueueExecutor(label: "journal")
    private var commitsSinceRetention = 0

    /// Retention is looked after once in so many commits.
    private static let retentionInterval = 20

    nonisolated var unownedExecutor: UnownedSerialExecutor {
        executor.asUnownedSerialExecutor()
    }

    func commit(_ journal: SQLiteJournal) {
        let (group, next, loss) = journal.takeGroup()
        guard !group.isEmpty || loss != nil else { return }
        var rows = group.rows
        if let loss { rows.insert(journal.record(of: loss), at: 0) }
        guard rows.count > 0 || !group.pending.isEmpty else { return }
        let stored = rows.enumerated().map { index, row in
            StoredRow(position: next + UInt64(index), epoch: journal.epoch, recorded: row.recorded, body: row.body)
        }
        do {
            try journal.database.commit(stored, pending: group.pending)
            journal.committed(stored, readings: group.readings)
        } catch {
            journal.refused(group, error)
        }
        keepWithinLimits(journal)
    }

    private func keepWithinLimits(_ journal: SQLiteJournal) {
        commitsSinceRetention += 1
        guard commitsSinceRetention >= Self.retentionInterval else { return }
        commitsSinceRetention = 0
        // A disk that refuses shows at the next commit; eviction is tried again with the next interval.
        try? journal.keepWithinLimits()
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
            defer { state.group = RowGroup() }
            return (state.group, state.next, state.loss)
        }
    }

    func record(of loss: Loss) -> RowGroup.Waiting {
        let now = clock.utc
        let gap = GapRecord(from: loss.since, to: now, reason: .diskError, count: loss.readings)
        return RowGroup.Waiting(recorded: now, body: BatchCodec.encode(.gap(gap)), readings: 0)
    }

    func committed(_ rows: [StoredRow], readings: Int) {
        let (listeners, next) = state.withLock { state in
            state.recent.append(rows)
            state.next += UInt64(rows.count)
            state.readings += UInt64(readings)
            state.commits += 1
            state.loss = nil
            return (Array(state.listeners.values), state.next)
        }
        for listener in listeners { listener.yield(next) }
    }

    /// The disk did not take the group: its readings are lost, and that is remembered until it can be told.
    func refused(_ group: RowGroup, _ error: any Error) {
        let now = clock.utc
        let listeners = state.withLock { state in
            var loss = state.loss ?? Loss(since: group.rows.first?.recorded ?? now, readings: 0, reason: "")
            loss.readings += UInt64(group.readings)
            loss.reason = "the disk refuses rows: \(error)"
            state.loss = loss
            state.lostReadings += UInt64(group.readings)
            for (name, pending) in group.pending where state.group.pending[name] == nil {
                state.group.pending[name] = pending
            }
            return Array(state.listeners.values)
        }
        let next = state.withLock { $0.next }
        for listener in listeners { listener.yield(next) }
    }
}
