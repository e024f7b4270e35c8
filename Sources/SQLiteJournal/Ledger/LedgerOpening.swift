import Audit
import Engine
import Foundation
import GRDB

/// Opens a ledger, or says why nothing may be written on it. A ledger is never repaired or begun anew by itself: what is
/// wrong with it is what the audit is there to show.
struct LedgerOpening {
    let database: LedgerDatabase
    let lock: StateLock
    let frontier: MerkleFrontier

    static let lockName = "ledger.lock"
    /// Files up to this size are checked page by page at the start; beyond, only what appending needs is, and
    /// `headgate audit verify` checks the rest.
    private static let checkedByteCount: Int64 = 256 << 20

    init(folder: String) throws(LedgerError) {
        let path = folder + "/" + LedgerDatabase.fileName
        do {
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            lock = try StateLock(folder: folder, name: Self.lockName)
            let mark = LedgerMark(line: lock.read(LedgerMark.byteCount))
            if let mark, mark.size > 0, !FileManager.default.fileExists(atPath: path) {
                throw LedgerError.unusable(
                    "\(path) is gone, \(mark.size) entries of it were signed; bring it back, or remove \(Self.lockName) too to begin a new ledger"
                )
            }
            database = try LedgerDatabase(path: path)
            do {
                frontier = try Self.check(database, mark)
            } catch {
                database.close()
                throw error
            }
        } catch {
            throw Self.problem(error, path)
        }
    }

    private static func check(_ database: LedgerDatabase, _ mark: LedgerMark?) throws -> MerkleFrontier {
        if database.byteCountOnDisk() <= checkedByteCount {
            let verdict = try database.pool.read { try String.fetchOne($0, sql: "PRAGMA quick_check(1)") }
            guard verdict == "ok" else { throw Broken("SQLite says: \(verdict ?? "nothing")") }
        }
        let frontier = try database.frontier()
        try database.pool.read { db in try checkNewest(frontier, db) }
        if let note = try database.newestNote() {
            guard let checkpoint = try? Checkpoint(text: SignedNote(note).text) else {
                throw Broken("its newest checkpoint cannot be read")
            }
            try check(LedgerMark(size: checkpoint.size, root: checkpoint.root), frontier, database)
        }
        if let mark { try check(mark, frontier, database) }
        return frontier
    }

    private static func check(_ mark: LedgerMark, _ frontier: MerkleFrontier, _ database: LedgerDatabase) throws {
        guard mark.size <= frontier.size else {
            throw Broken("it has \(frontier.size) entries, \(mark.size) were signed: it was rolled back or cut short")
        }
        guard try database.root(size: mark.size) == mark.root else {
            throw Broken("its first \(mark.size) entries are not those that were signed")
        }
    }

    /// The newest leaf and the subtrees on its way to the root agree.
    private static func checkNewest(_ frontier: MerkleFrontier, _ db: Database) throws {
        guard frontier.size > 0 else { return }
        let newest = frontier.size - 1
        let path = try MerkleProof.inclusion(of: newest, size: frontier.size) { try LedgerDatabase.hash($0, db) }
        let leaf = try LedgerDatabase.hash(MerklePosition(level: 0, index: newest), db)
        guard
            MerkleProof.holds(inclusion: path, of: leaf, at: newest, size: frontier.size, root: frontier.root)
        else { throw Broken("its newest entry is not what was hashed") }
    }

    /// What is wrong with a ledger that can be opened.
    struct Broken: Error {
        var why: String

        init(_ why: String) {
            self.why = why
        }
    }

    /// The reason in words, and whether it can pass by itself.
    static func problem(_ error: any Error, _ path: String) -> LedgerError {
        switch error {
        case let error as LedgerError: return error
        case JournalError.unusable(let why): return .unusable(why)
        case JournalError.storage(let why): return .unavailable(why)
        case let broken as Broken: return .unusable(damage(path, broken.why))
        case _ where JournalOpening.isDamage(error): return .unusable(damage(path, "\(error)"))
        case _: return .unavailable("\(path): \(error)")
        }
    }

    private static func damage(_ path: String, _ why: String) -> String {
        "\(path) is damaged: \(why). Keep it, see headgate audit verify; to begin a new ledger move it and \(lockName) away"
    }
}
