package import Engine
import Foundation
import GRDB
package import Model
import Synchronization

/// The journal over SQLite. What it promises:
///
/// 1. Nothing can be read from it that is not committed, and what a publisher still owes leaves only by its own word.
/// 2. Positions are contiguous for ever: they are given at the commit, so that a failed one leaves no hole. What was
///    evicted undelivered is named by a gap record that is committed with the eviction.
/// 3. kill -9 loses nothing that was committed and never gives one position to two rows: the position lives in the row, and
///    ``StateMark`` keeps positions and epoch from being used again when the database itself is lost.
/// 4. With durability `power` each group commit is one fsync (synchronous=FULL, set after opening and checked); with
///    `process` a power cut may take the last moments, and the next start says so with a gap record.
/// 5. Memory is bounded: ``RowGroup`` (then the caller waits) and ``RecentRows``.
/// 6. Disk is bounded: `max_size` and `max_age`, oldest first. A disk that refuses a row twice costs its readings, which are
///    counted and told by a `disk_error` gap record as soon as it takes rows again; no restart is needed.
/// 7. A damaged file does not stop the start: it is set aside with a message, ``Salvage`` saves what can be read, gap records
///    tell the rest. Damage that is met while running reads as gap records, and is repaired at the next start.
/// 8. Layouts are kept with the rows, so that a changed configuration leaves old rows readable.
package final class SQLiteJournal: Journal {
    package let epoch: UInt32
    /// What the opener should tell the operator, in sentences: a file set aside, a restart.
    package let openingNotes: [String]

    let database: JournalDatabase
    let settings: BufferSettings
    let clock: any Timekeeper
    let state: Mutex<State>
    private let committer: Committer
    private let stored: StoredRows

    struct State {
        var group = RowGroup()
        var recent = RecentRows()
        var first: Position
        var next: Position
        var publishers: [String: [PositionInterval]]
        var layouts: [LayoutID: DeviceLayout] = [:]
        var listeners: [UUID: AsyncStream<Position>.Continuation] = [:]
        var readings: UInt64 = 0
        var commits: UInt64 = 0
        var lostReadings: UInt64 = 0
        /// What a refusing disk has cost and no gap record has told yet.
        var loss: Loss?
        /// Why the last commit failed, in words.
        var fault: String?
        var byteCount: Int64 = 0
        var isClosed = false
    }

    /// What a refusing disk has cost.
    struct Loss {
        var since: UnixTime
        var readings: UInt64
    }

    /// Bytes that one ``read(from:limit:)`` returns at most, plus one row.
    private static let readByteLimit = 1 << 20

    /// Opens the journal of a state folder, which is made if it does not exist.
    package init(folder: String, settings: BufferSettings, clock: any Timekeeper) throws(JournalError) {
        self.settings = settings
        self.clock = clock
        do {
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        } catch {
            throw .unusable(
                "cannot make \(folder): \(error.localizedDescription); gateway.state must be a writable folder")
        }
        let lock = try StateLock(folder: folder)
        let opened = try JournalOpening.open(folder: folder, lock: lock, settings: settings, clock: clock)
        database = opened.database
        epoch = opened.epoch
        openingNotes = opened.notes
        var state = State(first: opened.first, next: opened.next, publishers: opened.publishers)
        state.byteCount = (try? database.byteCountOnDisk()) ?? 0
        self.state = Mutex(state)
        committer = Committer(lock: lock, mark: opened.mark)
        stored = StoredRows(database: database)
    }

    /// Commits in groups until the task is cancelled. Someone must run it, or nothing is ever committed.
    package func run() async {
        while !Task.isCancelled {
            try? await clock.sleep(until: clock.uptime + settings.commitEvery)
            await committer.commit(self)
        }
    }

    /// Commits what waits, moves everything into the main file and lets go of the folder.
    package func close() async {
        await committer.close(self)
    }

    // MARK: - Appending

    package func append(_ body: JournalEntry.Body) async {
        enqueue(body)
        guard state.withLock({ $0.group.isFull }) else { return }
        await committer.commit(self)
    }

    private func enqueue(_ body: JournalEntry.Body) {
        let encoded = BatchCodec.encode(body)
        let recorded = clock.utc
        var readings = 0
        if case .readings(let batch) = body { readings = batch.count }
        let row = RowGroup.Waiting(recorded: recorded, body: encoded, readings: readings)
        state.withLock { state in
            guard !state.isClosed else {
                state.lostReadings += UInt64(readings)
                return
            }
            state.group.append(row)
        }
    }

    package func flush() async {
        await committer.flush(self)
    }

    package func save(_ pending: [PositionInterval], for publisher: String) async {
        state.withLock { state in
            guard state.publishers[publisher] != pending else { return }
            state.publishers[publisher] = pending
            state.group.pending[publisher] = pending
        }
    }

    // MARK: - Reading

    package func read(from position: Position, limit: Int) async throws(JournalError) -> [JournalEntry] {
        let (recent, next, isClosed) = state.withLock { state in
            (
                state.recent.rows(from: position, limit: limit, byteLimit: Self.readByteLimit), state.next,
                state.isClosed
            )
        }
        guard !isClosed else { throw .closed }
        guard position < next, limit > 0 else { return [] }
        if let recent { return entries(of: recent, from: position, before: next, limit: limit) }
        do {
            let found = try await stored.rows(
                from: position, before: next, limit: limit, byteLimit: Self.readByteLimit)
            if let damage = found.damage { await committer.noteIfDamage(damage) }
            // Looked up afterwards: what was evicted meanwhile is no damage.
            let first = state.withLock { $0.first }
            return entries(of: found.rows, from: max(position, first), before: next, limit: limit)
        } catch {
            throw .storage("rows from \(position) on: \(error)")
        }
    }

    /// The rows as entries without a hole from `position` on: a row that is damaged or missing reads as a gap record.
    private func entries(
        of rows: [StoredRow], from position: Position, before next: Position, limit: Int
    ) -> [JournalEntry] {
        var entries: [JournalEntry] = []
        entries.reserveCapacity(min(limit, rows.count))
        var expected = position
        func fill(before end: Position, recorded: UnixTime) {
            while expected < end, entries.count < limit {
                entries.append(unreadable(expected, recorded: recorded))
                expected += 1
            }
        }
        for row in rows where row.position >= expected {
            fill(before: row.position, recorded: row.recorded)
            guard entries.count < limit else { return entries }
            let body = try? BatchCodec.decode(row.body)
            entries.append(
                body.map { JournalEntry(position: row.position, epoch: row.epoch, body: $0) }
                    ?? unreadable(row.position, recorded: row.recorded))
            expected = row.position + 1
        }
        if rows.isEmpty { fill(before: next, recorded: clock.utc) }
        return entries
    }

    private func unreadable(_ position: Position, recorded: UnixTime) -> JournalEntry {
        let gap = GapRecord(
            positions: position...position, from: recorded, to: recorded, reason: .diskError, count: 1)
        return JournalEntry(position: position, epoch: epoch, body: .gap(gap))
    }

    package var next: Position {
        get async { state.withLock { $0.next } }
    }

    package func commits() async -> AsyncStream<Position> {
        let id = UUID()
        let (stream, continuation) = AsyncStream.makeStream(of: Position.self, bufferingPolicy: .bufferingNewest(1))
        continuation.onTermination = { [weak self] _ in
            _ = self?.state.withLock { $0.listeners.removeValue(forKey: id) }
        }
        let isClosed = state.withLock { state in
            if !state.isClosed { state.listeners[id] = continuation }
            return state.isClosed
        }
        if isClosed { continuation.finish() }
        return stream
    }

    package func pending(for publisher: String) async throws(JournalError) -> [PositionInterval]? {
        state.withLock { $0.publishers[publisher] }
    }

    // MARK: - Layouts

    package func register(_ layout: DeviceLayout) async throws(JournalError) -> LayoutID {
        guard !state.withLock({ $0.isClosed }) else { throw .closed }
        do {
            let id = try await committer.register(layout.encoded, in: database)
            state.withLock { $0.layouts[id] = layout }
            return id
        } catch {
            throw .storage("the layout of \(layout.device) cannot be stored: \(error)")
        }
    }

    package func layout(_ id: LayoutID) async throws(JournalError) -> DeviceLayout {
        if let known = state.withLock({ $0.layouts[id] }) { return known }
        do {
            guard let bytes = try await stored.layout(id) else { throw ByteReader.Malformed() }
            let layout = try DeviceLayout(encoded: bytes)
            state.withLock { $0.layouts[id] = layout }
            return layout
        } catch {
            throw .storage("layout \(id) is not in the journal: \(error)")
        }
    }

    package var figures: JournalFigures {
        get async {
            state.withLock { state in
                JournalFigures(
                    first: state.first, next: state.next, byteCount: state.byteCount, readings: state.readings,
                    commits: state.commits, lostReadings: state.lostReadings, fault: state.fault)
            }
        }
    }
}
