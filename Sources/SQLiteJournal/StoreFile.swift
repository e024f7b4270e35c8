import Engine
import Foundation
import GRDB

/// An SQLite file in write-ahead mode, opened and checked the way the journal and the ledger want it. One connection writes,
/// a few read and never wait for it.
struct StoreFile: Sendable {
    let pool: DatabasePool
    let meter: LogMeter

    /// The tables of a file.
    struct Layout {
        /// `PRAGMA user_version`. A larger one belongs to a newer Headgate.
        var version: Int
        /// Makes them in a new file.
        var tables: String
    }

    /// Page cache of each connection, in KiB: files are appended to and read forward, a large cache would only cost memory.
    private static let cacheSize = 512
    /// The write-ahead log is cut back to this after a large group.
    private static let logByteLimit = 8 << 20
    /// Pages of the log that are worth moving into the main file.
    private static let checkpointPages = 1000

    /// - Parameter syncsEachCommit: whether a power cut loses nothing that was committed, at the price of an fsync each.
    init(path: String, syncsEachCommit: Bool, layout: Layout) throws {
        var configuration = Configuration()
        configuration.maximumReaderCount = 2
        configuration.busyMode = .timeout(5)
        configuration.prepareDatabase { db in
            try db.execute(sql: "PRAGMA cache_size = -\(Self.cacheSize)")
            // Debian's SQLite overwrites deleted rows with zeros unless told otherwise: flash wear for nothing.
            try db.execute(sql: "PRAGMA secure_delete = OFF")
            try db.execute(sql: "PRAGMA journal_size_limit = \(Self.logByteLimit)")
        }
        pool = try DatabasePool(path: path, configuration: configuration)
        meter = LogMeter(syncsEachCommit: syncsEachCommit)
        let level = syncsEachCommit ? 2 : 1
        try pool.writeWithoutTransaction { db in
            // The pool sets NORMAL while it opens: what the durability needs is set afterwards, and checked.
            try db.execute(sql: "PRAGMA synchronous = \(level)")
            guard try Int.fetchOne(db, sql: "PRAGMA synchronous") == level else {
                throw JournalError.unusable("\(path): SQLite does not accept synchronous=\(level)")
            }
            meter.install(on: db)
        }
        try migrate(to: layout)
    }

    private func migrate(to layout: Layout) throws {
        try pool.write { db in
            let version = try Int.fetchOne(db, sql: "PRAGMA user_version") ?? 0
            guard version <= layout.version else {
                throw JournalError.unusable(
                    "\(pool.path) has format \(version), this Headgate knows up to \(layout.version); install the newer version"
                )
            }
            guard version < 1 else { return }
            try db.execute(sql: layout.tables)
            try db.execute(sql: "PRAGMA user_version = \(layout.version)")
        }
    }

    /// Moves the write-ahead log into the main file when it has grown long enough to be worth it.
    func checkpointIfDue() throws {
        guard meter.logPages >= Self.checkpointPages else { return }
        try pool.writeWithoutTransaction { db in
            let before = meter.logPages
            // A reader may hold back the rest; the next commit tries again.
            guard let row = try Row.fetchOne(db, sql: "PRAGMA wal_checkpoint(PASSIVE)"),
                let moved = Int.fromDatabaseValue(row[2])
            else { return }
            meter.checkpointed(isWhole: moved >= before)
        }
    }

    /// Moves everything into the main file and closes it.
    func close() {
        // A reader from outside may keep the log from being emptied; what is in it is durable all the same.
        _ = try? pool.writeWithoutTransaction { try $0.checkpoint(.truncate) }
        try? pool.close()
    }
}
