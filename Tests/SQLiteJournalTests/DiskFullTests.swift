import Engine
import GRDB
import Model
import Synchronization
import Testing

@testable import SQLiteJournal

@Suite(.serialized) struct DiskFullTests {
    /// Lets the file of `journal` grow by no more than `pages`, or again without limit.
    private func limit(_ journal: SQLiteJournal, toFurther pages: Int64?) async throws {
        try await journal.database.pool.writeWithoutTransaction { db in
            let count = try Int64.fetchOne(db, sql: "PRAGMA page_count") ?? 0
            _ = try Int64.fetchOne(db, sql: "PRAGMA max_page_count = \(pages.map { count + $0 } ?? 1_000_000_000)")
        }
    }

    @Test func aFullDiskIsBridgedFromMemoryAndNothingIsLost() async throws {
        let folder = try StateFolder()
        let clock = TestClock()
        let journal = try folder.open(clock: clock)
        await journal.append(Sample.floats(100, number: 0))
        await journal.flush()
        try await limit(journal, toFurther: 0)
        for number in 1...50 as ClosedRange<UInt64> { await journal.append(Sample.floats(100, number: number)) }
        await journal.flush()
        var figures = await journal.figures
        #expect(figures.fault?.contains("full") == true)
        #expect(figures.lostReadings == 0 && figures.volatileRows == 50)
        let volatile = try await journal.everything()
        #expect(volatile.map(\.number) == (0...50).map { $0 })
        #expect(volatile.map(\.isVolatile) == [false] + Array(repeating: true, count: 50))

        clock.advance(.seconds(30))
        try await limit(journal, toFurther: nil)
        await journal.append(Sample.floats(100, number: 51))
        await journal.flush()
        figures = await journal.figures
        #expect(figures.fault == nil && figures.volatileRows == 0)
        let rows = try await journal.everything()
        #expect(rows.map(\.number) == (0...51).map { $0 } && isContiguous(rows))
        #expect(rows.allSatisfy { !$0.isVolatile })
        let killed = try StateFolder(snapshotOf: folder)
        let next = try killed.open()
        #expect(next.openingNotes.isEmpty)
        #expect(try await next.everything().prefix(52).map(\.body) == rows.map(\.body))
        await next.close()
        await journal.close()
    }

    @Test func aKillWhileTheDiskRefusesNeverMakesAPositionComeTwice() async throws {
        let folder = try StateFolder()
        let journal = try folder.open()
        await journal.appendNumbered(0..<3)
        await journal.flush()
        try await limit(journal, toFurther: 0)
        for number in 0..<40 as Range<UInt64> { await journal.append(Sample.floats(100, number: number)) }
        await journal.flush()
        let given = await journal.next
        #expect(given > 40, "publishers have seen these positions")
        let killed = try StateFolder(snapshotOf: folder)
        let next = try killed.open()
        #expect(next.openingNotes.first?.contains("refused") == true)
        let rows = try await next.everything()
        #expect(rows.compactMap(\.number) == [0, 1, 2])
        let told = try #require(rows.compactMap(\.gap).first { $0.reason == .diskError }?.positions)
        #expect(told.lowerBound == 4 && told.upperBound >= given - 1)
        #expect(rows.allSatisfy { $0.position < 4 || $0.position >= given })
        await next.close()
        await journal.close()
    }

    @Test func aStopWhileTheDiskRefusesIsToldByTheNextStart() async throws {
        let folder = try StateFolder()
        let journal = try folder.open()
        await journal.appendNumbered(0..<3)
        await journal.flush()
        try await limit(journal, toFurther: 0)
        for number in 0..<40 as Range<UInt64> { await journal.append(Sample.floats(100, number: number)) }
        await journal.flush()
        let given = await journal.next
        await journal.close()
        let next = try folder.open()
        let rows = try await next.everything()
        #expect(rows.compactMap(\.gap).contains { $0.positions == 4...(given - 1) })
        #expect(await next.next >= given)
        await next.close()
    }

    @Test func whatDoesNotFitInMemoryIsDroppedOldestFirstAndToldByPosition() async throws {
        let folder = try StateFolder()
        let journal = try folder.open()
        await journal.appendNumbered(0..<5)
        await journal.flush()
        await journal.serve(["plant"])
        await journal.save([PositionInterval(low: 1, high: nil)], for: "plant")
        try await limit(journal, toFurther: 0)
        let count = UInt64(HeldRows.byteLimit / 500 * 2)
        for number in 0..<count { await journal.append(Sample.floats(100, number: number)) }
        await journal.flush()
        let figures = await journal.figures
        #expect(figures.lostReadings > 0 && figures.lostReadings < count * 100)
        #expect(figures.volatileRows < count)
        let slice = try await journal.read(from: 6, limit: 10)
        #expect(slice.entries.isEmpty || (slice.entries.first?.position ?? 0) > 6)
        #expect(slice.end > 6, "what is gone is stepped over")
        try await limit(journal, toFurther: nil)
        await journal.flush()
        let rows = try await journal.everything()
        #expect(unexplainedHoles(rows).isEmpty)
        let gap = try #require(rows.compactMap(\.gap).last)
        #expect(gap.reason == .diskError && gap.positions?.lowerBound == 6)
        #expect(gap.count == figures.lostReadings)
        #expect(rows.compactMap(\.number).count == 5 + Int(count) - Int(gap.positions?.count ?? 0))
        await journal.close()
    }

    @Test func aDiskThatIsFullForOneCommitCostsNothing() async throws {
        let folder = try StateFolder()
        let clock = TestClock()
        let journal = try folder.open(BufferSettings(commitEvery: .milliseconds(100)), clock: clock)
        let running = Task { await journal.run() }
        try await limit(journal, toFurther: 0)
        for number in 0..<50 as Range<UInt64> { await journal.append(Sample.floats(100, number: number)) }
        await journal.save([PositionInterval(low: 1, high: nil)], for: "plant")
        var commits = await journal.commits().makeAsyncIterator()
        await clock.someoneSleeps()
        clock.advance(.milliseconds(100))
        #expect(await commits.next() == 51, "publishers can go on at once")
        #expect(await journal.figures.fault != nil)
        try await limit(journal, toFurther: nil)
        await clock.someoneSleeps()
        clock.advance(.seconds(2))
        while await journal.figures.fault != nil { await Task.yield() }
        let figures = await journal.figures
        #expect(figures.fault == nil && figures.lostReadings == 0)
        running.cancel()
        await running.value
        #expect(try await journal.everything().compactMap(\.number) == Array(0..<50))
        await journal.close()
        let again = try folder.open()
        #expect(try await again.pending(for: "plant") == [PositionInterval(low: 1, high: nil)])
        await again.close()
    }

    @Test func gapRecordsWaitForTheDiskInsteadOfBeingLost() async throws {
        let folder = try StateFolder()
        let journal = try folder.open()
        try await limit(journal, toFurther: 0)
        let time = UnixTime(milliseconds: 5)
        let gap = GapRecord(device: "pump", from: time, to: time, reason: .deviceDown, count: 4)
        for number in 0..<60 as Range<UInt64> { await journal.append(Sample.floats(100, number: number)) }
        await journal.append(.gap(gap))
        for _ in 0..<5 { await journal.flush() }
        #expect(await journal.figures.lostReadings == 0)
        try await limit(journal, toFurther: nil)
        await journal.flush()
        let gaps = try await journal.everything().compactMap(\.gap)
        #expect(gaps.map(\.reason) == [.deviceDown])
        #expect(gaps.last == gap)
        await journal.close()
    }

    @Test func memoryStaysBoundedWhileTheDiskRefuses() async throws {
        let folder = try StateFolder()
        let journal = try folder.open()
        try await limit(journal, toFurther: 0)
        var most = 0
        for number in 0..<UInt64(RowGroup.rowLimit * 4) {
            await journal.append(Sample.numbered(number))
            most = max(most, journal.state.withLock { $0.group.rows.count })
        }
        #expect(most <= RowGroup.rowLimit)
        #expect(await journal.figures.volatileRows <= UInt64(HeldRows.byteLimit / 96))
        try await limit(journal, toFurther: nil)
        await journal.flush()
        let figures = await journal.figures
        let rows = try await journal.everything()
        #expect(unexplainedHoles(rows).isEmpty)
        let told = rows.compactMap(\.gap).reduce(0) { $0 + $1.count }
        #expect(told == figures.lostReadings)
        #expect(UInt64(rows.compactMap(\.number).count) + told == UInt64(RowGroup.rowLimit * 4))
        await journal.close()
    }

    @Test func rowsThatAnotherWriterPutThereAreNotOverwritten() async throws {
        let folder = try StateFolder()
        let journal = try folder.open()
        await journal.appendNumbered(0..<3)
        await journal.flush()
        try await journal.database.pool.write { db in
            try db.execute(sql: "INSERT INTO row SELECT 4, epoch, recorded, substr(body, 6) FROM row WHERE seq = 1")
        }
        await journal.append(Sample.numbered(3))
        await journal.flush()
        let rows = try await journal.everything()
        #expect(rows.map(\.position) == [1, 2, 3, 4, 5])
        #expect(rows.compactMap(\.number) == [0, 1, 2, 0, 3])
        #expect(await journal.figures.lostReadings == 0)
        await journal.close()
    }
}
