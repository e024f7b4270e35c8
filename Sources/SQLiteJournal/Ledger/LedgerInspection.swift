package import Audit
package import Engine
import Files
import Foundation
import GRDB

/// Reads a ledger from outside, also while a gateway writes on it: for `headgate audit`.
package struct LedgerInspection: Sendable {
    private let path: String
    private let queue: DatabaseQueue
    /// What was committed last, as the state folder remembers it outside of the database.
    private let mark: LedgerMark?

    /// - Parameter path: of a state folder, or of the file itself.
    /// - Throws: ``LedgerError`` when there is no ledger or it cannot be read.
    package init(path: String) throws(LedgerError) {
        var isFolder: ObjCBool = false
        let isThere = FileManager.default.fileExists(atPath: path, isDirectory: &isFolder)
        let file = isFolder.boolValue ? path + "/" + LedgerDatabase.fileName : path
        if let refusal = ReadAccess.refusal(file) { throw .unusable(refusal) }
        guard isThere, FileManager.default.fileExists(atPath: file) else {
            throw .unusable("no ledger at \(file); has a gateway with a command policy ever run on this state folder?")
        }
        self.path = file
        let lock = URL(fileURLWithPath: file).deletingLastPathComponent().appendingPathComponent(LedgerOpening.lockName)
        mark = (try? RegularFile(lock.path, limit: LedgerMark.byteCount)).flatMap { LedgerMark(line: $0.bytes) }
        do {
            queue = try DatabaseQueue(path: StoreFile.readablePath(file), configuration: StoreFile.readOnly)
        } catch {
            throw LedgerOpening.problem(error, file)
        }
    }

    /// The records of a kind, once the newest entries and all records are known to be those that were committed last: for a
    /// start on a disk that takes nothing.
    package func soundRecords(_ kind: String) throws(LedgerError) -> [LedgerRecord] {
        try read { db in
            let size = try LedgerDatabase.size(db)
            let frontier = try MerkleFrontier(size: size) { try LedgerDatabase.hash($0, db) }
            guard let mark, mark.size == size, mark.root == frontier.root,
                try LedgerDatabase.recordDigest(db) == mark.records
            else { throw LedgerOpening.Broken("it is not what was committed last") }
            return try LedgerDatabase.records(kind, db)
        }
    }

    /// Public keys of whoever signed, as the file itself says.
    package func signers() throws(LedgerError) -> [String] {
        try read { try String.fetchAll($0, sql: "SELECT key FROM signer ORDER BY key") }
    }

    /// All checkpoints, in the order of their sizes.
    package func notes() throws(LedgerError) -> [[UInt8]] {
        try read { try Data.fetchAll($0, sql: "SELECT note FROM checkpoint ORDER BY size").map(Array.init) }
    }

    package func size() throws(LedgerError) -> UInt64 {
        try read { try LedgerDatabase.size($0) }
    }

    /// The leaves with indices of `range`, in order.
    package func leaves(
        _ range: Range<UInt64>, _ body: (_ index: UInt64, _ leaf: [UInt8]) throws -> Void
    ) throws(LedgerError) {
        try read { try Self.leaves(range, $0, body) }
    }

    /// The leaves with indices of `range`, in order, each with its inclusion proof in the first `size` leaves; none for those
    /// behind them.
    package func leaves(
        _ range: Range<UInt64>, provenIn size: UInt64,
        _ body: (_ index: UInt64, _ leaf: [UInt8], _ proof: [MerkleHash]?) throws -> Void
    ) throws(LedgerError) {
        try read { db in
            try Self.leaves(range, db) { index, leaf in
                let proof =
                    try index < size
                    ? MerkleProof.inclusion(of: index, size: size) { try LedgerDatabase.hash($0, db) } : nil
                try body(index, leaf, proof)
            }
        }
    }

    package func consistency(from size: UInt64, to newSize: UInt64) throws(LedgerError) -> [MerkleHash] {
        try read { db in try MerkleProof.consistency(from: size, to: newSize) { try LedgerDatabase.hash($0, db) } }
    }

    /// Everything that the file holds, against what was signed and sealed, in one look.
    ///
    /// - Parameters:
    ///   - keys: who may have signed.
    ///   - others: checkpoints kept elsewhere, which the log has to agree with as well.
    package func verification(keys: [NoteVerifier], others: [[UInt8]]) throws(LedgerError) -> AuditVerification {
        try read { db in
            let notes = try Data.fetchAll(db, sql: "SELECT note FROM checkpoint ORDER BY size").map(Array.init)
            var audit = AuditVerification(notes: notes + others, keys: keys)
            let last = try Int64.fetchOne(db, sql: "SELECT max(idx) FROM leaf") ?? -1
            let node = try db.cachedStatement(sql: "SELECT hash FROM node WHERE level = ? AND idx = ?")
            var nodeCount: Int64 = 0
            try Self.leaves(0..<UInt64(max(0, last + 1)), db) { index, leaf in
                if index != audit.size { audit.found(.entryMissing, "entry \(audit.size) is not there") }
                for added in audit.append(leaf).dropFirst() {
                    nodeCount += 1
                    let stored = try Data.fetchOne(
                        node, arguments: [added.position.level, Int64(added.position.index)])
                    if stored.map(Array.init) != added.hash.bytes {
                        audit.found(.nodeMismatch, "the stored hash above entry \(index) is not the one that follows")
                    }
                }
            }
            if try Int64.fetchOne(db, sql: "SELECT count(*) FROM node") != nodeCount {
                audit.found(.nodeMismatch, "there are stored hashes that follow from no entry")
            }
            audit.compare(records: try Self.records(db))
            audit.finish()
            for trouble in try String.fetchAll(db, sql: "PRAGMA integrity_check(10)") where trouble != "ok" {
                audit.found(.unreadable, "SQLite says: \(trouble)")
            }
            if let mark, mark.size > audit.size {
                audit.found(
                    .entryMissing, "\(mark.size) entries were committed on this machine, \(audit.size) are there")
            }
            return audit
        }
    }

    private static func leaves(
        _ range: Range<UInt64>, _ db: Database, _ body: (UInt64, [UInt8]) throws -> Void
    ) throws {
        let cursor = try Row.fetchCursor(
            db, sql: "SELECT idx, body FROM leaf WHERE idx >= ? AND idx < ? ORDER BY idx",
            arguments: [Int64(clamping: range.lowerBound), Int64(clamping: range.upperBound)])
        while let row = try cursor.next() {
            guard let index = Int64.fromDatabaseValue(row[0]), index >= 0, let leaf = Data.fromDatabaseValue(row[1])
            else {
                throw ByteReader.Malformed()
            }
            try body(UInt64(index), Array(leaf))
        }
    }

    private static func records(_ db: Database) throws -> [(kind: String, key: String, body: [UInt8])] {
        try Row.fetchAll(db, sql: "SELECT kind, key, body FROM record").map { row in
            guard let kind = String.fromDatabaseValue(row[0]), let key = String.fromDatabaseValue(row[1]),
                let body = Data.fromDatabaseValue(row[2])
            else { throw ByteReader.Malformed() }
            return (kind, key, Array(body))
        }
    }

    private func read<Value>(_ look: (Database) throws -> Value) throws(LedgerError) -> Value {
        do {
            return try queue.read(look)
        } catch {
            throw LedgerOpening.problem(error, path)
        }
    }
}
