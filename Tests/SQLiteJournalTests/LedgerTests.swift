import Audit
import Engine
import Foundation
import GRDB
import Model
import Testing

@testable import SQLiteJournal

extension StateFolder {
    var ledger: String { path + "/" + LedgerDatabase.fileName }

    func openLedger(clock: TestClock = TestClock()) throws -> SQLiteLedger {
        try SQLiteLedger(folder: path, clock: clock)
    }

    /// What an auditor finds who has the key.
    func audit(_ signer: NoteSigner, others: [[UInt8]] = []) throws -> AuditVerification {
        try LedgerInspection(path: path).verification(keys: [signer.verifier], others: others)
    }

    /// Changes the ledger behind its back.
    func tamper(_ sql: String, _ arguments: StatementArguments = []) throws {
        let queue = try DatabaseQueue(path: ledger)
        try queue.write { try $0.execute(sql: sql, arguments: arguments) }
        try queue.close()
    }
}

extension SQLiteLedger {
    /// One step of the life of command `number`: its record and one leaf.
    @discardableResult
    func step(_ number: Int) async throws -> UInt64 {
        try await commit(
            [LedgerRecord(kind: "command", key: "\(number % 7)", body: Array("state \(number)".utf8))],
            leaves: [Array("event \(number)".utf8)])
    }
}

@Suite(.serialized) struct LedgerTests {
    let signer: NoteSigner

    init() throws {
        signer = try NoteSigner(name: "headgate/v1/gw-07/audit")
    }

    @Test func whatIsCommittedIsThereAfterTheNextStart() async throws {
        let folder = try StateFolder()
        var ledger = try folder.openLedger()
        #expect(try await ledger.commit([], leaves: [[1], [2]]) == 0)
        let slot = LedgerRecord(kind: "slot", key: "chiller1/chw_setpoint", body: [7])
        #expect(try await ledger.commit([slot], leaves: [[3]]) == 3, "a seal lies between")
        #expect(try await ledger.commit([], leaves: []) == 5)
        await ledger.close()
        ledger = try folder.openLedger()
        #expect(try await ledger.records("slot") == [slot])
        #expect(try await ledger.records("command").isEmpty)
        #expect(try await ledger.commit([LedgerRecord(kind: "slot", key: slot.key, body: nil)], leaves: [[4]]) == 6)
        #expect(try await ledger.records("slot").isEmpty)
        let note = try await ledger.checkpoint(signedBy: signer)
        #expect(try Checkpoint(text: note.text).size == 8)
        let audit = try folder.audit(signer)
        #expect(audit.isSound && audit.covered == 8 && audit.size == 8, "\(audit.findings)")
        await ledger.close()
    }

    @Test func callersThatComeTogetherShareATransactionAndKeepTheirOrder() async throws {
        let folder = try StateFolder()
        let ledger = try folder.openLedger()
        let firsts = try await withThrowingTaskGroup(of: (Int, UInt64).self) { group in
            for number in 0..<400 { group.addTask { (number, try await ledger.step(number)) } }
            return try await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
        }
        let figures = ledger.figures
        #expect(figures.requests == 400 && figures.commits < 400 && figures.syncs >= figures.commits)
        let inspection = try LedgerInspection(path: folder.path)
        var leaves: [[UInt8]] = []
        try inspection.leaves(0..<UInt64.max) { _, leaf in leaves.append(leaf) }
        for (number, first) in firsts { #expect(leaves[Int(first)] == Array("event \(number)".utf8)) }
        #expect(UInt64(leaves.count) == 400 + figures.commits)
        _ = try await ledger.checkpoint(signedBy: signer)
        #expect(try folder.audit(signer).isSound)
        await ledger.close()
    }

    @Test func aRecordThatManyChangeTogetherAgreesWithItsSeal() async throws {
        let folder = try StateFolder()
        let ledger = try folder.openLedger()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<100 {
                group.addTask {
                    let body: [UInt8]? = number % 5 == 0 ? nil : [UInt8(number)]
                    _ = try await ledger.commit([LedgerRecord(kind: "slot", key: "one", body: body)], leaves: [])
                }
            }
            try await group.waitForAll()
        }
        _ = try await ledger.checkpoint(signedBy: signer)
        let audit = try folder.audit(signer)
        #expect(audit.isSound, "\(audit.findings)")
        await ledger.close()
    }

    @Test func whatCanNeverBeWrittenIsRefused() async throws {
        let folder = try StateFolder()
        let ledger = try folder.openLedger()
        for record in [LedgerRecord(kind: "a b", key: "k", body: []), LedgerRecord(kind: "a", key: "", body: [])] {
            await #expect(throws: LedgerError.self) { try await ledger.commit([record], leaves: []) }
        }
        let seal = Seal(time: 0, first: 0, changes: []).leaf
        await #expect(throws: LedgerError.self) { try await ledger.commit([], leaves: [seal]) }
        let large = [UInt8](repeating: 0, count: SQLiteLedger.bodyByteLimit + 1)
        await #expect(throws: LedgerError.self) { try await ledger.commit([], leaves: [large]) }
        #expect(ledger.figures.size == 0)
        await ledger.close()
        await #expect(throws: LedgerError.self) { try await ledger.commit([], leaves: [[1]]) }
    }

    @Test func everyCheckpointIsTheBeginningOfTheNext() async throws {
        let folder = try StateFolder()
        let ledger = try folder.openLedger()
        var last: Checkpoint?
        for number in 0..<40 {
            try await ledger.step(number)
            let note = try await ledger.checkpoint(signedBy: signer)
            #expect(try await ledger.checkpoint(signedBy: signer) == note, "nothing new, nothing signed")
            let next = try Checkpoint(text: note.text)
            if let last {
                let path = try LedgerInspection(path: folder.path).consistency(from: last.size, to: next.size)
                #expect(
                    MerkleProof.holds(
                        consistency: path, from: last.size, root: last.root, to: next.size, newRoot: next.root))
            }
            last = next
        }
        let audit = try folder.audit(signer)
        #expect(audit.isSound && audit.checkpointCount == 40)
        await ledger.close()
    }

    @Test func checkpointsAreSignedWhileItRuns() async throws {
        let folder = try StateFolder()
        let clock = TestClock()
        let ledger = try folder.openLedger(clock: clock)
        let (notes, sender) = AsyncStream.makeStream(of: SignedNote.self)
        let signer = signer
        let running = Task { await ledger.run(signer: signer, every: .seconds(60)) { sender.yield($0) } }
        var announced = notes.makeAsyncIterator()
        #expect(try Checkpoint(text: #require(await announced.next()).text).size == 0)
        for size in [2, 4] as [UInt64] {
            await clock.someoneSleeps()
            try await ledger.step(Int(size))
            clock.advance(.seconds(60))
            #expect(try Checkpoint(text: #require(await announced.next()).text).size == size)
        }
        running.cancel()
        await running.value
        await ledger.close()
    }

    @Test func everyCommitOfACallerAloneIsOneSync() async throws {
        let folder = try StateFolder()
        let ledger = try folder.openLedger()
        let before = ledger.figures.syncs
        for number in 0..<50 { try await ledger.step(number) }
        #expect(ledger.figures.syncs == before + 50)
        let level = try await ledger.database.pool.writeWithoutTransaction {
            try Int.fetchOne($0, sql: "PRAGMA synchronous")
        }
        #expect(level == 2)
        await ledger.close()
    }
}
