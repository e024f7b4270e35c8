import Audit
import Engine
import Foundation
import GRDB

/// Everything that one transaction of the ledger writes.
struct LedgerGroup: Sendable {
    /// Index of the first of ``leaves``.
    var first: UInt64
    var leaves: [[UInt8]] = []
    /// Complete subtrees above the leaves.
    var nodes: [MerkleNode] = []
    var records: [LedgerRecord] = []
}

/// The ledger's file: every statement that it needs.
///
/// - `leaf`: the audit entries, from index 0 on, as the bytes that were hashed.
/// - `node`: the complete subtrees above them, which proofs are made of. They follow from the leaves.
/// - `record`: the present state; the seals among the leaves tell its hashes.
/// - `checkpoint`: what was signed, by size.
/// - `signer`: public keys of whoever signed here.
struct LedgerDatabase: Sendable {
    private let file: StoreFile
    var pool: DatabasePool { file.pool }
    var meter: LogMeter { file.meter }

    static let fileName = "ledger.sqlite"

    private static let layout = StoreFile.Layout(
        version: 1,
        tables: """
            CREATE TABLE leaf (idx INTEGER PRIMARY KEY, body BLOB NOT NULL);
            CREATE TABLE node (level INTEGER NOT NULL, idx INTEGER NOT NULL, hash BLOB NOT NULL, PRIMARY KEY (level, idx)) WITHOUT ROWID;
            CREATE TABLE record (kind TEXT NOT NULL, key TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (kind, key));
            CREATE TABLE checkpoint (size INTEGER PRIMARY KEY, note BLOB NOT NULL);
            CREATE TABLE signer (key TEXT PRIMARY KEY) WITHOUT ROWID;
            """)

    init(path: String) throws {
        file = try StoreFile(path: path, syncsEachCommit: true, layout: Self.layout)
    }

    // MARK: - Writing

    /// One transaction, on the disk when it returns.
    func commit(_ group: LedgerGroup) throws {
        try pool.write { db in
            let leaf = try db.cachedStatement(sql: "INSERT INTO leaf VALUES (?, ?)")
            for (offset, body) in group.leaves.enumerated() {
                try leaf.execute(arguments: [Int64(group.first) + Int64(offset), Data(body)])
            }
            let node = try db.cachedStatement(sql: "INSERT INTO node VALUES (?, ?, ?)")
            for added in group.nodes {
                let position = added.position
                try node.execute(arguments: [position.level, Int64(position.index), Data(added.hash.bytes)])
            }
            let set = try db.cachedStatement(
                sql: "INSERT INTO record VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET body = excluded.body")
            let drop = try db.cachedStatement(sql: "DELETE FROM record WHERE kind = ? AND key = ?")
            for record in group.records {
                if let body = record.body {
                    try set.execute(arguments: [record.kind, record.key, Data(body)])
                } else {
                    try drop.execute(arguments: [record.kind, record.key])
                }
            }
        }
    }

    func store(note: [UInt8], size: UInt64, signer: String) throws {
        try pool.write { db in
            try db.execute(
                sql: "INSERT OR REPLACE INTO checkpoint VALUES (?, ?)", arguments: [Int64(size), Data(note)])
            try db.execute(sql: "INSERT OR IGNORE INTO signer VALUES (?)", arguments: [signer])
        }
    }

    func checkpointIfDue() throws {
        try file.checkpointIfDue()
    }

    func close() {
        file.close()
    }

    // MARK: - Reading

    func frontier() throws -> MerkleFrontier {
        try pool.read { db in
            let size = try Self.size(db)
            return try MerkleFrontier(size: size) { try Self.hash($0, db) }
        }
    }

    /// The root of the first `size` leaves.
    func root(size: UInt64) throws -> MerkleHash {
        try pool.read { db in try MerkleFrontier(size: size) { try Self.hash($0, db) }.root }
    }

    func records(_ kind: String) throws -> [LedgerRecord] {
        try pool.read { db in
            let cursor = try Row.fetchCursor(
                db, sql: "SELECT key, body FROM record WHERE kind = ? ORDER BY key", arguments: [kind])
            var records: [LedgerRecord] = []
            while let row = try cursor.next() {
                guard let key = String.fromDatabaseValue(row[0]), let body = Data.fromDatabaseValue(row[1]) else {
                    throw ByteReader.Malformed()
                }
                records.append(LedgerRecord(kind: kind, key: key, body: Array(body)))
            }
            return records
        }
    }

    /// The largest checkpoint.
    func newestNote() throws -> [UInt8]? {
        try pool.read { db in
            try Data.fetchOne(db, sql: "SELECT note FROM checkpoint ORDER BY size DESC LIMIT 1").map(Array.init)
        }
    }

    func byteCountOnDisk() -> Int64 {
        ["", "-wal"].reduce(0) { sum, suffix in
            var attributes = stat()
            return stat(pool.path + suffix, &attributes) == 0 ? sum + Int64(attributes.st_size) : sum
        }
    }

    static func size(_ db: Database) throws -> UInt64 {
        let last = try Int64.fetchOne(db, sql: "SELECT max(idx) FROM leaf") ?? -1
        guard last >= -1, last < .max / 2 else { throw ByteReader.Malformed() }
        return UInt64(last + 1)
    }

    /// The hash of a complete subtree; of leaves it is made anew.
    static func hash(_ position: MerklePosition, _ db: Database) throws -> MerkleHash {
        if position.level == 0 {
            let leaf = try db.cachedStatement(sql: "SELECT body FROM leaf WHERE idx = ?")
            guard let body = try Data.fetchOne(leaf, arguments: [Int64(position.index)]) else {
                throw ByteReader.Malformed()
            }
            return .leaf(Array(body))
        }
        let node = try db.cachedStatement(sql: "SELECT hash FROM node WHERE level = ? AND idx = ?")
        guard let bytes = try Data.fetchOne(node, arguments: [position.level, Int64(position.index)]),
            let hash = MerkleHash(Array(bytes))
        else { throw ByteReader.Malformed() }
        return hash
    }
}
