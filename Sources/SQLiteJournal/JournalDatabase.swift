import Engine
import Foundation
import GRDB
import Model

/// One stored row: its position, when it was appended, its epoch and its encoded body.
struct StoredRow: Sendable {
    var position: Position
    var epoch: UInt32
    var recorded: UnixTime
    var body: [UInt8]
}

/// The database file: every statement that the journal needs, on connections that are set up the way the invariants want.
struct JournalDatabase: Sendable {
    let pool: DatabasePool

    /// Version of the tables below (`PRAGMA user_version`). A larger one belongs to a newer Headgate.
    static let schemaVersion = 1
    /// Page cache of each connection, in KiB: the journal appends and reads forward, a large cache would only cost memory.
    private static let cacheSize = 512

    init(path: String, durability: BufferSettings.Durability) throws {
        var configuration = Configuration()
        configuration.maximumReaderCount = 2
        configuration.busyMode = .timeout(5)
        configuration.prepareDatabase { db in
            try db.execute(sql: "PRAGMA cache_size = -\(Self.cacheSize)")
        }
        pool = try DatabasePool(path: path, configuration: configuration)
        let level = durability == .power ? 2 : 1
        try pool.writeWithoutTransaction { db in
            // The pool sets NORMAL while it opens: what the durability needs is set afterwards, and checked.
            try db.execute(sql: "PRAGMA synchronous = \(level)")
            guard try Int.fetchOne(db, sql: "PRAGMA synchronous") == level else {
                throw JournalError.unusable("\(path): SQLite does not accept synchronous=\(level)")
            }
        }
        try migrate(path: path)
    }

    private func migrate(path: String) throws {
        try pool.write { db in
            let version = try Int.fetchOne(db, sql: "PRAGMA user_version") ?? 0
            guard version <= Self.schemaVersion else {
                throw JournalError.unusable(
                    "\(path) has format \(version), this Headgate knows up to \(Self.schemaVersion); install the newer version"
                )
            }
            guard version < 1 else { return }
            try db.execute(
                sql: """
                    CREATE TABLE row (seq INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, recorded INTEGER NOT NULL, body BLOB NOT NULL);
                    CREATE TABLE layout (id INTEGER PRIMARY KEY, body BLOB NOT NULL UNIQUE);
                    CREATE TABLE publisher (name TEXT PRIMARY KEY, pending BLOB NOT NULL) WITHOUT ROWID;
                    CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
                    PRAGMA user_version = 1;
                    """)
        }
    }

    // MARK: - Start

    /// Counts the epoch up and makes that durable before anything is done in it.
    func beginEpoch() throws -> UInt32 {
        try pool.write { db in
            let epoch = (try Int64.fetchOne(db, sql: "SELECT value FROM meta WHERE key = 'epoch'") ?? 0) + 1
            try db.execute(sql: "INSERT OR REPLACE INTO meta VALUES ('epoch', ?)", arguments: [epoch])
            return UInt32(epoch)
        }
    }

    /// First stored position and the one behind the last; equal when nothing is stored. The `next` that was remembered
    /// counts where eviction took everything.
    func bounds() throws -> (first: Position, next: Position) {
        try pool.read { db in
            let first = try Int64.fetchOne(db, sql: "SELECT min(seq) FROM row")
            let last = try Int64.fetchOne(db, sql: "SELECT max(seq) FROM row") ?? 0
            let remembered = try Int64.fetchOne(db, sql: "SELECT value FROM meta WHERE key = 'next'") ?? 1
            let next = max(last + 1, remembered)
            return (Position(first ?? next), Position(next))
        }
    }

    /// When the newest row was appended.
    func lastRecorded() throws -> UnixTime? {
        try pool.read { db in
            try Int64.fetchOne(db, sql: "SELECT recorded FROM row ORDER BY seq DESC LIMIT 1").map(
                UnixTime.init(microseconds:))
        }
    }

    func rememberNext(_ next: Position) throws {
        try pool.write {
            try $0.execute(sql: "INSERT OR REPLACE INTO meta VALUES ('next', ?)", arguments: [Int64(next)])
        }
    }

    // MARK: - Rows

    /// One transaction: rows and what publishers still have to deliver.
    func commit(_ rows: [StoredRow], pending: [String: [PositionInterval]]) throws {
        try pool.write { db in
            let insert = try db.cachedStatement(sql: "INSERT INTO row VALUES (?, ?, ?, ?)")
            for row in rows {
                try insert.execute(arguments: [
                    Int64(row.position), Int64(row.epoch), row.recorded.microseconds, Data(row.body),
                ])
            }
            for (name, intervals) in pending {
                try db.execute(
                    sql: "INSERT OR REPLACE INTO publisher VALUES (?, ?)", arguments: [name, Data(intervals.encoded)])
            }
        }
    }

    func rows(from position: Position, limit: Int, byteLimit: Int) throws -> [StoredRow] {
        try pool.read { db in
            let cursor = try Row.fetchCursor(
                db, sql: "SELECT seq, epoch, recorded, body FROM row WHERE seq >= ? ORDER BY seq LIMIT ?",
                arguments: [Int64(position), limit])
            var rows: [StoredRow] = []
            var byteCount = 0
            while byteCount < byteLimit, let row = try cursor.next() {
                let stored = StoredRow(row)
                byteCount += stored.body.count
                rows.append(stored)
            }
            return rows
        }
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
        let stored = try pool.read { db in
            try Row.fetchAll(db, sql: "SELECT name, pending FROM publisher").map {
                (name: $0["name"] as String, pending: $0["pending"] as Data)
            }
        }
        var result: [String: [PositionInterval]] = [:]
        for (name, bytes) in stored { result[name] = try [PositionInterval](encoded: Array(bytes)) }
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

    /// The first position appended at or after `time`, looking at no more than `limit` rows; nil when even the oldest row is
    /// younger.
    func firstPosition(recordedSince time: UnixTime, limit: Int) throws -> Position? {
        try pool.read { db in
            let old = try Int64.fetchOne(
                db,
                sql: """
                    SELECT max(seq) FROM (SELECT seq, recorded FROM row ORDER BY seq LIMIT ?) WHERE recorded < ?
                    """, arguments: [limit, time.microseconds])
            return old.map { Position($0) + 1 }
        }
    }

    /// Deletes everything below `first`, and appends `gap` in the same transaction where undelivered rows go.
    func evict(below first: Position, gap: StoredRow?) throws {
        try pool.write { db in
            try db.execute(sql: "DELETE FROM row WHERE seq < ?", arguments: [Int64(first)])
            if let gap {
                try db.execute(
                    sql: "INSERT INTO row VALUES (?, ?, ?, ?)",
                    arguments: [Int64(gap.position), Int64(gap.epoch), gap.recorded.microseconds, Data(gap.body)])
            }
        }
    }

    func recorded(at position: Position) throws -> UnixTime? {
        try pool.read { db in
            try Int64.fetchOne(db, sql: "SELECT recorded FROM row WHERE seq = ?", arguments: [Int64(position)])
                .map(UnixTime.init(microseconds:))
        }
    }

    func close() throws {
        try pool.writeWithoutTransaction { _ = try $0.checkpoint(.truncate) }
        try pool.close()
    }
}

extension StoredRow {
    fileprivate init(_ row: Row) {
        position = Position(row[0] as Int64)
        epoch = UInt32(truncatingIfNeeded: row[1] as Int64)
        recorded = UnixTime(microseconds: row[2])
        body = Array(row[3] as Data)
    }
}
