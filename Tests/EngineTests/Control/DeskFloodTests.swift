import Engine
import Model
import Testing

/// What many or strange messages cost.
@Suite struct DeskFloodTests {
    private func publishes(_ effects: [DeskEffect]) -> Int {
        effects.count { if case .publish = $0 { true } else { false } }
    }

    @Test func aFloodIsRefusedWithoutARecordAndMemoryStaysBounded() throws {
        var plant = try DeskTests.Plant()
        for number in 0..<2000 as Range<UInt64> { try plant.ask(number + 1, value: 99) }
        #expect(plant.desk.figures.unrecorded >= 1900)
        #expect(plant.records.count("done") <= 60)
        #expect(publishes(plant.effects) < 300)
        for number in 0..<1000 as Range<UInt64> {
            try plant.handle(.junk(IncomingJunk(point: "chiller1/a", code: .badSignature, token: number)))
        }
        #expect(plant.desk.figures.junk == 1000)
        #expect(publishes(plant.effects) < 330)
    }

    @Test func copiesOfOldMessagesAndBorrowedNamesCostTheIssuerNothing() throws {
        var plant = try DeskTests.Plant()
        let old = ControlFixture.request(ControlFixture.command(1, at: plant.now))
        try plant.pass(200)
        for number in 0..<500 as Range<UInt64> {
            var late = old
            late.command.id = ControlFixture.id(number + 1)
            try plant.handle(.request(late))
            let borrowed = ControlFixture.command(number + 1000, at: plant.now)
            try plant.handle(.request(ControlFixture.request(borrowed, isProven: false)))
            let stranger = Issuer(name: "stranger \(number)", category: .ai)
            try plant.handle(
                .request(ControlFixture.request(ControlFixture.command(number + 2000, at: plant.now), stranger)))
        }
        #expect(plant.code(1) == .expired)
        #expect(plant.desk.figures.unrecorded == 0)
        #expect(plant.records.count("done") == 0 && plant.records.count("command") == 0)
        #expect(plant.desk.figures.refusals[.badSignature] == 500)
        #expect(plant.desk.figures.refusals[.notAuthorised] == 500)
        // The name that was borrowed can be used by its owner, even with the same id.
        try plant.ask(1000)
        #expect(plant.states(1000).last == .executing)
    }

    @Test func finishedIdsAreForgottenOnceTheyCannotComeBack() throws {
        var plant = try DeskTests.Plant(ControlFixture.site(settings: { $0.longestExpiry = .seconds(150) }))
        try plant.ask(1, value: 99)
        #expect(plant.records.count("done") == 1)
        try plant.pass(269)
        #expect(plant.records.count("done") == 1)
        try plant.pass(15)
        #expect(plant.records.count("done") == 0)
    }
}
