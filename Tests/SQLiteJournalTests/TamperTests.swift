import Audit
import Engine
import Foundation
import GRDB
import Model
import Testing

@testable import SQLiteJournal

/// Whatever is changed in a ledger behind its back is found, entry by entry.
@Suite(.serialized) struct TamperTests {
    let signer: NoteSigner
    let folder: StateFolder
    let size: UInt64

    init() async throws {
        signer = try NoteSigner(name: "headgate/v1/gw-07/audit")
        folder = try StateFolder()
        let ledger = try folder.openLedger()
        for number in 0..<12 {
            try await ledger.step(number)
            if number % 4 == 0 { _ = try await ledger.checkpoint(signedBy: signer) }
        }
        _ = try await ledger.commit([LedgerRecord(kind: "command", key: "3", body: nil)], leaves: [[0]])
        _ = try await ledger.checkpoint(signedBy: signer)
        size = ledger.figures.size
        await ledger.close()
        let audit = try folder.audit(signer)
        try #require(audit.isSound && audit.covered == size, "\(audit.findings)")
    }

    private func findings(_ sql: String, _ arguments: StatementArguments = []) throws -> [AuditVerification.Finding] {
        let copy = try StateFolder(snapshotOf: folder)
        try copy.tamper(sql, arguments)
        return try copy.audit(signer).findings
    }

    private func bodies(_ table: String, _ column: String) throws -> [(rowid: Int64, body: [UInt8])] {
        let queue = try DatabaseQueue(path: folder.ledger)
        defer { try? queue.close() }
        return try queue.read { db in
            try Row.fetchAll(db, sql: "SELECT rowid, \(column) FROM \(table)").map { row in
                (try #require(Int64.fromDatabaseValue(row[0])), Array(try #require(Data.fromDatabaseValue(row[1]))))
            }
        }
    }

    @Test(arguments: [("leaf", "body"), ("checkpoint", "note"), ("record", "body")])
    func everyFlippedBitIsFound(table: String, column: String) async throws {
        for (row, body) in try bodies(table, column) {
            await Task.yield()
            for index in stride(from: 0, to: body.count, by: max(1, body.count / 8)) {
                var flipped = body
                flipped[index] ^= 1 << UInt8(index % 8)
                let found = try findings("UPDATE \(table) SET \(column) = ? WHERE rowid = ?", [Data(flipped), row])
                #expect(!found.isEmpty, "\(table) \(row), byte \(index)")
            }
        }
    }

    @Test func everyRemovedEntryIsFound() async throws {
        for index in 0..<Int64(size) {
            await Task.yield()
            #expect(try !findings("DELETE FROM leaf WHERE idx = ?", [index]).isEmpty, "entry \(index)")
            // The rest moved up, as if it had never been.
            let closed = "DELETE FROM leaf WHERE idx = \(index); UPDATE leaf SET idx = idx - 1 WHERE idx > \(index)"
            #expect(try !findings(closed).isEmpty, "entry \(index)")
        }
    }

    @Test func everyPairOfEntriesThatChangedPlacesIsFound() async throws {
        for index in 0..<Int64(size) - 1 {
            await Task.yield()
            let found = try findings(
                """
                UPDATE leaf SET idx = -1 WHERE idx = \(index);
                UPDATE leaf SET idx = \(index) WHERE idx = \(index + 1);
                UPDATE leaf SET idx = \(index + 1) WHERE idx = -1
                """)
            #expect(!found.isEmpty, "entries \(index) and \(index + 1)")
        }
    }

    @Test func anEntryThatWasAddedIsFound() throws {
        #expect(try findings("INSERT INTO leaf VALUES (\(size), x'00')").contains { $0.kind == .badSeal })
        let shifted =
            "UPDATE leaf SET idx = -idx - 1 WHERE idx >= 5; INSERT INTO leaf VALUES (5, x'00'); "
            + "UPDATE leaf SET idx = -idx WHERE idx < 0"
        #expect(try findings(shifted).contains { $0.kind == .rootMismatch })
    }

    @Test func everyFlippedRemovedOrAddedNodeIsFound() async throws {
        for index in 0..<Int64(size) / 2 {
            await Task.yield()
            let flipped = "UPDATE node SET hash = zeroblob(32) WHERE level = 1 AND idx = \(index)"
            #expect(try findings(flipped).contains { $0.kind == .nodeMismatch })
            let removed = "DELETE FROM node WHERE level = 1 AND idx = \(index)"
            #expect(try findings(removed).contains { $0.kind == .nodeMismatch })
        }
        #expect(try findings("INSERT INTO node VALUES (9, 9, zeroblob(32))").contains { $0.kind == .nodeMismatch })
    }

    @Test func recordsThatNoEntryToldOfAreFound() throws {
        for change in [
            "DELETE FROM record WHERE key = '1'", "INSERT INTO record VALUES ('command', '3', x'00')",
            "UPDATE record SET key = '9' WHERE key = '1'", "UPDATE record SET kind = 'slot' WHERE key = '1'",
        ] {
            #expect(try findings(change).contains { $0.kind == .recordMismatch }, "\(change)")
        }
    }

    @Test func aLedgerWithoutCheckpointsOrWithForeignOnesIsNotTrusted() throws {
        #expect(try findings("DELETE FROM checkpoint").contains { $0.kind == .notSigned })
        let foreign = try folder.audit(try NoteSigner(name: "headgate/v1/gw-07/audit"))
        #expect(foreign.findings.contains { $0.kind == .badSignature })
    }

    @Test func aLedgerThatWasRewrittenAsAWholeDoesNotAgreeWithACheckpointKeptElsewhere() async throws {
        let kept = try #require(try LedgerInspection(path: folder.path).notes().last)
        let other = try StateFolder()
        let ledger = try other.openLedger()
        for number in 0..<20 { try await ledger.step(number + 1) }
        _ = try await ledger.checkpoint(signedBy: signer)
        await ledger.close()
        #expect(try other.audit(signer).isSound)
        #expect(try other.audit(signer, others: [kept]).findings.contains { $0.kind == .rootMismatch })
    }
}
