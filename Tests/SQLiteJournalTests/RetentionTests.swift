import Engine
import GRDB
import Model
import Synchronization
import Testing

@testable import SQLiteJournal

@Suite(.serialized) struct RetentionTests {
    /// Appends `count` polls of 100 floats, ten a commit.
    private func fill(_ journal: SQLiteJournal, _ numbers: Range<UInt64>) async {
        for number in numbers {
            await journal.append(Sample.floats(100, number: number))
            if number % 10 == 9 { await journal.flush() }
        }
        await journal.flush()
    }

    @Test func theFileStaysBelowItsLimitAndTheOldestGoFirst() async throws {
        let folder = try StateFolder()
        let journal = try folder.open(BufferSettings(maxByteCount: 1 << 20))
        await fill(journal, 0..<10_000)
        let figures = await journal.figures
        #expect(figures.byteCount < (1 << 20) * 5 / 4 + (9 << 20), "the log of at most 8 MiB counts too")
        #expect(folder.byteCount(folder.database) < (1 << 20) * 5 / 4)
        let rows = try await journal.everything()
        #expect(rows.first?.position == figures.first && figures.first > 5000)
        #expect(isContiguous(rows))
        #expect(rows.last?.number == 9999)
        #expect(rows.allSatisfy { $0.gap == nil }, "nobody was owed these rows")
        await journal.close()
        #expect(folder.byteCount(folder.database) < (1 << 20) * 5 / 4)
    }

    @Test func manySmallRowsCannotOutrunEviction() async throws {
        let folder = try StateFolder()
        let journal = try folder.open(BufferSettings(maxByteCount: 1 << 20))
        await journal.appendNumbered(0..<200_000)
        await journal.flush()
        #expect(folder.byteCount(folder.database) < 3 << 20)
        await journal.close()
    }

    @Test func undeliveredRowsThatGoAreToldExactly() async throws {
        let folder = try StateFolder()
        let journal = try folder.open(BufferSettings(maxByteCount: 1 << 20))
        await fill(journal, 0..<1000)
        // Position 3 and 500 to 599 are owed to one publisher, 550 on to another.
        await journal.save([.init(low: 3, high: 4), .init(low: 500, high: 600)], for: "plant")
        await journal.save([.init(low: 550, high: nil)], for: "cloud")
        await fill(journal, 1000..<8000)
        let figures = await journal.figures
        #expect(figures.first > 3000)
        let rows = try await journal.everything()
        #expect(isContiguous(rows))
        let told = try await allGaps(of: journal, folder)
        #expect(told.allSatisfy { $0.reason == .bufferEvicted && $0.from <= $0.to })
        let last = try #require(told.last?.positions)
        #expect(last.upperBound == figures.first - 1, "everything from 500 up to the first row that is left is told")
        let stillTold = told.filter { ($0.positions?.upperBound ?? 0) >= figures.first - 500 }
        #expect(!stillTold.isEmpty)
        for gap in told {
            let positions = try #require(gap.positions)
            #expect(positions.lowerBound >= 3 && gap.count <= UInt64(positions.count))
        }
        await journal.close()
    }

    /// The gap records that are still stored.
    private func allGaps(of journal: SQLiteJournal, _ folder: StateFolder) async throws -> [GapRecord] {
        try await journal.everything().compactMap(\.gap)
    }

    @Test func oneEvictionWritesOneRecordOverAllThatIsOwed() async throws {
        let folder = try StateFolder()
        let clock = TestClock()
        let journal = try folder.open(BufferSettings(maxAge: .seconds(100)), clock: clock)
        var times: [UnixTime] = []
        for number in 0..<40 as Range<UInt64> {
            clock.advance(.seconds(1))
            times.append(clock.utc)
            await journal.append(Sample.numbered(number))
        }
        await journal.flush()
        await journal.save([.init(low: 5, high: 8), .init(low: 20, high: nil)], for: "plant")
        await journal.save([.init(low: 7, high: 9)], for: "cloud")
        // 30 rows are older than 100 seconds now.
        clock.advance(.seconds(90.5))
        journal.evicted(telling: try journal.keepWithinLimits())
        let rows = try await journal.everything()
        #expect(rows.first?.position == 31)
        #expect(isContiguous(rows))
        let gap = try #require(rows.last?.gap)
        #expect(gap.positions == 5...30)
        #expect(gap.count == 4 + 11, "5 to 8 and 20 to 30")
        #expect(gap.from == times[4] && gap.to == times[29])
        #expect(try journal.keepWithinLimits().isEmpty, "told once")
        await journal.close()
    }

    @Test func rowsOfARunInNineteenSeventyStayAfterARestartInTheRightYear() async throws {
        let (folder, clock) = (try StateFolder(), TestClock())
        let settings = BufferSettings(maxAge: .seconds(1000))
        clock.stepUTC(by: .seconds(-1_763_000_000))
        let dead = try folder.open(settings, clock: clock)
        await dead.save([.init(low: 1, high: nil)], for: "plant")
        await dead.appendNumbered(0..<10)
        await dead.close()
        clock.stepUTC(by: .seconds(1_763_000_000))
        let journal = try folder.open(settings, clock: clock)
        await journal.appendNumbered(10..<20)
        await journal.flush()
        #expect(try journal.keepWithinLimits().isEmpty)
        #expect(await journal.figures.first == 1)
        #expect(try await journal.everything().compactMap(\.number) == Array(0..<20))
        // They go with the rows of the right time behind them.
        clock.advance(.seconds(1100))
        await journal.appendNumbered(20..<21)
        await journal.flush()
        journal.evicted(telling: try journal.keepWithinLimits())
        #expect(await journal.figures.first > 20)
        await journal.close()
    }

    @Test func aClockThatWasWrongForAWhileTakesNoOtherRowsWithIt() async throws {
        let folder = try StateFolder()
        let clock = TestClock()
        let journal = try folder.open(BufferSettings(maxAge: .seconds(1000)), clock: clock)
        await journal.appendNumbered(0..<10)
        clock.advance(.seconds(-100_000))
        await journal.appendNumbered(10..<20)
        clock.advance(.seconds(100_000))
        await journal.appendNumbered(20..<30)
        await journal.flush()
        #expect(try journal.keepWithinLimits().isEmpty)
        #expect(await journal.figures.first == 1)
        await journal.close()
    }

    /// Rows 1 to 10 before the wall clock is set, 11 to 20 after it.
    private func stepped(by step: Duration, _ folder: StateFolder, _ clock: TestClock) async throws -> SQLiteJournal {
        let journal = try folder.open(BufferSettings(maxAge: .seconds(1000)), clock: clock)
        await journal.save([.init(low: 1, high: nil)], for: "plant")
        await journal.appendNumbered(0..<10)
        await journal.flush()
        clock.stepUTC(by: step)
        clock.advance(.seconds(500))
        await journal.appendNumbered(10..<20)
        await journal.flush()
        return journal
    }

    @Test(arguments: [Duration.seconds(1_700_000_000), .seconds(-1_700_000_000)])
    func settingTheClockMakesNoRowOlderOrYounger(_ step: Duration) async throws {
        let (folder, clock) = (try StateFolder(), TestClock())
        let journal = try await stepped(by: step, folder, clock)
        #expect(try journal.keepWithinLimits().isEmpty)
        #expect(await journal.figures.first == 1)
        clock.advance(.seconds(540))
        journal.evicted(telling: try journal.keepWithinLimits())
        let rows = try await journal.everything()
        #expect(rows.first?.position == 11, "500 and 1040 seconds old")
        #expect(rows.last?.gap?.positions == 1...10)
        await journal.close()
    }

    @Test func aClockThatJumpsAndComesBackEvictsNothing() async throws {
        let (folder, clock) = (try StateFolder(), TestClock())
        let journal = try await stepped(by: .seconds(100_000), folder, clock)
        clock.stepUTC(by: .seconds(-100_000))
        await journal.appendNumbered(20..<30)
        await journal.flush()
        #expect(try journal.keepWithinLimits().isEmpty)
        clock.advance(.seconds(530))
        _ = try journal.keepWithinLimits()
        #expect(await journal.figures.first == 11)
        await journal.close()
    }

    @Test func theNewestRowStaysSoThatPositionsGoOn() async throws {
        let folder = try StateFolder()
        let clock = TestClock()
        let journal = try folder.open(BufferSettings(maxAge: .seconds(10)), clock: clock)
        await journal.appendNumbered(0..<10)
        await journal.flush()
        clock.advance(.seconds(1000))
        _ = try journal.keepWithinLimits()
        let killed = try StateFolder(snapshotOf: folder)
        let next = try killed.open()
        #expect(await next.next == 12, "ten rows and the restart")
        await next.close()
        await journal.close()
    }

    @Test func aLossThatWasToldByARecordThatIsLostItselfIsToldAgain() async throws {
        let folder = try StateFolder()
        let journal = try folder.open(BufferSettings(maxByteCount: 1 << 20))
        await journal.save([.init(low: 1, high: nil)], for: "plant")
        await fill(journal, 0..<12_000)
        let rows = try await journal.everything()
        let first = try #require(rows.first?.position)
        #expect(first > 5000, "the buffer was overwritten several times")
        let told = rows.compactMap(\.gap?.positions)
        #expect((1..<first).allSatisfy { hole in told.contains { $0.contains(hole) } })
        #expect(told.count < 60, "a long loss is told by few records")
        await journal.close()
    }

    @Test func whatWasEvictedWhileAPublisherWasAwayIsNoLossToTheOthers() async throws {
        let folder = try StateFolder()
        var journal = try folder.open(BufferSettings(maxByteCount: 1 << 20))
        await journal.save([.init(low: 5, high: nil)], for: "away")
        await journal.serve(["plant"])
        await fill(journal, 0..<6000)
        #expect(try await journal.everything().allSatisfy { $0.gap == nil })
        #expect(try await journal.pending(for: "away") == [.init(low: 5, high: nil)], "it may come back")
        await journal.close()
        journal = try folder.open(BufferSettings(maxByteCount: 1 << 20))
        #expect(try await journal.pending(for: "away") == [.init(low: 5, high: nil)])
        await journal.close()
    }

    @Test func whoIsToldOfAnEvictionDoesNotOweItAfterACrash() async throws {
        let folder = try StateFolder()
        let journal = try folder.open(BufferSettings(maxByteCount: 1 << 20))
        await journal.save([.init(low: 1, high: nil)], for: "plant")
        await fill(journal, 0..<6000)
        let killed = try StateFolder(snapshotOf: folder)
        let next = try killed.open(BufferSettings(maxByteCount: 1 << 20))
        let first = await next.figures.first
        #expect(try await next.pending(for: "plant")?.first?.low ?? 0 >= first)
        await next.close()
        await journal.close()
    }

    @Test func rowsThatAreTooOldGoInFewSteps() async throws {
        let folder = try StateFolder()
        let clock = TestClock()
        let journal = try folder.open(BufferSettings(maxAge: .seconds(1000)), clock: clock)
        await journal.save([.init(low: 1, high: nil)], for: "plant")
        for number in 0..<4000 as Range<UInt64> {
            clock.advance(.seconds(1))
            await journal.append(Sample.numbered(number))
            if number % 2 == 1 { await journal.flush() }
        }
        await journal.flush()
        let rows = try await journal.everything()
        #expect(rows.compactMap(\.gap).count <= 60)
        #expect((1000...1100).contains(rows.compactMap(\.number).count))
        #expect(unexplainedHoles(rows).isEmpty)
        await journal.close()
    }

    @Test func underALongReaderTheDiskStaysWithinMaxSize() async throws {
        let folder = try StateFolder()
        let settings = BufferSettings(maxByteCount: 4 << 20)
        let journal = try folder.open(settings)
        await fill(journal, 0..<4000)
        var reads = Configuration()
        reads.allowsUnsafeTransactions = true
        let reader = try DatabaseQueue(path: folder.database, configuration: reads)
        try await reader.writeWithoutTransaction { db in
            try db.beginTransaction(.deferred)
            _ = try Int.fetchOne(db, sql: "SELECT count(*) FROM row")
        }
        for number in 4000..<12_000 as Range<UInt64> {
            await journal.append(Sample.floats(100, number: number))
            if number % 20 == 19 { await journal.flush() }
            #expect(journal.database.byteCountOnDisk() <= settings.maxByteCount)
        }
        #expect(await journal.figures.fault?.contains("reads") == true)
        try await reader.writeWithoutTransaction { try $0.commit() }
        try reader.close()
        await journal.append(Sample.floats(100, number: 12_000))
        await journal.flush()
        let figures = await journal.figures
        #expect(figures.fault == nil && figures.volatileRows == 0)
        #expect(unexplainedHoles(try await journal.everythingTold()).isEmpty)
        await journal.close()
    }

    @Test func aLoweredMaxSizeMakesTheFileSmaller() async throws {
        let folder = try StateFolder()
        var journal = try folder.open(BufferSettings(maxByteCount: 8 << 20))
        await fill(journal, 0..<16_000)
        await journal.close()
        #expect(folder.byteCount(folder.database) > 6 << 20)
        let lower = BufferSettings(maxByteCount: 2 << 20)
        journal = try folder.open(lower)
        for number in 0..<600 as Range<UInt64> {
            await journal.append(Sample.floats(100, number: number))
            await journal.flush()
        }
        #expect(journal.database.byteCountOnDisk() <= lower.maxByteCount)
        #expect(unexplainedHoles(try await journal.everything()).isEmpty)
        await journal.close()
    }

    @Test func overlapsAreUnitedAndClipped() {
        let intervals: [PositionInterval] = [
            .init(low: 20, high: nil), .init(low: 3, high: 6), .init(low: 5, high: 8), .init(low: 8, high: 10),
            .init(low: 12, high: 12),
        ]
        #expect(intervals.overlap(with: 4...25) == [4...9, 20...25])
        #expect(intervals.overlap(with: 10...19).isEmpty)
        #expect(
            [PositionInterval(low: 1, high: nil)].removing(5...9) == [
                .init(low: 1, high: 5), .init(low: 10, high: nil),
            ])
        #expect([PositionInterval(low: 6, high: 8)].removing(5...9).isEmpty)
    }
}
