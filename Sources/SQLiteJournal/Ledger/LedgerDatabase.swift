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
    ///
    /// - Parameter digest: of the records before.
    /// - Returns: the digest of the records behind it.
    func commit(_ group: LedgerGroup, _ digest: RecordDigest) throws -> RecordDigest {
        try pool.write { db in
            var digest = digest
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
                let old = try Self.bodyHash(record.kind, record.key, db)
                digest.change(record.kind, record.key, from: old, to: record.body.map(MerkleHash.digest))
                if let body = record.body {
                    try set.execute(arguments: [record.kind, record.key, Data(body)])
                } else {
                    try drop.execute(arguments: [record.kind, record.key])
                }
            }
            return digest
        }
    }

    private static func bodyHash(_ kind: String, _ key: String, _ db: Database) throws -> MerkleHash? {
        let body = try db.cachedStatement(sql: "SELECT body FROM record WHERE kind = ? AND key = ?")
        return try Data.fetchOne(body, arguments: [kind, key]).map { .digest(Array($0)) }
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
        try pool.read { try Self.records(kind, $0) }
    }

    static func records(_ kind: String, _ db: Database) throws -> [LedgerRecord] {
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

    /// Over all records as they are.
    static func recordDigest(_ db: Database) throws -> RecordDigest {
        var digest = RecordDigest()
        let cursor = try Row.fetchCursor(db, sql: "SELECT kind, key, body FROM record")
        while let row = try cursor.next() {
            guard let kind = String.fromDatabaseValue(row[0]), let key = String.fromDatabaseValue(row[1]),
                let body = Data.fromDatabaseValue(row[2])
            else { throw ByteReader.Malformed() }
            digest.change(kind, key, from: nil, to: .digest(Array(body)))
        }
        return digest
    }

    /// Over the records as the seals tell them.
    static func sealedDigest(_ db: Database) throws -> RecordDigest {
        var hashes: [String: (kind: String, key: String, hash: MerkleHash)] = [:]
        let cursor = try Row.fetchCursor(
            db, sql: "SELECT body FROM leaf WHERE substr(body, 1, ?) = ? ORDER BY idx",
            arguments: [Seal.marker.count, Data(Seal.marker)])
        while let row = try cursor.next() {
            guard let seal = Data.fromDatabaseValue(row[0]).flatMap({ Seal(leaf: Array($0)) }) else {
                throw ByteReader.Malformed()
            }
            for change in seal.changes {
                hashes["\(change.kind) \(change.key)"] = change.hash.map { (change.kind, change.key, $0) }
            }
        }
        var digest = RecordDigest()
        for (kind, key, hash) in hashes.values { digest.change(kind, key, from: nil, to: hash) }
        return digest
    }

    /// The largest checkpoint.
    func newestNote() throws -> [UInt8]? {
        try pool.read { db in
            try Data.fetchOne(db, sql: "SELECT note FROM checkpoint ORDER BY size DESC LIMIT 1").map(Array.init)
        }
    }

    func byteCountOnDisk() -> Int64 { StoreFile.byteCountOnDisk(pool.path) }

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
