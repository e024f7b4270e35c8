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

    init(folder: String, clock: any Timekeeper) {
        self.folder = folder
        self.clock = clock
    }

    /// Whether commands were ever taken with this state folder.
    static func exists(in folder: String) -> Bool {
        FileManager.default.fileExists(atPath: folder + "/" + SQLiteLedger.fileName)
    }

    func commit(_ records: [LedgerRecord], leaves: [[UInt8]]) async throws(LedgerError) -> UInt64 {
        try await ledger().commit(records, leaves: leaves)
    }

    func records(_ kind: String) async throws(LedgerError) -> [LedgerRecord] {
        try await ledger().records(kind)
    }

    func checkpoint(signedBy signer: NoteSigner) async throws(LedgerError) -> SignedNote {
        try await ledger().checkpoint(signedBy: signer)
    }

    func close() async {
        isClosed = true
        await opened?.close()
        opened = nil
    }

    private func ledger() throws(LedgerError) -> SQLiteLedger {
        guard !isClosed else { throw .unavailable("the ledger is closed") }
        if let opened { return opened }
        let ledger = try SQLiteLedger(folder: folder, clock: clock)
        opened = ledger
        return ledger
    }
}
