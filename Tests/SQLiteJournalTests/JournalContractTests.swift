import Engine
import GatewayTesting
import Model
import Testing

@testable import SQLiteJournal

/// What every journal promises (``Journal``), tried on the one that tests use and on the one that plants use.
@Suite(.timeLimit(.minutes(1))) struct JournalContractTests {
    enum Kind: String, CaseIterable {
        case memory, sqlite
    }

    private func with(_ kind: Kind, _ body: (any Journal) async throws -> Void) async throws {
        switch kind {
        case .memory: try await body(MemoryJournal())
        case .sqlite:
            let folder = try StateFolder()
            let journal = try folder.open()
            try await body(journal)
            await journal.close()
        }
    }

    @Test(arguments: Kind.allCases) func rowsGetContiguousPositionsInTheOrderOfTheirAppends(kind: Kind) async throws {
        try await with(kind) { journal in
            let first = await journal.next
            for number in 0..<50 as Range<UInt64> { await journal.append(Sample.numbered(number)) }
            await journal.flush()
            let rows = try await journal.read(from: first, limit: 100).entries
            #expect(rows.map(\.position) == Array(first..<first + 50))
            #expect(rows.compactMap(\.number) == Array(0..<50))
            #expect(rows.allSatisfy { $0.epoch == journal.epoch && !$0.isVolatile })
            #expect(await journal.next == first + 50)
        }
    }

    @Test(arguments: Kind.allCases) func aReadBeginsWhereItIsToldAndEndsAtItsLimit(kind: Kind) async throws {
        try await with(kind) { journal in
            for number in 0..<50 as Range<UInt64> { await journal.append(Sample.numbered(number)) }
            await journal.flush()
            let next = await journal.next
            let slice = try await journal.read(from: next - 30, limit: 10)
            #expect(slice.entries.map(\.position) == Array(next - 30..<next - 20))
            #expect(slice.end == next - 20)
            let nothing = try await journal.read(from: next, limit: 10)
            #expect(nothing.entries.isEmpty && nothing.end == next)
            let empty = try await journal.read(from: next - 1, limit: 0)
            #expect(empty.entries.isEmpty)
        }
    }

    @Test(arguments: Kind.allCases) func aGapIsARowLikeAnyOther(kind: Kind) async throws {
        try await with(kind) { journal in
            let time = UnixTime(milliseconds: 1_763_000_000_000)
            let gap = GapRecord(device: "d", positions: 3...7, from: time, to: time, reason: .diskError, count: 5)
            await journal.append(.gap(gap))
            await journal.append(Sample.numbered(1))
            await journal.flush()
            let next = await journal.next
            let rows = try await journal.read(from: next - 2, limit: 9).entries
            #expect(rows.map(\.gap) == [gap, nil] && rows.last?.number == 1)
        }
    }

    @Test(arguments: Kind.allCases) func aLayoutHasOneNumberAndAnUnknownNumberIsAnError(kind: Kind) async throws {
        try await with(kind) { journal in
            func layout(_ device: String) -> DeviceLayout {
                let entry = DeviceLayout.Entry(id: "\(device)/p", definition: "00112233445566aa", unit: "W")
                return DeviceLayout(device: device, labels: [Label(key: "site", value: "x")], entries: [entry])
            }
            let (pump, tank) = (try await journal.register(layout("pump")), try await journal.register(layout("tank")))
            #expect(pump != tank)
            let again = (try await journal.register(layout("pump")), try await journal.layout(tank))
            #expect(again.0 == pump && again.1 == layout("tank"))
            var refusal: JournalError?
            do throws(JournalError) { _ = try await journal.layout(4711) } catch { refusal = error }
            #expect(refusal != nil)
        }
    }

    @Test(arguments: Kind.allCases) func whatPublishersOweIsKeptApart(kind: Kind) async throws {
        try await with(kind) { journal in
            for number in 0..<20 as Range<UInt64> { await journal.append(Sample.numbered(number)) }
            await journal.flush()
            let unknown = try await journal.pending(for: "plant")
            #expect(unknown == nil)
            let plant = [PositionInterval(low: 3, high: 5), PositionInterval(low: 9, high: nil)]
            let cloud = [PositionInterval(low: 1, high: nil)]
            await journal.save(plant, for: "plant")
            await journal.save(cloud, for: "cloud")
            await journal.flush()
            let stored = (try await journal.pending(for: "plant"), try await journal.pending(for: "cloud"))
            #expect(stored.0 == plant && stored.1 == cloud)
        }
    }

    @Test(arguments: Kind.allCases) func everyListenerHearsOfTheNewestCommit(kind: Kind) async throws {
        try await with(kind) { journal in
            let streams = [await journal.commits(), await journal.commits()]
            for number in 0..<5 as Range<UInt64> { await journal.append(Sample.numbered(number)) }
            await journal.flush()
            let next = await journal.next
            for stream in streams {
                for await heard in stream where heard == next { break }
            }
        }
    }

    @Test(arguments: Kind.allCases) func figuresCountReadingsAndPositions(kind: Kind) async throws {
        try await with(kind) { journal in
            let before = await journal.figures
            for number in 0..<7 as Range<UInt64> { await journal.append(Sample.floats(10, number: number)) }
            await journal.flush()
            let after = await journal.figures
            #expect(after.readings - before.readings == 70)
            #expect(after.next - before.next == 7)
            #expect(after.lostReadings == 0 && after.volatileRows == 0 && after.fault == nil)
        }
    }
}
