import Audit
import Engine
import Foundation
import GRDB
import Model

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

    /// What is known of the ledger outside of the database.
    private(set) var mark: LedgerMark

    init(folder: String, now: UnixTime) throws(LedgerError) {
        let path = folder + "/" + LedgerDatabase.fileName
        do {
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            lock = try StateLock(folder: folder, name: Self.lockName)
            let known = LedgerMark(line: lock.read(LedgerMark.byteCount))
            let isThere = FileManager.default.fileExists(atPath: path)
            if let known, known.size > 0, !isThere {
                throw LedgerError.unusable(
                    "\(path) is gone, it had \(known.size) entries; bring it back, or remove \(Self.lockName) too to begin a new ledger"
                )
            }
            let since = Self.requestsSince(known, lock, hadLedger: !isThere && Self.hadLedger(folder), now)
            database = try LedgerDatabase(path: path)
            do {
                let found = try Self.check(database, known)
                frontier = found.frontier
                mark = LedgerMark(
                    size: frontier.size, root: frontier.root, records: found.records, requestsSince: since)
                try lock.write(mark)
                try lock.sync()
            } catch {
                database.close()
                throw error
            }
        } catch {
            throw Self.problem(error, path)
        }
    }

    /// From when on requests are followed: a ledger that begins anew, or whose folder is a copy, may have forgotten requests that
    /// were executed. All of them were issued before.
    private static func requestsSince(
        _ known: LedgerMark?, _ lock: StateLock, hadLedger: Bool, _ now: UnixTime
    ) -> UnixTime? {
        hadLedger || !lock.isOriginal(known?.stamp) ? now : known?.requestsSince
    }

    /// The key that signs a ledger is made with the first one: where an earlier process made it, there was another ledger.
    private static func hadLedger(_ folder: String) -> Bool {
        var attributes = stat()
        guard stat(folder + "/audit.key", &attributes) == 0 else { return false }
        return attributes.st_mtim.tv_sec < ProcessStart.second
    }

    private static func check(
        _ database: LedgerDatabase, _ mark: LedgerMark?
    ) throws -> (frontier: MerkleFrontier, records: RecordDigest) {
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
        if let mark {
            try check(mark, frontier, database)
        } else if frontier.size > 0 {
            throw Broken("\(lockName), which knows how many entries it had, is gone or not readable")
        }
        return (frontier, try database.pool.read { db in try checkRecords(db, frontier, mark) })
    }

    private static func check(_ mark: LedgerMark, _ frontier: MerkleFrontier, _ database: LedgerDatabase) throws {
        guard mark.size <= frontier.size else {
            throw Broken(
                "it has \(frontier.size) entries, \(mark.size) were committed: it was rolled back, put back from a copy or cut short"
            )
        }
        guard try database.root(size: mark.size) == mark.root else {
            throw Broken("its first \(mark.size) entries are not those that were committed")
        }
    }

    /// The records are those that the mark knows, or, where the mark is older, those that the seals tell.
    private static func checkRecords(
        _ db: Database, _ frontier: MerkleFrontier, _ mark: LedgerMark?
    ) throws -> RecordDigest {
        let found = try LedgerDatabase.recordDigest(db)
        let isExact = mark?.size == frontier.size
        let expected = try isExact ? mark?.records ?? LedgerDatabase.sealedDigest(db) : LedgerDatabase.sealedDigest(db)
        guard found == expected else { throw Broken("its records are not those that its entries tell") }
        return found
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
        "\(path) is damaged: \(why). Bring the newest back; or keep it, see headgate audit verify, and move it with "
            + "-wal, -shm and \(lockName) away to begin a new ledger"
    }
}
