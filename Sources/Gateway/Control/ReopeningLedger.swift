import Audit
import Engine
import Foundation
import Model
import SQLiteJournal

/// The ledger of a state folder, opened when it is first needed and again when it could not be: a file that is damaged or
/// a disk that refuses stops commands, never the readings.
actor ReopeningLedger: Ledger {
    private let folder: String
    private let clock: any Timekeeper
    private var opened: SQLiteLedger?
    private var isClosed = false
    /// Why the files cannot be used, and what they were then: looked through again when they have changed.
    private var refusal: (why: LedgerError, files: [FileState?], at: Duration)?

    /// How long files that did not change are left alone.
    private static let patience = Duration.seconds(60)

    init(folder: String, clock: any Timekeeper) {
        self.folder = folder
        self.clock = clock
    }

    /// Whether commands were ever taken with this state folder.
    static func exists(in folder: String) -> Bool {
        FileManager.default.fileExists(atPath: folder + "/" + SQLiteLedger.fileName)
    }

    func commit(_ records: [LedgerRecord], leaves: [[UInt8]]) async throws(LedgerError) -> UInt64 {
        let ledger = try ledger()
        do {
            return try await ledger.commit(records, leaves: leaves)
        } catch {
            throw await abandoned(ledger, after: error)
        }
    }

    func records(_ kind: String) async throws(LedgerError) -> [LedgerRecord] {
        do {
            return try await ledger().records(kind)
        } catch .unavailable(let why) {
            // A disk that takes nothing can still be read: what was granted has to end (docs/decisions/0012).
            guard !isClosed, let records = try? LedgerInspection(path: folder).soundRecords(kind) else {
                throw .unavailable(why)
            }
            return records
        }
    }

    var requestsSince: UnixTime? { opened?.requestsSince }

    func checkpoint(signedBy signer: NoteSigner) async throws(LedgerError) -> SignedNote {
        let ledger = try ledger()
        do {
            return try await ledger.checkpoint(signedBy: signer)
        } catch {
            throw await abandoned(ledger, after: error)
        }
    }

    func close() async {
        isClosed = true
        await opened?.close()
        opened = nil
    }

    /// Lets go of a ledger whose files are not what they were.
    private func abandoned(_ ledger: SQLiteLedger, after error: LedgerError) async -> LedgerError {
        guard ledger.isBroken else { return error }
        if opened === ledger { opened = nil }
        await ledger.abandon()
        return error
    }

    private func ledger() throws(LedgerError) -> SQLiteLedger {
        guard !isClosed else { throw .unavailable("the ledger is closed") }
        if let opened { return opened }
        let files = FileState.all(of: folder)
        if let refusal, refusal.files == files, clock.uptime - refusal.at < Self.patience { throw refusal.why }
        do {
            let ledger = try SQLiteLedger(folder: folder, clock: clock)
            (opened, refusal) = (ledger, nil)
            return ledger
        } catch {
            if case .unusable = error { refusal = (error, FileState.all(of: folder), clock.uptime) }
            throw error
        }
    }
}

/// Whether a file is as it was.
private struct FileState: Hashable, Sendable {
    var inode: UInt64
    var size: Int64
    var seconds: Int
    var nanoseconds: Int

    /// Of all files of a ledger.
    static func all(of folder: String) -> [FileState?] {
        SQLiteLedger.fileNames.map { FileState(folder + "/" + $0) }
    }

    private init?(_ path: String) {
        var attributes = stat()
        guard stat(path, &attributes) == 0 else { return nil }
        (inode, size) = (UInt64(attributes.st_ino), Int64(attributes.st_size))
        (seconds, nanoseconds) = (attributes.st_mtim.tv_sec, attributes.st_mtim.tv_nsec)
    }
}
