import Engine
import Foundation
import GRDB
import GatewayTesting
import Model
import Synchronization
import Testing

@testable import SQLiteJournal

@Suite(.serialized) struct JournalTests {
    @Test func rowsCanBeReadOnceTheyAreCommittedAndNotBefore() async throws {
        let folder = try StateFolder()
        let journal = try folder.open()
        await journal.appendNumbered(0..<3)
        #expect(try await journal.rows(from: 1, limit: 10).isEmpty)
        #expect(await journal.next == 1)
        await journal.flush()
        let rows = try await journal.rows(from: 1, limit: 10)
        #expect(rows.map(\.position) == [1, 2, 3])
        #expect(rows.map(\.number) == [0, 1, 2])
        #expect(rows.allSatisfy { $0.epoch == journal.epoch })
        #expect(await journal.next == 4)
        await journal.close()
    }

    @Test(arguments: [(BufferSettings.Durability.power, 2), (.process, 1)])
    func durabilityIsWhatTheWriterReallyUses(durability: BufferSettings.Durability, level: Int) async throws {
        let folder = try StateFolder()
        let journal = try folder.open(BufferSettings(durability: durability))
        let found = try await journal.database.pool.writeWithoutTransaction { db in
            (try Int.fetchOne(db, sql: "PRAGMA synchronous"), try String.fetchOne(db, sql: "PRAGMA journal_mode"))
        }
        #expect(found.0 == level)
        #expect(found.1 == "wal")
        await journal.close()
    }

    @Test func positionsGoOnAndTheEpochRisesOverRestarts() async throws {
        let folder = try StateFolder()
        var epochs: [UInt32] = []
        for start in 0..<5 {
            let journal = try folder.open()
            epochs.append(journal.epoch)
            await journal.appendNumbered(UInt64(start * 10)..<UInt64(start * 10 + 10))
            await journal.close()
        }
        #expect(epochs == [1, 2, 3, 4, 5])
        let journal = try folder.open()
        await journal.flush()
        let all = try await journal.everything()
        #expect(all.first?.position == 1)
        #expect(isContiguous(all))
        #expect(all.compactMap(\.number) == Array(0..<50))
        await journal.close()
    }

    @Test func aRestartIsToldWithTheTimeInWhichNothingWasRecorded() async throws {
        let folder = try StateFolder()
        let clock = TestClock()
        let before = clock.utc
        let first = try folder.open(clock: clock)
        await first.appendNumbered(0..<2)
        await first.close()
        clock.advance(.seconds(90))
        let journal = try folder.open(clock: clock)
        await journal.flush()
        let gap = try #require(try await journal.rows(from: 3, limit: 1).first?.gap)
        #expect(gap == GapRecord(from: before, to: clock.utc, reason: .restart, count: 0))
        await journal.close()
    }

    @Test func aRestartIsToldThoughTheRunBeforeItCommittedNothing() async throws {
        let folder = try StateFolder()
        let clock = TestClock()
        let begun = clock.utc
        try await folder.open(clock: clock).close()
        clock.advance(.seconds(5))
        let journal = try folder.open(clock: clock)
        await journal.flush()
        let gap = try #require(try await journal.rows(from: 1, limit: 1).first?.gap)
        #expect(gap == GapRecord(from: begun, to: clock.utc, reason: .restart, count: 0))
        await journal.close()
    }

    @Test func theFirstStartTellsNoGap() async throws {
        let folder = try StateFolder()
        let journal = try folder.open()
        await journal.flush()
        #expect(try await journal.everything().isEmpty)
        await journal.close()
    }

    @Test func aSecondGatewayOnTheFolderIsRefusedInWords() async throws {
        let folder = try StateFolder()
        let journal = try folder.open()
        let error = #expect(throws: JournalError.self) { _ = try folder.open() }
        guard case .unusable(let words)? = error else {
            Issue.record("the second gateway got \(String(describing: error))")
            return
        }
        #expect(words.contains("another gateway") && words.contains(folder.path))
        await journal.close()
        let again = try folder.open()
        #expect(again.epoch == 2)
        await again.close()
    }

    @Test func aJournalOfANewerVersionIsLeftAlone() async throws {
        let folder = try StateFolder()
        let journal = try folder.open()
        await journal.appendNumbered(0..<4)
        await journal.close()
        let queue = try DatabaseQueue(path: folder.database)
        try await queue.write { try $0.execute(sql: "PRAGMA user_version = 99") }
        try queue.close()
        let error = #expect(throws: JournalError.self) { _ = try folder.open() }
        guard case .unusable(let words)? = error else {
            Issue.record("a newer journal got \(String(describing: error))")
            return
        }
        #expect(words.contains("99") && words.contains("newer"))
        let untouched = try DatabaseQueue(path: folder.database)
        #expect(try await untouched.read { try Int.fetchOne($0, sql: "SELECT count(*) FROM row") } == 4)
        #expect(
            try await untouched.read { try Int.fetchOne($0, sql: "SELECT value FROM meta WHERE key = 'epoch'") } == 1)
    }

    @Test func memoryAndFileGiveTheSameRows() async throws {
        let folder = try StateFolder()
        let journal = try folder.open()
        var random = SeededGenerator(5)
        for _ in 0..<60 { await journal.append(.readings(Sample.batch(&random))) }
        await journal.flush()
        let recent = try await journal.everything()
        journal.state.withLock { $0.recent = RecentRows() }
        #expect(try await journal.everything() == recent)
        #expect(recent.count == 60)
        await journal.close()
    }

    @Test func memoryKeepsTheNewestRowsOnly() {
        var recent = RecentRows()
        for position in 1...40 {
            let body = [UInt8](repeating: UInt8(position), count: 100_000)
            recent.append([
                StoredRow(position: Position(position), epoch: 1, recorded: UnixTime(microseconds: 0), body: body)
            ])
        }
        #expect(recent.rows(from: 1, limit: 1, byteLimit: 1) == nil)
        #expect(recent.rows(from: 40, limit: .max, byteLimit: 1)?.first?.body.first == 40)
        #expect(recent.rows(from: 41, limit: 5, byteLimit: 1)?.isEmpty == true)
        #expect(recent.rows(from: 40, limit: 0, byteLimit: 1)?.isEmpty == true)
    }

    @Test func aLayoutKeepsItsNumber() async throws {
        let folder = try StateFolder()
        let layouts = (0..<5).map { DeviceLayout(device: "device\($0)", labels: [], entries: []) }
        var journal = try folder.open()
        var numbers: [LayoutID] = []
        for layout in layouts { numbers.append(try await journal.register(layout)) }
        #expect(Set(numbers).count == 5)
        await journal.close()
        journal = try folder.open()
        for (layout, number) in zip(layouts, numbers) {
            #expect(try await journal.layout(number) == layout)
            #expect(try await journal.register(layout) == number)
        }
        await #expect(throws: JournalError.self) { _ = try await journal.layout(4711) }
        await journal.close()
    }

    @Test func whatAPublisherOwesSurvivesAKill() async throws {
        let folder = try StateFolder()
        let journal = try folder.open()
        let owed = [PositionInterval(low: 4, high: 9), PositionInterval(low: 20, high: nil)]
        await journal.save(owed, for: "plant")
        await journal.flush()
        let killed = try StateFolder(snapshotOf: folder)
        let next = try killed.open()
        #expect(try await next.pending(for: "plant") == owed)
        #expect(try await next.pending(for: "stranger") == nil)
        await next.close()
        await journal.close()
    }

    @Test func eachListenerHearsOfTheNewestCommit() async throws {
        let folder = try StateFolder()
        let journal = try folder.open()
        var first = await journal.commits().makeAsyncIterator()
        var second = await journal.commits().makeAsyncIterator()
        for number in 0..<5 as Range<UInt64> {
            await journal.append(Sample.numbered(number))
            await journal.flush()
        }
        #expect(await first.next() == 6)
        #expect(await second.next() == 6)
        await journal.close()
        #expect(await first.next() == nil)
    }

    @Test func runCommitsOnceInEachPeriod() async throws {
        let folder = try StateFolder()
        let clock = TestClock()
        let journal = try folder.open(BufferSettings(commitEvery: .milliseconds(100)), clock: clock)
        let running = Task { await journal.run() }
        var commits = await journal.commits().makeAsyncIterator()
        await journal.appendNumbered(0..<7)
        await clock.someoneSleeps()
        clock.advance(.milliseconds(99))
        #expect(await journal.next == 1)
        clock.advance(.milliseconds(1))
        #expect(await commits.next() == 8)
        #expect(await journal.figures.commits == 1)
        running.cancel()
        await running.value
        await journal.close()
    }

    @Test func aFullGroupMakesTheCallerWaitForItsCommit() async throws {
        let folder = try StateFolder()
        let journal = try folder.open()
        var most = 0
        for number in 0..<UInt64(RowGroup.rowLimit * 2 + 10) {
            await journal.append(Sample.numbered(number))
            most = max(most, journal.state.withLock { $0.group.rows.count })
        }
        #expect(most <= RowGroup.rowLimit)
        #expect(await journal.next == Position(RowGroup.rowLimit * 2 + 1))
        await journal.close()
    }

    @Test func nothingIsAcceptedSilentlyAfterTheClose() async throws {
        let folder = try StateFolder()
        let journal = try folder.open()
        await journal.appendNumbered(0..<2)
        await journal.close()
        await journal.append(Sample.floats(3, number: 1))
        await journal.flush()
        #expect(await journal.figures.lostReadings == 3)
        #expect(await journal.next == 3)
        await #expect(throws: JournalError.closed) { _ = try await journal.read(from: 1, limit: 1) }
        let layout = DeviceLayout(device: "pump", labels: [], entries: [])
        await #expect(throws: JournalError.closed) { _ = try await journal.register(layout) }
        await journal.close()
    }

    @Test func aFloatReadingTakesAtMostTwelveBytesOnDisk() async throws {
        let folder = try StateFolder()
        let journal = try folder.open()
        for number in 0..<2000 as Range<UInt64> {
            await journal.append(Sample.floats(100, number: number))
            if number % 10 == 9 { await journal.flush() }
        }
        await journal.close()
        let each = Double(folder.byteCount(folder.database) + folder.byteCount(folder.log)) / 200_000
        #expect(each <= 12)
        #expect(each >= 4, "less than the floats themselves cannot be")
    }
}
