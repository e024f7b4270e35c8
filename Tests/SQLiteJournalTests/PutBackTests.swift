import Audit
import Engine
import Foundation
import GRDB
import Model
import Testing

@testable import SQLiteJournal

/// Files that are put back from a copy: nothing is given away twice, and nothing is executed twice.
@Suite(.serialized) struct PutBackTests {
    // MARK: - The journal

    private static let journalFiles = ["journal.sqlite", "journal.sqlite-wal", "journal.sqlite-shm"]

    private func copy(_ names: [String], from source: String, to target: String) throws {
        for name in names {
            guard FileManager.default.fileExists(atPath: source + "/" + name) else {
                try? FileManager.default.removeItem(atPath: target + "/" + name)
                continue
            }
            // Copied beside and renamed: a file system gives the inode of a removed file to the next one.
            let beside = target + "/copy"
            try FileManager.default.copyItem(atPath: source + "/" + name, toPath: beside)
            try #require(rename(beside, target + "/" + name) == 0)
        }
    }

    private func scratch() throws -> StateFolder { try StateFolder() }

    @Test(arguments: [true, false])
    func aJournalPutBackFromACopyOfTheSameRunGivesNoPositionTwice(afterAKill: Bool) async throws {
        let (folder, kept) = (try StateFolder(), try scratch())
        let journal = try folder.open()
        await journal.appendNumbered(0..<20)
        await journal.flush()
        try copy(Self.journalFiles, from: folder.path, to: kept.path)
        await journal.appendNumbered(20..<60)
        await journal.flush()
        let given = await journal.next
        let victim = afterAKill ? try StateFolder(snapshotOf: folder) : folder
        await journal.close()
        try copy(Self.journalFiles, from: kept.path, to: victim.path)
        let next = try victim.open()
        #expect(next.openingNotes.first?.contains("put back") == true)
        let rows = try await next.everything()
        #expect(rows.compactMap(\.number) == Array(0..<20))
        #expect(rows.allSatisfy { $0.position <= 20 || $0.position >= given })
        #expect(unexplainedHoles(rows).isEmpty)
        await next.close()
    }

    @Test func aJournalWithoutItsLogIsFoundToo() async throws {
        let folder = try StateFolder()
        let journal = try folder.open()
        await journal.appendNumbered(0..<20)
        await journal.flush()
        let given = await journal.next
        let killed = try StateFolder(snapshotOf: folder)
        try FileManager.default.removeItem(atPath: killed.log)
        let next = try killed.open()
        let rows = try await next.everything()
        #expect(rows.allSatisfy { $0.position >= given } && rows.first?.gap?.reason == .diskError)
        await next.close()
        await journal.close()
    }

    @Test func aWholeStateFolderPutBackSkipsEpochsAndPositions() async throws {
        let (folder, kept) = (try StateFolder(), try scratch())
        var journal = try folder.open()
        await journal.appendNumbered(0..<20)
        await journal.close()
        try copy(folder.names, from: folder.path, to: kept.path)
        journal = try folder.open()
        await journal.appendNumbered(20..<60)
        let (given, epoch) = (await journal.next, journal.epoch)
        await journal.close()
        try copy(kept.names, from: kept.path, to: folder.path)
        journal = try folder.open()
        #expect(journal.epoch > epoch)
        #expect(journal.openingNotes.first?.contains("put back") == true)
        let rows = try await journal.everything()
        #expect(rows.allSatisfy { $0.position <= 21 || $0.position >= given })
        #expect(unexplainedHoles(rows).isEmpty)
        await journal.close()
        let again = try folder.open()
        #expect(again.openingNotes.isEmpty, "told once")
        await again.close()
    }

    @Test func aFolderThatOnlyRanIsNoCopy() async throws {
        let folder = try StateFolder()
        for _ in 0..<3 {
            let journal = try folder.open()
            await journal.appendNumbered(0..<5)
            await journal.flush()
            #expect(journal.openingNotes.isEmpty)
            await journal.close()
        }
    }

    @Test func aJournalWhoseMarkIsGoneSkipsAhead() async throws {
        let folder = try StateFolder()
        var journal = try folder.open()
        await journal.appendNumbered(0..<20)
        await journal.close()
        try FileManager.default.removeItem(atPath: folder.path + "/journal.lock")
        journal = try folder.open()
        let rows = try await journal.everything()
        #expect(rows.compactMap(\.gap).contains { ($0.positions?.count ?? 0) >= 10_000_000 })
        #expect(unexplainedHoles(rows).isEmpty)
        await journal.close()
    }

    @Test func aMarkOfAnOlderVersionIsUnderstood() {
        let text = "headgate-state 1 5 2000 sound synced"
        let line = Array(text.utf8) + [UInt8](repeating: 32, count: 159 - text.utf8.count) + [10]
        let mark = StateMark(line: line)
        #expect(mark?.epoch == 5 && mark?.reserved == 2000 && mark?.next == nil && mark?.stamp == nil)
    }

    // MARK: - The ledger

    private static let ledgerFiles = ["ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm"]

    private func refusal(of folder: StateFolder) throws -> String {
        let error = #expect(throws: LedgerError.self) { try folder.openLedger() }
        guard case .unusable(let why)? = error else { return "\(String(describing: error))" }
        return why
    }

    @Test(arguments: [ledgerFiles, ["ledger.sqlite"]])
    func aLedgerPutBackWithinItsCheckpointIsRefused(names: [String]) async throws {
        let (folder, kept) = (try StateFolder(), try scratch())
        let signer = try NoteSigner(name: "headgate/v1/gw-07/audit")
        let ledger = try folder.openLedger()
        try await ledger.step(0)
        _ = try await ledger.checkpoint(signedBy: signer)
        try copy(names, from: folder.path, to: kept.path)
        try await ledger.step(1)
        let killed = try StateFolder(snapshotOf: folder)
        await ledger.close()
        for victim in [killed, folder] {
            try copy(Self.ledgerFiles, from: kept.path, to: victim.path)
            #expect(try refusal(of: victim).contains("move it with"), "it says what to do")
            #expect(try victim.audit(signer).findings.contains { $0.kind == .entryMissing })
        }
    }

    @Test(arguments: [
        "DELETE FROM record", "UPDATE record SET body = x'00' WHERE key = '1'", "DELETE FROM leaf WHERE idx > 3",
        "DELETE FROM leaf; DELETE FROM node; DELETE FROM record; DELETE FROM checkpoint",
        "INSERT INTO record VALUES ('command', 'z', x'00')",
    ])
    func aLedgerThatIsChangedBehindItsBackIsRefused(_ change: String) async throws {
        let folder = try StateFolder()
        let ledger = try folder.openLedger()
        for number in 0..<6 { try await ledger.step(number) }
        // While it runs: nothing is written any more.
        try folder.tamper(change)
        let error = await #expect(throws: LedgerError.self) { try await ledger.step(6) }
        guard case .unusable? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(ledger.isBroken)
        await ledger.abandon()
        #expect(try refusal(of: folder).contains("damaged"))
    }

    @Test func aLedgerThatIsReplacedOrRemovedWhileItRunsIsRefused() async throws {
        for act in [
            { try FileManager.default.removeItem(atPath: $0 + "/ledger.sqlite") },
            { try FileManager.default.removeItem(atPath: $0 + "/ledger.sqlite-wal") },
            { try FileManager.default.removeItem(atPath: $0 + "/ledger.lock") },
            { path in
                let file = try FileHandle(forWritingTo: URL(fileURLWithPath: path + "/ledger.sqlite"))
                try file.truncate(atOffset: 0)
            },
        ] as [(String) throws -> Void] {
            let folder = try StateFolder()
            let ledger = try folder.openLedger()
            for number in 0..<6 { try await ledger.step(number) }
            try act(folder.path)
            await #expect(throws: LedgerError.self) { try await ledger.step(6) }
            await ledger.abandon()
        }
    }

    @Test func aReaderOrAForeignCheckpointChangesNothing() async throws {
        let folder = try StateFolder()
        let ledger = try folder.openLedger()
        for number in 0..<6 { try await ledger.step(number) }
        let queue = try DatabaseQueue(path: folder.ledger)
        try await queue.writeWithoutTransaction { _ = try $0.checkpoint(.truncate) }
        _ = try await queue.read { try Int.fetchOne($0, sql: "SELECT count(*) FROM leaf") }
        for number in 6..<9 { try await ledger.step(number) }
        try queue.close()
        try await ledger.step(9)
        await ledger.close()
        let next = try folder.openLedger()
        #expect(next.requestsSince == nil)
        await next.close()
    }

    @Test func aLedgerWhoseMarkIsGoneOrJunkIsRefusedOnceItWasSigned() async throws {
        let folder = try StateFolder()
        let signer = try NoteSigner(name: "headgate/v1/gw-07/audit")
        let ledger = try folder.openLedger()
        try await ledger.step(0)
        _ = try await ledger.checkpoint(signedBy: signer)
        await ledger.close()
        try Data("junk".utf8).write(to: URL(fileURLWithPath: folder.path + "/ledger.lock"))
        #expect(try refusal(of: folder).contains("ledger.lock"))
    }

    @Test func aCopyAndALedgerThatBeganAnewFollowNoRequestFromBefore() async throws {
        let (folder, kept, clock) = (try StateFolder(), try scratch(), TestClock())
        var ledger = try folder.openLedger(clock: clock)
        #expect(ledger.requestsSince == nil)
        try await ledger.step(0)
        await ledger.close()
        try copy(folder.names, from: folder.path, to: kept.path)
        ledger = try kept.openLedger(clock: clock)
        #expect(ledger.requestsSince == clock.utc)
        await ledger.close()
        ledger = try kept.openLedger(clock: TestClock())
        #expect(ledger.requestsSince == clock.utc, "remembered")
        await ledger.close()

        let key = folder.path + "/audit.key"
        try Data("key".utf8).write(to: URL(fileURLWithPath: key))
        // A key that this process made is the one of the first ledger; an earlier process made one for another ledger.
        for (age, since) in [(0, nil), (1, clock.utc)] as [(Int, UnixTime?)] {
            let made = Date(timeIntervalSince1970: Double(ProcessStart.second - age))
            try FileManager.default.setAttributes([.modificationDate: made], ofItemAtPath: key)
            for name in folder.names where name.hasPrefix("ledger") {
                try FileManager.default.removeItem(atPath: folder.path + "/" + name)
            }
            ledger = try folder.openLedger(clock: clock)
            #expect(ledger.requestsSince == since)
            await ledger.close()
        }
    }
}
