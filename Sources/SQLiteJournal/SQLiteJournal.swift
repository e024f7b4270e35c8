package import Engine
import Foundation
import GRDB
package import Model
import Synchronization

/// The journal over SQLite. What it promises, and how:
///
/// 1. **Nothing is published that is not journaled.** Only committed rows can be read, the disk-full mode of 6 excepted,
///    whose rows say that they are volatile. What a publisher still has to deliver leaves only by its own word.
/// 2. **Positions are contiguous for ever.** They are given at the commit. Every position that is no longer here is named
///    by a gap record: an eviction commits its record in the same transaction, and a record that is itself evicted before
///    it was delivered is carried on in the next one.
/// 3. **kill -9 loses nothing that was committed, and no position is ever given to two rows.** The position lives in the
///    row; ``StateMark`` keeps positions and epoch from being used again when the database itself is lost, or rows were
///    published that the disk had refused.
/// 4. **With durability `power` the same holds for a power cut**: each group commit is one fsync (synchronous=FULL, set
///    after opening and checked). With `process` a power cut may take the last moments, and the next start says so.
/// 5. **Memory is bounded** whatever happens: ``RowGroup`` (then the caller waits), ``RecentRows``, ``HeldRows``.
/// 6. **Disk is bounded**: `max_size` and `max_age`, oldest first, and never the last of the disk's free space. Rows that
///    the disk refuses are held in memory and published from there, marked; what no longer fits is counted and told by a
///    `disk_error` record as soon as the disk takes rows again. No restart is needed.
/// 7. **A damaged file does not stop the start**: it is set aside with a message, ``Salvage`` saves what can be read, gap
///    records tell the rest. Damage that is met while running is told at once, and repaired at the next start.
/// 8. **Changing the configuration never empties the journal**: layouts are stored with the rows, and what a publisher
///    that is no longer configured had to deliver stays on record.
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
        var held = HeldRows()
        var first: Position
        var next: Position
        var publishers: [String: [PositionInterval]]
        /// What publishers had to deliver before a start that could not read it: the next start delivers it.
        var withheld: [String: [PositionInterval]] = [:]
        /// The publishers that there are; nil before anybody said.
        var served: Set<String>?
        /// Holes that a gap record of this run tells already.
        var toldHoles: [ClosedRange<Position>] = []
        var layouts: [LayoutID: DeviceLayout] = [:]
        var provisional = ProvisionalLayouts()
        var listeners: [UUID: AsyncStream<Position>.Continuation] = [:]
        var readings: UInt64 = 0
        var commits: UInt64 = 0
        var lostReadings: UInt64 = 0
        /// What a refusing disk has cost and no gap record has told yet.
        var loss: Loss?
        /// Why the last commit failed, in words.
        var fault: String?
        var steps = ClockSteps()
        var byteCount: Int64 = 0
        var usedByteCount: Int64 = 0
        var isClosed = false

        /// What the publishers that there are still have to deliver.
        var owed: [PositionInterval] {
            publishers.flatMap { name, pending in served?.contains(name) ?? true ? pending : [] }
        }
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
        _ = ProcessStart.second
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
        state.byteCount = database.byteCountOnDisk()
        state.usedByteCount = (try? database.usedByteCount()) ?? 0
        state.toldHoles = opened.toldHoles
        state.steps.look(clock, next: opened.next, maxAge: settings.maxAge)
        for row in opened.held { _ = state.held.append(row, readings: 0) { _ in true } }
        state.fault = opened.refused.map { "the disk refuses rows, which wait in memory: \($0.reason)" }
        self.state = Mutex(state)
        committer = Committer(lock: lock, mark: opened.mark, refusedStart: opened.refused)
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
        var body = body
        var readings = 0
        if case .readings(var batch) = body {
            readings = batch.count
            if let id = state.withLock({ $0.provisional.known[batch.layout] }) {
                batch.layout = id
                body = .readings(batch)
            }
        }
        let encoded = BatchCodec.encode(body)
        let recorded = clock.utc
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
            // What lies below the first row is gone, and told.
            let pending = state.first > 0 ? pending.removing(0...(state.first - 1)) : pending
            guard state.publishers[publisher] != pending else { return }
            state.publishers[publisher] = pending
            state.group.pending[publisher] = pending + (state.withheld[publisher] ?? [])
        }
    }

    package func serve(_ publishers: Set<String>) async {
        state.withLock { $0.served = publishers }
    }

    // MARK: - Reading

    package func read(from position: Position, limit: Int) async throws(JournalError) -> JournalSlice {
        let look = state.withLock { $0.look(from: position, limit: limit, byteLimit: Self.readByteLimit) }
        switch look {
        case .closed: throw .closed
        case .nothing: return JournalSlice(entries: [], end: position)
        case .memory(let rows, let volatileFrom):
            return slice(of: rows, from: position, before: rows.last.map { $0.position + 1 } ?? position, volatileFrom)
        case .disk(let end):
            do {
                let found = try await stored.rows(
                    from: position, before: end, limit: limit, byteLimit: Self.readByteLimit)
                if let damage = found.damage { await committer.noteIfDamage(damage) }
                tellHoles(between: found.rows, from: position, before: found.end)
                return slice(of: found.rows, from: position, before: found.end, .max)
            } catch {
                throw .storage("rows from \(position) on: \(error)")
            }
        }
    }

    /// - Parameter volatileFrom: rows from there on are in memory only.
    private func slice(
        of rows: [StoredRow], from position: Position, before end: Position, _ volatileFrom: Position
    ) -> JournalSlice {
        var entries: [JournalEntry] = []
        entries.reserveCapacity(rows.count)
        for row in rows where row.position >= position {
            guard let body = try? BatchCodec.decode(row.body) else {
                tellHole(row.position, before: row.position + 1)
                continue
            }
            entries.append(
                JournalEntry(
                    position: row.position, epoch: row.epoch, body: body, isVolatile: row.position >= volatileFrom))
        }
        return JournalSlice(entries: entries, end: end)
    }

    private func tellHoles(between rows: [StoredRow], from position: Position, before end: Position) {
        var expected = position
        for row in rows where row.position >= position {
            tellHole(expected, before: row.position)
            expected = row.position + 1
        }
        tellHole(expected, before: end)
    }

    /// Appends a gap record for rows that are missing or cannot be read, unless this run told it already.
    private func tellHole(_ low: Position, before end: Position) {
        guard low < end else { return }
        let now = clock.utc
        state.withLock { state in
            // Looked up afterwards: what was evicted meanwhile is no damage.
            let low = max(low, state.first)
            guard low < end, !state.isTold(low...(end - 1)) else { return }
            state.tell(low...(end - 1))
            let gap = GapRecord(positions: low...(end - 1), from: now, to: now, reason: .diskError, count: end - low)
            state.group.append(
                RowGroup.Waiting(recorded: now, body: BatchCodec.encode(.gap(gap)), readings: 0))
        }
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
        } catch  where DiskRefusal.isRefusal(error, of: database.path) {
            // Readings do not wait for the disk: the layout is stored before the first row that uses it.
            return state.withLock { state in
                let id = state.provisional.add(layout)
                state.layouts[id] = layout
                return id
            }
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
            let syncs = database.meter.syncs
            return state.withLock { state in
                var figures = JournalFigures(first: state.first, next: state.next, byteCount: state.byteCount)
                figures.usedByteCount = state.usedByteCount
                figures.readings = state.readings
                figures.commits = state.commits
                figures.syncs = syncs
                figures.lostReadings = state.lostReadings
                figures.volatileRows = UInt64(state.held.rows.count)
                figures.fault = state.fault
                return figures
            }
        }
    }
}

extension SQLiteJournal.State {
    /// Holes that are remembered as told; what falls out may be told twice.
    private static let toldHoleLimit = 1000

    func isTold(_ hole: ClosedRange<Position>) -> Bool {
        (toldHoles + [held.dropped?.positions].compactMap { $0 }).contains {
            $0.contains(hole.lowerBound) && $0.contains(hole.upperBound)
        }
    }

    mutating func tell(_ hole: ClosedRange<Position>) {
        if toldHoles.count >= Self.toldHoleLimit { toldHoles.removeFirst() }
        toldHoles.append(hole)
    }

    /// Where rows can be had.
    enum Look {
        case closed, nothing
        /// Rows, and the position from which on they are in memory only.
        case memory([StoredRow], volatileFrom: Position)
        /// On the disk, up to but not including this position.
        case disk(before: Position)
    }

    func look(from position: Position, limit: Int, byteLimit: Int) -> Look {
        guard !isClosed else { return .closed }
        guard position < next, limit > 0 else { return .nothing }
        let volatileFrom = held.first ?? .max
        if let rows = recent.rows(from: position, limit: limit, byteLimit: byteLimit) {
            return .memory(rows, volatileFrom: volatileFrom)
        }
        guard position < volatileFrom else {
            return .memory(
                held.rows(from: position, limit: limit, byteLimit: byteLimit), volatileFrom: volatileFrom)
        }
        return .disk(before: min(next, volatileFrom))
    }
}
