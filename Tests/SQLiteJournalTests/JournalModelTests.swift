import Engine
import GatewayTesting
import Model
import Testing

@testable import SQLiteJournal

/// A journal as it should be: what was appended, what is committed, nothing else.
private struct ModelJournal {
    var committed: [UInt64?] = []
    var waiting: [UInt64] = []
    var owed: [PositionInterval]?
    var savedOwed: [PositionInterval]?
    var epoch: UInt32 = 1

    mutating func commit() {
        committed += waiting
        waiting = []
        savedOwed = owed
    }

    mutating func restart() {
        committed.append(nil)
        waiting = []
        owed = savedOwed
        epoch += 1
    }
}

@Suite(.serialized) struct JournalModelTests {
    @Test(arguments: 0..<30)
    func anySequenceOfOperationsLeavesWhatTheModelSays(seed: Int) async throws {
        var random = SeededGenerator(UInt64(seed))
        let clock = TestClock()
        var folder = try StateFolder()
        let durability = seed % 2 == 0 ? BufferSettings.Durability.power : .process
        let settings = BufferSettings(maxByteCount: 1 << 30, durability: durability)
        var journal = try folder.open(settings, clock: clock)
        var model = ModelJournal()
        var number: UInt64 = 0
        for _ in 0..<80 {
            clock.advance(.milliseconds(50))
            switch Int.random(in: 0..<12, using: &random) {
            case 0..<5:
                let numbers = number..<number + .random(in: 1...30, using: &random)
                await journal.appendNumbered(numbers)
                model.waiting += Array(numbers)
                number = numbers.upperBound
            case 5..<8:
                await journal.flush()
                model.commit()
            case 8:
                let owed = [PositionInterval(low: .random(in: 1...500, using: &random), high: nil)]
                await journal.save(owed, for: "plant")
                model.owed = owed
            case 9:
                let position = Position.random(in: 1...Position(model.committed.count + 3), using: &random)
                let limit = Int.random(in: 0...40, using: &random)
                let rows = try await journal.rows(from: position, limit: limit)
                let expected = model.committed.dropFirst(Int(position - 1)).prefix(limit)
                #expect(rows.map(\.number) == Array(expected), "seed \(seed)")
                #expect(rows.first.map(\.position) ?? position == position)
            case 10:
                await journal.close()
                model.commit()
                journal = try folder.open(settings, clock: clock)
                model.restart()
            default:
                let killed = try StateFolder(snapshotOf: folder)
                await journal.close()
                folder = killed
                journal = try folder.open(settings, clock: clock)
                model.restart()
            }
            #expect(await journal.next == Position(model.committed.count + 1), "seed \(seed)")
            #expect(journal.epoch == model.epoch)
            #expect(try await journal.pending(for: "plant") == model.owed)
        }
        #expect(try await journal.everything().map(\.number) == model.committed, "seed \(seed)")
        await journal.close()
    }

    @Test func manyWritersAndReadersSeeOneOrder() async throws {
        let folder = try StateFolder()
        let journal = try folder.open()
        try await withThrowingTaskGroup(of: [UInt64].self) { group in
            for writer in 0..<4 as Range<UInt64> {
                group.addTask {
                    for index in 0..<2000 as Range<UInt64> {
                        await journal.append(Sample.numbered(writer * 10_000 + index))
                        if index % 97 == 0 { await journal.flush() }
                    }
                    await journal.flush()
                    return []
                }
            }
            for _ in 0..<2 {
                group.addTask {
                    var seen: [UInt64] = []
                    var position: Position = 1
                    for await next in await journal.commits() {
                        while position < next {
                            let rows = try await journal.rows(from: position, limit: 50)
                            guard let last = rows.last else { break }
                            #expect(rows.first?.position == position && isContiguous(rows))
                            seen += rows.compactMap(\.number)
                            position = last.position + 1
                        }
                        if seen.count == 8000 { break }
                    }
                    return seen
                }
            }
            var orders: [[UInt64]] = []
            for try await seen in group where !seen.isEmpty { orders.append(seen) }
            #expect(orders.count == 2 && orders.first == orders.last)
            for writer in 0..<4 as Range<UInt64> {
                let own = orders.first?.filter { $0 / 10_000 == writer } ?? []
                #expect(own == (0..<2000).map { writer * 10_000 + $0 }, "each writer's rows keep their order")
            }
        }
        await journal.close()
    }
}
