import Engine
import Foundation
import GRDB
import GRDBSQLite

/// An SQLite file in write-ahead mode, opened and checked the way the journal and the ledger want it. One connection writes,
/// a few read and never wait for it.
struct StoreFile: Sendable {
    let pool: DatabasePool
    let meter: LogMeter
    private let checkpointPages: Int

    /// The tables of a file.
    struct Layout {
        /// `PRAGMA user_version`. A larger one belongs to a newer Headgate.
        var version: Int
        /// Makes them in a new file.
        var tables: String
    }

    /// Page cache of each connection, in KiB: files are appended to and read forward, a large cache would only cost memory.
    private static let cacheSize = 512
    /// The write-ahead log is cut back to this after a large group, where there is room for so much.
    static let logByteLimit: Int64 = 8 << 20
    /// Pages of the log that are worth moving into the main file.
    private static let checkpointPages = 1000
    private static let pageSize: Int64 = 4096
    /// Milliseconds that a statement waits for another connection.
    private static let longWait: Int32 = 5000
    private static let shortWait: Int32 = 50
    /// What belongs to a database on the disk.
    static let suffixes = ["", "-wal", "-shm"]

    /// - Parameter syncsEachCommit: whether a power cut loses nothing that was committed, at the price of an fsync each.
    /// - Parameter logByteLimit: what the write-ahead log should not exceed while no reader holds it back.
    init(
        path: String, syncsEachCommit: Bool, layout: Layout, logByteLimit: Int64 = Self.logByteLimit,
        meter: LogMeter? = nil
    ) throws {
        checkpointPages = min(Self.checkpointPages, Int(logByteLimit / Self.pageSize / 2))
        var configuration = Configuration()
        configuration.maximumReaderCount = 2
        configuration.busyMode = .timeout(Double(Self.longWait) / 1000)
        configuration.prepareDatabase { db in
            try db.execute(sql: "PRAGMA cache_size = -\(Self.cacheSize)")
            // Debian's SQLite overwrites deleted rows with zeros unless told otherwise: flash wear for nothing.
            try db.execute(sql: "PRAGMA secure_delete = OFF")
            try db.execute(sql: "PRAGMA journal_size_limit = \(logByteLimit)")
        }
        pool = try DatabasePool(path: path, configuration: configuration)
        let meter = meter ?? LogMeter(syncsEachCommit: syncsEachCommit)
        self.meter = meter
        let level = syncsEachCommit ? 2 : 1
        try pool.writeWithoutTransaction { db in
            // The pool sets NORMAL while it opens: what the durability needs is set afterwards, and checked.
            try db.execute(sql: "PRAGMA synchronous = \(level)")
            guard try Int.fetchOne(db, sql: "PRAGMA synchronous") == level else {
                throw JournalError.unusable("\(path): SQLite does not accept synchronous=\(level)")
            }
            meter.install(on: db)
        }
        do {
            try migrate(to: layout)
        } catch {
            try? pool.close()
            throw error
        }
    }

    /// A new file can give back space that is free: that has to be chosen while it is empty.
    private func chooseIncrementalVacuum() throws {
        try pool.writeWithoutTransaction { db in
            guard try Int.fetchOne(db, sql: "PRAGMA user_version") == 0,
                try Int.fetchOne(db, sql: "SELECT count(*) FROM sqlite_schema") == 0
            else { return }
            try db.execute(sql: "PRAGMA auto_vacuum = INCREMENTAL")
            try db.execute(sql: "VACUUM")
        }
    }

    private func migrate(to layout: Layout) throws {
        try chooseIncrementalVacuum()
        try pool.write { db in
            let version = try Int.fetchOne(db, sql: "PRAGMA user_version") ?? 0
            guard version <= layout.version else {
                throw JournalError.unusable(
                    "\(pool.path) has format \(version), this Headgate knows up to \(layout.version); install the newer version"
                )
            }
            guard version < layout.version else { return }
            if version < 1 { try db.execute(sql: layout.tables) }
            try db.execute(sql: "PRAGMA user_version = \(layout.version)")
        }
    }

    /// Moves the write-ahead log into the main file when it has grown long enough to be worth it.
    func checkpointIfDue() throws {
        guard meter.logPages >= checkpointPages else { return }
        try pool.writeWithoutTransaction { db in
            let before = meter.logPages
            // A reader may hold back the rest; the next commit tries again.
            guard let row = try Row.fetchOne(db, sql: "PRAGMA wal_checkpoint(PASSIVE)"),
                let moved = Int.fromDatabaseValue(row[2])
            else { return }
            meter.checkpointed(isWhole: moved >= before)
        }
    }

    /// Tries to empty the write-ahead log; a reader may hold it back. Waits for a short read only: commits wait meanwhile.
    ///
    /// - Returns: whether it is empty now.
    func truncateLog() throws -> Bool {
        try pool.writeWithoutTransaction { db in
            sqlite3_busy_timeout(db.sqliteConnection, Self.shortWait)
            defer { sqlite3_busy_timeout(db.sqliteConnection, Self.longWait) }
            let row = try Row.fetchOne(db, sql: "PRAGMA wal_checkpoint(TRUNCATE)")
            let isWhole = row.flatMap { Int.fromDatabaseValue($0[0]) } == 0
            if isWhole { meter.checkpointed(isWhole: true) }
            return isWhole
        }
    }

    /// Gives free pages back to the file system, at most `pages`.
    func shrink(by pages: Int64) throws {
        try pool.writeWithoutTransaction { db in
            // Each step of the statement frees a page.
            let steps = try Row.fetchCursor(db, sql: "PRAGMA incremental_vacuum(\(pages))")
            while try steps.next() != nil {}
        }
    }

    /// How a reader opens a file: without anything beside it where that cannot be made, because the disk takes nothing. Only
    /// where the log is empty does the file have everything.
    static func readablePath(_ path: String) -> String {
        guard byteCount(path + "-wal") == 0, let probe = try? DatabaseQueue(path: path, configuration: readOnly) else {
            return path
        }
        defer { try? probe.close() }
        if (try? probe.read { try Int.fetchOne($0, sql: "SELECT count(*) FROM sqlite_schema") }) != nil { return path }
        return immutablePath(path)
    }

    static func immutablePath(_ path: String) -> String {
        "file:\(path.addingPercentEncoding(withAllowedCharacters: .urlPathAllowed) ?? path)?immutable=1"
    }

    static var readOnly: Configuration {
        var configuration = Configuration()
        configuration.readonly = true
        configuration.busyMode = .timeout(Double(Self.longWait) / 1000)
        return configuration
    }

    static func byteCountOnDisk(_ path: String) -> Int64 {
        suffixes.reduce(0) { sum, suffix in sum + byteCount(path + suffix) }
    }

    static func byteCount(_ path: String) -> Int64 {
        var attributes = stat()
        return stat(path, &attributes) == 0 ? Int64(attributes.st_size) : 0
    }

    /// Moves everything into the main file and closes it.
    func close() {
        // A reader from outside may keep the log from being emptied; what is in it is durable all the same.
        _ = try? pool.writeWithoutTransaction { try $0.checkpoint(.truncate) }
        try? pool.close()
    }
}
