import Engine
import Foundation
import GRDB
import GatewayTesting
import Model
import Synchronization
import Testing

@testable import SQLiteJournal

@Suite(.serialized) struct CrashTests {
    @Test func aKillLosesNothingThatWasCommitted() async throws {
        let folder = try StateFolder()
        let journal = try folder.open()
        for round in 0..<12 as Range<UInt64> {
            await journal.appendNumbered(round * 20..<round * 20 + 20)
            await journal.flush()
            // These wait in memory and go with the process.
            await journal.append(Sample.numbered(9999))
            let killed = try StateFolder(snapshotOf: folder)
            let next = try killed.open()
            #expect(next.openingNotes.isEmpty)
            #expect(next.epoch == journal.epoch + 1)
            let rows = try await next.everything()
            #expect(isContiguous(rows))
            #expect(rows.first?.position == 1)
            #expect(rows.last?.gap?.reason == .restart)
            #expect(rows.compactMap(\.number).filter { $0 != 9999 } == Array(0..<(round * 20 + 20)))
            await next.close()
        }
        await journal.close()
    }

    /// With `HEADGATE_EVERY_BYTE=1` a log of two commits at every byte, which takes some minutes; otherwise a longer one at the
    /// ends of its commits and at some other places.
    @Test func aTornLogKeepsEveryCommitBeforeTheTear() async throws {
        let folder = try StateFolder()
        let journal = try folder.open()
        let isWhole = ProcessInfo.processInfo.environment["HEADGATE_EVERY_BYTE"] != nil
        var ends: [(byteCount: Int, rows: UInt64)] = []
        for round in 0..<(isWhole ? 2 : 15) as Range<UInt64> {
            await journal.appendNumbered(round * 10..<round * 10 + 10)
            await journal.flush()
            ends.append((folder.byteCount(folder.log), round * 10 + 10))
        }
        let whole = try await journal.everything()
        let length = folder.byteCount(folder.log)
        var random = SeededGenerator(3)
        let some = ends.map(\.byteCount) + (0..<40).map { _ in Int.random(in: 0...length, using: &random) }
        for cut in isWhole ? Array(0...length) : some {
            let torn = try StateFolder(snapshotOf: folder)
            let file = try FileHandle(forWritingTo: URL(fileURLWithPath: torn.log))
            try file.truncate(atOffset: UInt64(cut))
            try file.close()
            let next = try torn.open()
            let rows = try await next.everything()
            let safe = ends.last { $0.byteCount <= cut }?.rows ?? 0
            #expect(rows.compactMap(\.number).starts(with: Array(0..<safe)), "cut at \(cut) of \(length)")
            // What is torn off was committed: its positions are told, not given again.
            #expect(unexplainedHoles(rows).isEmpty && next.epoch == 2)
            for (row, before) in zip(rows, whole) where row.epoch == 1 { #expect(row == before) }
            await next.close()
        }
        await journal.close()
    }

    @Test func aLostDatabaseNeverMakesAPositionOrEpochComeTwice() async throws {
        let folder = try StateFolder()
        var journal = try folder.open()
        await journal.appendNumbered(0..<50)
        await journal.flush()
        let killed = try StateFolder(snapshotOf: folder)
        await journal.close()
        try FileManager.default.removeItem(atPath: folder.database)
        journal = try folder.open()
        #expect(journal.epoch == 2)
        #expect(await journal.next == 52)
        #expect(try await journal.everything().first?.gap?.positions == 1...50)
        await journal.close()

        // After a kill nobody knows how far it came: the reserve is skipped and told.
        for name in killed.names where name.hasPrefix("journal.sqlite") {
            try FileManager.default.removeItem(atPath: killed.path + "/" + name)
        }
        journal = try killed.open()
        let first = try #require(try await journal.everything().first)
        #expect(journal.epoch == 2)
        #expect(first.position > 50)
        #expect(first.gap?.positions == 1...(first.position - 1))
        #expect(!journal.openingNotes.isEmpty)
        await journal.close()
    }

    @Test(arguments: [BufferSettings.Durability.process, .power])
    func onlyUnsyncedCommitsAreDoubtedAfterAnotherBoot(durability: BufferSettings.Durability) async throws {
        let folder = try StateFolder()
        let settings = BufferSettings(durability: durability)
        let journal = try folder.open(settings)
        await journal.appendNumbered(0..<10)
        await journal.flush()
        let dead = try StateFolder(snapshotOf: folder)
        await journal.close()
        let lock = try StateLock(folder: dead.path)
        var mark = try #require(lock.mark)
        #expect((mark.unsyncedBoot == nil) == (durability == .power))
        if mark.unsyncedBoot != nil { mark.unsyncedBoot = "another-boot" }
        try lock.write(mark)
        lock.release()
        let next = try dead.open(settings)
        let rows = try await next.everything()
        #expect(rows.compactMap(\.number) == Array(0..<10))
        let told = rows.compactMap(\.gap).first { $0.reason == .diskError }
        switch durability {
        case .power: #expect(told == nil && next.openingNotes.isEmpty)
        case .process: #expect(told?.positions?.lowerBound == 11 && !next.openingNotes.isEmpty)
        }
        await next.close()
    }

    @Test func positionsPastTheReserveAreReservedBeforeTheyAreUsed() async throws {
        let folder = try StateFolder()
        let journal = try folder.open()
        for number in 0..<(StateMark.reserve + 20_000) { await journal.append(Sample.numbered(number)) }
        await journal.flush()
        let mark = try #require(
            StateMark(line: Array(try Data(contentsOf: URL(fileURLWithPath: folder.path + "/journal.lock")))))
        #expect(mark.reserved > StateMark.reserve + 20_000)
        #expect(await journal.next <= mark.reserved)
        await journal.close()
    }

    @Test func aMarkComesBackAsItWasAndJunkIsNone() {
        var mark = StateMark(epoch: .max, reserved: Position(Int64.max / 2), unsyncedBoot: UUID().uuidString)
        mark.isDamaged = true
        #expect(mark.line.count == StateMark.byteCount)
        #expect(StateMark(line: mark.line) == mark)
        var random = SeededGenerator(8)
        for _ in 0..<2000 {
            var line = mark.line
            for _ in 0..<3 { line[Int.random(in: 0..<60, using: &random)] = UInt8.random(in: 0...255, using: &random) }
            if let read = StateMark(line: line) { #expect(read.reserved <= Position(Int64.max / 2)) }
        }
        #expect(StateMark(line: []) == nil)
    }
}
