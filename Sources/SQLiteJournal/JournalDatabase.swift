import Engine
import Files
import Foundation
import GRDB
import Model
import Synchronization

/// One stored row: its position, when it was appended, its epoch and its encoded body.
struct StoredRow: Sendable {
    var position: Position
    var epoch: UInt32
    var recorded: UnixTime
    var body: [UInt8]
}

/// The database file: every statement that the journal needs, on connections that are set up the way the invariants want.
final class JournalDatabase: Sendable {
    let path: String
    let meter: LogMeter
    private let durability: BufferSettings.Durability
    private let logByteLimit: Int64
    /// Nil while the disk refuses to open it.
    private let opened: Mutex<StoreFile?>

    private var file: StoreFile {
        get throws {
            guard let file = opened.withLock({ $0 }) else {
                throw JournalError.storage("\(path) is not open: the disk refused it")
            }
            return file
        }
    }
    var pool: DatabasePool { get throws { try file.pool } }
    var isOpen: Bool { opened.withLock { $0 != nil } }

    /// Version 2: rows have a checksum, ``RowCheck``; those of version 1 stay as they are.
    private static let layout = StoreFile.Layout(
        version: 2,
        tables: """
            CREATE TABLE row (seq INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, recorded INTEGER NOT NULL, body BLOB NOT NULL);
            CREATE TABLE layout (id INTEGER PRIMARY KEY, body BLOB NOT NULL UNIQUE);
            CREATE TABLE publisher (name TEXT PRIMARY KEY, pending BLOB NOT NULL) WITHOUT ROWID;
            CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
            """)
    /// Free space that the journal leaves on its file system, at most a twentieth of it.
    private static let spareByteCount: Int64 = 64 << 20

    /// - Parameter isOpen: false where the disk refuses at present; ``open()`` tries again.
    init(
        path: String, durability: BufferSettings.Durability, logByteLimit: Int64 = StoreFile.logByteLimit,
        isOpen: Bool = true
    ) throws {
        self.path = path
        self.durability = durability
        self.logByteLimit = logByteLimit
        meter = LogMeter(syncsEachCommit: durability == .power)
        opened = Mutex(nil)
        if isOpen { try open() }
    }

    /// Does nothing where it is open already.
    func open() throws {
        guard !isOpen else { return }
        let file = try StoreFile(
            path: path, syncsEachCommit: durability == .power, layout: Self.layout, logByteLimit: logByteLimit,
            meter: meter)
        opened.withLock { $0 = file }
    }

    // MARK: - Start

    /// The epoch of the last start, 0 where there was none.
    func storedEpoch() throws -> UInt32 { try pool.read(Self.storedEpoch) }

    static func storedEpoch(_ db: Database) throws -> UInt32 {
        let stored = try Int64.fetchOne(db, sql: "SELECT value FROM meta WHERE key = 'epoch'")
        guard let epoch = UInt32(exactly: stored ?? 0), epoch < .max else { throw ByteReader.Malformed() }
        return epoch
    }

    /// Makes a new epoch durable, together with what its start has to tell and how it corrects what publishers owe.
    ///
    /// - Parameter now: when the start is, nil where no start is meant.
    func begin(
        epoch: UInt32, at now: UnixTime?, next: Position, gaps: [StoredRow], publishers: [String: [PositionInterval]]
    ) throws {
        try pool.write { db in
            try Self.store(Int64(epoch), as: "epoch", db)
            if let now { try Self.store(now.microseconds, as: "begun", db) }
            try Self.remember(next, db)
            try Self.insert(gaps, db)
            try Self.store(publishers, db)
        }
    }

    /// First stored position and the one behind the last; equal when nothing is stored. The `next` that was remembered
    /// counts where eviction took everything.
    func bounds() throws -> (first: Position, next: Position) { try pool.read(Self.bounds) }

    static func bounds(_ db: Database) throws -> (first: Position, next: Position) {
        let first = try Int64.fetchOne(db, sql: "SELECT min(seq) FROM row")
        let last = try Int64.fetchOne(db, sql: "SELECT max(seq) FROM row") ?? 0
        let remembered = try Int64.fetchOne(db, sql: "SELECT value FROM meta WHERE key = 'next'") ?? 1
        let possible = 0...(Int64.max / 2)
        guard possible.contains(first ?? 1), possible.contains(last), possible.contains(remembered) else {
            throw ByteReader.Malformed()
        }
        let next = max(last + 1, remembered)
        return (Position(first ?? next), Position(next))
    }

    /// When the newest row was appended; where there is none, when the last start was: it may have read what it never
    /// committed. Nil where there was no start.
    func lastRecorded() throws -> UnixTime? { try pool.read(Self.lastRecorded) }

    static func lastRecorded(_ db: Database) throws -> UnixTime? {
        let newest = try Int64.fetchOne(db, sql: "SELECT recorded FROM row ORDER BY seq DESC LIMIT 1")
        let begun = try Int64.fetchOne(db, sql: "SELECT value FROM meta WHERE key = 'begun'")
        return (newest ?? begun).map(UnixTime.init(microseconds:))
    }

    // MARK: - Rows

    /// One transaction: rows and what publishers still have to deliver.
    func commit(_ rows: [StoredRow], pending: [String: [PositionInterval]]) throws {
        try pool.write { db in
            try Self.insert(rows, db)
            try Self.store(pending, db)
        }
    }

    func checkpointIfDue() throws {
        try file.checkpointIfDue()
    }

    /// Rows from `position` on, in order. Where a row cannot be read those before it are returned.
    ///
    /// - Returns: the rows, and whether no others follow them.
    /// - Throws: when the first row cannot be read.
    func rows(from position: Position, limit: Int, byteLimit: Int) throws -> (rows: [StoredRow], isComplete: Bool) {
        try Self.rows(pool, from: position, limit: limit, byteLimit: byteLimit)
    }

    static func rows(
        _ reader: some DatabaseReader, from position: Position, limit: Int, byteLimit: Int
    ) throws -> (rows: [StoredRow], isComplete: Bool) {
        var rows: [StoredRow] = []
        var isComplete = false
        do {
            try reader.read { db in
                let cursor = try Row.fetchCursor(
                    db, sql: "SELECT seq, epoch, recorded, body FROM row WHERE seq >= ? ORDER BY seq LIMIT ?",
                    arguments: [Int64(clamping: position), max(0, limit)])
                var byteCount = 0
                while byteCount < byteLimit {
                    guard let row = try cursor.next() else {
                        isComplete = rows.count < limit
                        break
                    }
                    let stored = try StoredRow(row)
                    byteCount += stored.body.count
                    rows.append(stored)
                }
            }
        } catch  where !rows.isEmpty {
            return (rows, false)
        }
        return (rows, isComplete)
    }

    private static func insert(_ rows: [StoredRow], _ db: Database) throws {
        let insert = try db.cachedStatement(sql: "INSERT INTO row VALUES (?, ?, ?, ?)")
        for row in rows {
            try insert.execute(arguments: [
                Int64(row.position), Int64(row.epoch), row.recorded.microseconds, Data(RowCheck.sealed(row)),
            ])
        }
    }

    private static func store(_ pending: [String: [PositionInterval]], _ db: Database) throws {
        for (name, intervals) in pending {
            try db.execute(
                sql: "INSERT OR REPLACE INTO publisher VALUES (?, ?)", arguments: [name, Data(intervals.encoded)])
        }
    }

    private static func remember(_ next: Position, _ db: Database) throws {
        try store(Int64(next), as: "next", db)
    }

    private static func store(_ value: Int64, as key: String, _ db: Database) throws {
        try db.execute(sql: "INSERT OR REPLACE INTO meta VALUES (?, ?)", arguments: [key, value])
    }

    // MARK: - Layouts and publishers

    func layoutID(of body: [UInt8]) throws -> Int64 {
        try pool.write { db in
            if let known = try Int64.fetchOne(db, sql: "SELECT id FROM layout WHERE body = ?", arguments: [Data(body)])
            {
                return known
            }
            try db.execute(sql: "INSERT INTO layout (body) VALUES (?)", arguments: [Data(body)])
            return db.lastInsertedRowID
        }
    }

    func layout(_ id: LayoutID) throws -> [UInt8]? {
        try pool.read { db in
            try Data.fetchOne(db, sql: "SELECT body FROM layout WHERE id = ?", arguments: [Int64(id)]).map(Array.init)
        }
    }

    func publishers() throws -> [String: [PositionInterval]] {
        try pool.read { try Self.publishers($0) }
    }

    static func publishers(_ db: Database) throws -> [String: [PositionInterval]] {
        var result: [String: [PositionInterval]] = [:]
        for row in try Row.fetchAll(db, sql: "SELECT name, pending FROM publisher") {
            guard let name = String.fromDatabaseValue(row[0]), let bytes = Data.fromDatabaseValue(row[1]) else {
                throw ByteReader.Malformed()
            }
            result[name] = try [PositionInterval](encoded: Array(bytes))
        }
        return result
    }

    // MARK: - Retention

    /// Bytes of pages that hold something: freed pages are used again and do not count.
    func usedByteCount() throws -> Int64 {
        try pool.read { db in
            let pages = try Int64.fetchOne(db, sql: "PRAGMA page_count") ?? 0
            let free = try Int64.fetchOne(db, sql: "PRAGMA freelist_count") ?? 0
            return (pages - free) * (try Int64.fetchOne(db, sql: "PRAGMA page_size") ?? 4096)
        }
    }

    /// Bytes of the file with its write-ahead log and the index of that.
    func byteCountOnDisk() -> Int64 {
        StoreFile.byteCountOnDisk(path)
    }

    /// Bytes of the write-ahead log and its index.
    var logByteCount: Int64 { byteCountOnDisk() - StoreFile.byteCount(path) }

    func truncateLog() throws -> Bool { try file.truncateLog() }

    func shrink(by pages: Int64) throws { try file.shrink(by: pages) }

    /// The first position that is not too old, looking at no more than `limit` rows; nil where nothing is due. A row goes with
    /// those before it only, so that a clock that was wrong for a while takes no others with it.
    func firstYoungPosition(limit: Int, age: (Position, UnixTime) -> RowAge) throws -> Position? {
        try pool.read { db in
            let cursor = try Row.fetchCursor(
                db, sql: "SELECT seq, recorded FROM row ORDER BY seq LIMIT ?", arguments: [limit])
            var keepFrom: Position?
            while let row = try cursor.next(), let seq = Int64.fromDatabaseValue(row[0]),
                let recorded = Int64.fromDatabaseValue(row[1])
            {
                switch age(Position(seq), UnixTime(microseconds: recorded)) {
                case .unknown: continue
                case .young: return keepFrom
                case .old(let isOverdue):
                    guard keepFrom != nil || isOverdue else { return nil }
                    keepFrom = Position(seq) + 1
                }
            }
            return keepFrom
        }
    }

    /// Deletes everything below `first`, and appends `gap` in the same transaction where undelivered rows go, with what
    /// their publishers then still have to deliver.
    func evict(below first: Position, gap: StoredRow?, publishers: [String: [PositionInterval]]) throws {
        try pool.write { db in
            try db.execute(sql: "DELETE FROM row WHERE seq < ?", arguments: [Int64(first)])
            if let gap { try Self.insert([gap], db) }
            try Self.store(publishers, db)
        }
    }

    /// The gap records stored below `end` that name positions.
    func gaps(below end: Position) throws -> [(position: Position, gap: GapRecord)] {
        try pool.read { db in
            let cursor = try Row.fetchCursor(
                db,
                sql: """
                    SELECT seq, epoch, recorded, body FROM row
                    WHERE seq < ?1 AND (substr(body, 1, 1) = ?2 OR substr(body, 1, 1) = ?3 AND substr(body, ?4, 1) = ?2)
                    """,
                arguments: [
                    Int64(end), Data([BatchCodec.gapFormat]), Data([RowCheck.marker]), RowCheck.byteCount + 1,
                ])
            var found: [(position: Position, gap: GapRecord)] = []
            while let row = try cursor.next() {
                guard let stored = try? StoredRow(row), case .gap(let gap)? = try? BatchCodec.decode(stored.body),
                    gap.positions != nil
                else { continue }
                found.append((stored.position, gap))
            }
            return found
        }
    }

    /// Bytes that rows may take before the file system has too little space left; no limit where that cannot be known.
    func byteCountThatFits() -> Int64 {
        var file = stat()
        guard let room = DiskRoom(of: path), stat(path, &file) == 0 else { return .max }
        let spare = min(Self.spareByteCount, Int64(clamping: room.total / 20))
        return max(0, Int64(file.st_size) + Int64(clamping: room.free) - spare)
    }

    func recorded(at position: Position) throws -> UnixTime? {
        try pool.read { db in
            try Int64.fetchOne(db, sql: "SELECT recorded FROM row WHERE seq = ?", arguments: [Int64(position)])
                .map(UnixTime.init(microseconds:))
        }
    }

    /// Lets go of a file that this start does not use.
    func abandon() {
        let file = opened.withLock { file in
            defer { file = nil }
            return file
        }
        try? file?.pool.close()
    }

    /// Moves everything into the main file and closes it.
    ///
    /// - Parameter next: nil where rows that had positions are not in the file.
    func close(next: Position?) throws {
        let file = try file
        defer {
            opened.withLock { $0 = nil }
            file.close()
        }
        if let next { try file.pool.write { try Self.remember(next, $0) } }
    }
}

extension StoredRow {
    /// - Throws: where a column does not hold what it should: a damaged page.
    init(_ row: Row) throws {
        guard let seq = Int64.fromDatabaseValue(row[0]), seq > 0, let epoch = Int64.fromDatabaseValue(row[1]),
            let recorded = Int64.fromDatabaseValue(row[2]), let sealed = Data.fromDatabaseValue(row[3]),
            let body = RowCheck.opened(Array(sealed), seq, epoch, recorded)
        else { throw ByteReader.Malformed() }
        position = Position(seq)
        self.epoch = UInt32(truncatingIfNeeded: epoch)
        self.recorded = UnixTime(microseconds: recorded)
        self.body = body
    }
}
