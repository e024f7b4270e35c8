import Audit
import Foundation
import GRDB

/// Watches over the files of a ledger while it runs: only the gateway may change them.
struct LedgerWatch {
    private struct File: Hashable {
        var device: UInt64
        var inode: UInt64

        init?(_ path: String) {
            var attributes = stat()
            guard stat(path, &attributes) == 0 else { return nil }
            (device, inode) = (UInt64(attributes.st_dev), UInt64(attributes.st_ino))
        }
    }

    /// Changes when anything writes into the main file, or another connection commits.
    private struct Version: Hashable {
        var size: Int64
        var seconds: Int
        var nanoseconds: Int
        var commits: Int64?

        init(_ path: String, _ db: Database) throws {
            var attributes = stat()
            guard stat(path, &attributes) == 0 else { throw LedgerOpening.Broken("the file is gone") }
            size = Int64(attributes.st_size)
            (seconds, nanoseconds) = (attributes.st_mtim.tv_sec, attributes.st_mtim.tv_nsec)
            commits = try Int64.fetchOne(db, sql: "PRAGMA data_version")
        }
    }

    private let path: String
    private var files: [File?]
    private var version: Version?

    init(path: String) {
        self.path = path
        files = Self.files(path)
    }

    private static func files(_ path: String) -> [File?] {
        [File(path), File(path + "-wal")]
    }

    /// Before a commit.
    ///
    /// - Returns: whether something has written that is not the gateway: what is there has to be looked through.
    /// - Throws: ``LedgerOpening/Broken`` where the files are gone or others.
    func isTouched(_ database: LedgerDatabase, _ lock: StateLock) throws -> Bool {
        guard Self.files(path) == files else {
            throw LedgerOpening.Broken("its files were removed or replaced while the gateway runs")
        }
        guard lock.isInPlace else {
            throw LedgerOpening.Broken("\(LedgerOpening.lockName) was removed or replaced while the gateway runs")
        }
        guard let version else { return false }
        return try database.pool.writeWithoutTransaction { try Version(path, $0) } != version
    }

    /// Behind what the gateway itself has written.
    mutating func adopt(_ database: LedgerDatabase) throws {
        version = try database.pool.writeWithoutTransaction { try Version(path, $0) }
    }

    /// Looks through everything that is there, on a connection that has nothing in memory.
    func lookThrough(_ frontier: MerkleFrontier, _ records: RecordDigest) throws {
        var configuration = Configuration()
        configuration.readonly = true
        let queue = try DatabaseQueue(path: path, configuration: configuration)
        defer { try? queue.close() }
        try queue.read { db in
            guard try String.fetchOne(db, sql: "PRAGMA quick_check(1)") == "ok" else {
                throw LedgerOpening.Broken("it was overwritten while the gateway runs")
            }
            guard try LedgerDatabase.recomputed(db).root == frontier.root,
                try LedgerDatabase.recordDigest(db) == records
            else { throw LedgerOpening.Broken("entries or records were changed while the gateway runs") }
        }
    }
}

extension LedgerDatabase {
    /// The tree over the entries that are there, hashed anew.
    static func recomputed(_ db: Database) throws -> MerkleFrontier {
        var frontier = MerkleFrontier()
        let cursor = try Row.fetchCursor(db, sql: "SELECT idx, body FROM leaf ORDER BY idx")
        while let row = try cursor.next() {
            guard let index = Int64.fromDatabaseValue(row[0]), UInt64(clamping: index) == frontier.size,
                let body = Data.fromDatabaseValue(row[1])
            else { throw ByteReader.Malformed() }
            _ = frontier.append(.leaf(Array(body)))
        }
        return frontier
    }
}
