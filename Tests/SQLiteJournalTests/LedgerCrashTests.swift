import Audit
import Engine
import Foundation
import GRDB
import GatewayTesting
import Model
import Testing

@testable import SQLiteJournal

/// What kills, disks and other people's hands do to a ledger.
@Suite(.serialized) struct LedgerCrashTests {
    let signer: NoteSigner

    init() throws {
        signer = try NoteSigner(name: "headgate/v1/gw-07/audit")
    }

    @Test func aKillLosesNothingThatWasCommitted() async throws {
        let folder = try StateFolder()
        let ledger = try folder.openLedger()
        for round in 0..<12 {
            for number in 0..<10 { try await ledger.step(round * 10 + number) }
            if round % 3 == 0 { _ = try await ledger.checkpoint(signedBy: signer) }
            let killed = try StateFolder(snapshotOf: folder)
            let next = try killed.openLedger()
            #expect(next.figures.size == ledger.figures.size)
            #expect(try await next.records("command") == ledger.records("command"))
            #expect(try await next.step(1000) == ledger.figures.size)
            _ = try await next.checkpoint(signedBy: signer)
            let audit = try killed.audit(signer)
            #expect(audit.isSound, "\(audit.findings)")
            await next.close()
        }
        await ledger.close()
    }

    @Test func aTornLogNeverTearsATransaction() async throws {
        let folder = try StateFolder()
        let ledger = try folder.openLedger()
        _ = try await ledger.checkpoint(signedBy: signer)
        var ends: [(byteCount: Int, size: UInt64)] = []
        for number in 0..<20 {
            try await ledger.step(number)
            ends.append((folder.byteCount(folder.ledger + "-wal"), ledger.figures.size))
        }
        let length = folder.byteCount(folder.ledger + "-wal")
        var random = SeededGenerator(4)
        for cut in ends.map(\.byteCount) + (0..<60).map({ _ in Int.random(in: 0...length, using: &random) }) {
            let torn = try StateFolder(snapshotOf: folder)
            let file = try FileHandle(forWritingTo: URL(fileURLWithPath: torn.ledger + "-wal"))
            try file.truncate(atOffset: UInt64(cut))
            try file.close()
            guard let next = try? torn.openLedger() else {
                #expect((ends.last?.byteCount ?? 0) > cut, "cut at \(cut) of \(length)")
                continue
            }
            #expect(next.figures.size == ends.last?.size, "cut at \(cut) of \(length)")
            try await next.step(99)
            _ = try await next.checkpoint(signedBy: signer)
            let audit = try torn.audit(signer)
            #expect(audit.isSound, "cut at \(cut) of \(length): \(audit.findings)")
            await next.close()
        }
        await ledger.close()
    }

    @Test func aDiskThatRefusesRefusesTheWriteAndTakesTheNext() async throws {
        let folder = try StateFolder()
        let ledger = try folder.openLedger()
        try await ledger.step(0)
        let before = try await ledger.records("command")
        try await ledger.limit(toFurther: 0)
        let large = LedgerRecord(kind: "command", key: "0", body: [UInt8](repeating: 1, count: 100_000))
        for _ in 0..<3 {
            await #expect(throws: LedgerError.self) { try await ledger.commit([large], leaves: [[1]]) }
        }
        guard case .unavailable(let why)? = ledger.figures.fault else {
            Issue.record("no fault is shown")
            return
        }
        #expect(why.contains("full"))
        #expect(try await ledger.records("command") == before, "reading goes on, nothing of it was written")
        try await ledger.limit(toFurther: nil)
        #expect(try await ledger.commit([large], leaves: [[1]]) == 2)
        #expect(ledger.figures.fault == nil && ledger.figures.refusals == 3)
        _ = try await ledger.checkpoint(signedBy: signer)
        let audit = try folder.audit(signer)
        #expect(audit.isSound, "\(audit.findings)")
        await ledger.close()
    }

    @Test func twoGatewaysNeverShareALedger() async throws {
        let folder = try StateFolder()
        let ledger = try folder.openLedger()
        #expect(throws: LedgerError.self) { try folder.openLedger() }
        await ledger.close()
        await (try folder.openLedger()).close()
    }

    @Test func aNewerVersionIsRefused() async throws {
        let folder = try StateFolder()
        await (try folder.openLedger()).close()
        try folder.tamper("PRAGMA user_version = 2")
        #expect(try refusal(of: folder).contains("newer version"))
    }

    @Test func aFileThatIsNoDatabaseIsRefused() async throws {
        let folder = try StateFolder()
        try Data("not a database at all, but long enough to be read as a header".utf8)
            .write(to: URL(fileURLWithPath: folder.ledger))
        #expect(try refusal(of: folder).contains("damaged"))
    }

    @Test func everyDamagedPageIsFoundAtTheStartAndByTheAudit() async throws {
        let folder = try StateFolder()
        let ledger = try folder.openLedger()
        for number in 0..<200 { try await ledger.step(number) }
        _ = try await ledger.checkpoint(signedBy: signer)
        await ledger.close()
        let pageCount = folder.byteCount(folder.ledger) / 4096
        for page in 0..<pageCount {
            let damaged = try StateFolder(snapshotOf: folder)
            let file = try FileHandle(forWritingTo: URL(fileURLWithPath: damaged.ledger))
            try file.seek(toOffset: UInt64(page * 4096))
            try file.write(contentsOf: Data(repeating: 0xA5, count: 4096))
            try file.close()
            #expect(throws: LedgerError.self, "page \(page) of \(pageCount)") { try damaged.openLedger() }
            let audit = try? damaged.audit(signer)
            #expect(audit?.isSound != true, "page \(page) of \(pageCount)")
        }
    }

    @Test func aLedgerThatIsGoneOrOlderThanItsMarkIsRefused() async throws {
        let folder = try StateFolder()
        var ledger = try folder.openLedger()
        try await ledger.step(0)
        await ledger.close()
        let old = try StateFolder(snapshotOf: folder)
        ledger = try folder.openLedger()
        try await ledger.step(1)
        _ = try await ledger.checkpoint(signedBy: signer)
        await ledger.close()

        try FileManager.default.removeItem(atPath: folder.ledger)
        #expect(try refusal(of: folder).contains("is gone"))
        try FileManager.default.copyItem(atPath: old.ledger, toPath: folder.ledger)
        #expect(try refusal(of: folder).contains("rolled back"))
        #expect(try folder.audit(signer).findings.contains { $0.kind == .entryMissing })
    }

    private func refusal(of folder: StateFolder) throws -> String {
        let error = #expect(throws: LedgerError.self) { try folder.openLedger() }
        guard case .unusable(let why)? = error else {
            Issue.record("\(String(describing: error))")
            return ""
        }
        return why
    }
}

extension SQLiteLedger {
    /// Lets the file grow by no more than `pages`, or again without limit.
    func limit(toFurther pages: Int64?) async throws {
        try await database.pool.writeWithoutTransaction { db in
            let count = try Int64.fetchOne(db, sql: "PRAGMA page_count") ?? 0
            _ = try Int64.fetchOne(db, sql: "PRAGMA max_page_count = \(pages.map { count + $0 } ?? 1_000_000_000)")
        }
    }
}
