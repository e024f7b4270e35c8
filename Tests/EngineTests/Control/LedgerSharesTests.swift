import Model
import Testing

@testable import Engine

struct LedgerSharesTests {
    private func moment(_ seconds: Int64) -> Moment {
        Moment(utc: UnixTime(milliseconds: 1_763_000_000_000 + seconds * 1000), uptime: .seconds(seconds))
    }

    @Test func aDayOfJunkMakesFewEntriesAndEachIsCounted() throws {
        var tally = RefusalTally()
        let limits = DeskLimits()
        var (entries, summaries, summed) = (UInt64(0), 0, UInt64(0))
        // Five a second for a day.
        for second in 0..<86_400 as Range<Int64> {
            for _ in 0..<5 where tally.admits(.badSignature, of: nil, limits, at: moment(second)) { entries += 1 }
            if let summary = tally.takeDue(at: .seconds(second)) {
                summaries += 1
                summed += summary.counts.values.reduce(0, +)
            }
        }
        summed += tally.takeDue(at: .seconds(90_000))?.counts.values.reduce(0, +) ?? 0
        #expect((1400...1480).contains(entries), "20 at once and one a minute")
        #expect(summaries <= 1440)
        #expect(summed + entries == 5 * 86_400)
    }

    @Test func whatIsJunkTakesNoEntryOfAPerson() {
        var tally = RefusalTally()
        for _ in 0..<1000 { _ = tally.admits(.badFormat, of: nil, DeskLimits(), at: moment(0)) }
        let isRecorded = tally.admits(.lockedOut, of: "anna", DeskLimits(), at: moment(0))
        #expect(isRecorded)
    }

    @Test func aShareOfTheLedgerIsThereAgainTheNextDay() {
        var use = LedgerUse(at: .zero)
        use.add(100, by: "opt", at: .seconds(10))
        #expect(use.isSpent(100, by: "opt", at: .seconds(20)))
        #expect(!use.isSpent(100, by: "anna", at: .seconds(20)))
        #expect(!use.isSpent(100, by: "opt", at: .seconds(86_401)))
    }

    @Test func longTextsAreCutWhereverTheyAre() {
        let long = String(repeating: "ü", count: 20_000)
        let value = JSONValue.object([
            .init("a", .string(long)), .init("b", .array([JSONValue](repeating: .string(long), count: 10))),
        ])
        #expect(value.shortened(to: 100).bytes.count < 3000)
        #expect(JSONValue.string("short").shortened(to: 100) == .string("short"))
    }

    @Test func fiveMinutesOfJunkMakeAFewEntriesAMinuteThatCountAllOfIt() throws {
        var plant = try DeskTests.Plant()
        let before = plant.leafCount
        for _ in 0..<300 {
            for _ in 0..<8 {
                try plant.handle(.junk(IncomingJunk(point: "chiller1/a", code: .badSignature, token: 1)))
            }
            try plant.pass(1)
        }
        try plant.pass(120)
        #expect(plant.leafCount - before < 40)
        let refused = try leaves(plant, "refused")
        let summed = refused.reduce(Int64(0)) { $0 + ($1["count"]?.integer(in: 0...Int64.max) ?? 1) }
        #expect(summed == 8 * 300)
    }

    @Test func anIssuerThatHasUsedItsShareOfTheLedgerWaitsForTheNextDayAndNoOtherDoes() throws {
        var site = ControlFixture.site()
        site.limits.ledgerBytesPerDay = 6000
        var plant = try DeskTests.Plant(site)
        try plant.ask(1, lease: 600)
        try plant.answer()
        var number: UInt64 = 1
        while plant.code(number) != .budget, number < 60 {
            number += 1
            try plant.pass(1)
            try plant.ask(number, value: 99)
        }
        #expect(plant.code(number) == .budget)
        let refused = plant.leafCount
        try plant.ask(100, ControlFixture.room, value: 99)
        #expect(plant.code(100).map { $0 != .budget } == true, "a person has a share of its own")
        #expect(plant.leafCount > refused)
        // To give something up is possible.
        try plant.ask(101, action: .release)
        #expect(plant.code(101) != .budget)
        plant.now = Moment(utc: plant.now.utc + .seconds(86_401), uptime: plant.now.uptime + .seconds(86_401))
        try plant.read()
        try plant.ask(200, value: 99)
        #expect(plant.code(200).map { $0 != .budget } == true)
    }

    @Test func aNameThatIsOnlyClaimedCostsItsOwnerNoShareOfTheLedger() throws {
        var site = ControlFixture.site()
        site.limits.ledgerBytesPerDay = 1
        var plant = try DeskTests.Plant(site)
        for number in 1...20 as ClosedRange<UInt64> {
            let borrowed = ControlFixture.command(number, at: plant.now)
            try plant.handle(.request(ControlFixture.request(borrowed, isProven: false)))
        }
        try plant.ask(100)
        #expect(plant.code(100) != .budget)
    }

    private func leaves(_ plant: DeskTests.Plant, _ kind: String) throws -> [JSONValue] {
        try plant.effects.flatMap { effect -> [JSONValue] in
            guard case .commit(_, let leaves) = effect else { return [] }
            return try leaves.map { try JSONValue(parsing: $0) }.filter { $0["kind"] == .string(kind) }
        }
    }
}
