import Engine
import Model
import Testing

/// What a device shows after a write is the newest reading of the point, also where polls are a minute apart.
@Suite struct ReadBackReadingTests {
    typealias Plant = DeskTests.Plant

    /// A site where the step is at most 0.6 and nobody has to approve.
    private func plant() throws -> Plant {
        try Plant(
            ControlFixture.site {
                $0.step = 0.6
                $0.approval = nil
            })
    }

    @Test func theNextStepIsMeasuredFromWhatWasReadBack() throws {
        var plant = try plant()
        try plant.ask(1, value: 7.5)
        try plant.answer()
        try plant.ask(2, value: 8)
        try plant.answer()
        #expect(plant.states(2).last == .verified)
        // From the poll, which still has 7, it would be a small step.
        try plant.ask(3, value: 7)
        #expect(plant.code(3) == .stepLimit)
    }

    @Test func whatTheSenderExpectsIsComparedWithWhatWasReadBack() throws {
        var plant = try plant()
        try plant.ask(1, value: 7.5)
        try plant.answer()
        try plant.ask(2, value: 8) { $0.expect = Command.Expectation(value: .double(7), tolerance: 0.05) }
        #expect(plant.code(2) == .expectMismatch)
        try plant.ask(3, value: 8) { $0.expect = Command.Expectation(value: .double(7.5), tolerance: 0.05) }
        try plant.answer()
        #expect(plant.states(3).last == .verified)
    }

    @Test func thePreviousValueIsThatOfTheWayBackAndNotOfAnOldPoll() throws {
        var plant = try plant()
        try plant.ask(1, point: "b", value: 7.5, lease: 2)
        try plant.answer()
        try plant.pass(1)
        // Polled while it was in effect, and not since.
        try plant.pass(1, reading: false)
        try plant.answer()
        #expect(plant.states(1).last == .reverted)
        try plant.ask(2, point: "b", value: 7.2, lease: 2)
        try plant.answer()
        try plant.pass(2, reading: false)
        try plant.answer()
        #expect(plant.states(2).last == .reverted)
        #expect(plant.value["b"]?.number == 7)
    }

    @Test func aReadBackAfterASilenceCountsAsWell() throws {
        var plant = try plant()
        try plant.ask(1, value: 7.5)
        try plant.answer { _ in .indeterminate("time-out") }
        try plant.pass(1, reading: false)
        try plant.handle(.readBack(WriteTag(command: ControlFixture.id(1)), .value(.double(7.5))))
        #expect(plant.states(1).last == .verified)
        try plant.ask(2, ControlFixture.room, value: 8.1)
        try plant.answer()
        #expect(plant.states(2).last == .verified)
    }

    @Test func aPollOfBeforeTheWriteDoesNotReplaceItAndIsStillEvidence() throws {
        var table = ReadingTable(
            ControlFixture.site { $0.evidence = Policy.EvidenceRule(points: ["chiller1/a"], maxAge: .seconds(60)) })
        let begin = ControlFixture.start
        let later = Moment(utc: begin.utc + .seconds(2), uptime: begin.uptime + .seconds(2))
        table.update(ControlFixture.sample("a", .double(7), at: begin), at: begin)
        table.sawReadBack("chiller1/a", .double(8), at: later)
        let middle = Moment(utc: begin.utc + .seconds(1), uptime: begin.uptime)
        table.update(ControlFixture.sample("a", .double(7), at: middle, number: 2), at: later)
        #expect(table.observed("chiller1/a", at: later)?.value == .double(8))
        for number in UInt64(1)...2 {
            let claim = table.claim(Command.Evidence(point: "chiller1/a", epoch: 1, number: number))
            guard case .found(let sample) = claim else {
                Issue.record("n \(number) is \(claim)")
                continue
            }
            #expect(sample.value == .double(7))
        }
        table.update(ControlFixture.sample("a", .double(9), at: later, number: 3), at: later)
        #expect(table.observed("chiller1/a", at: later)?.value == .double(9))
    }

    @Test func aReadBackMakesNoReadingOfAPointThatIsDoubted() throws {
        var table = ReadingTable(ControlFixture.site())
        let now = ControlFixture.start
        table.sawReadBack("chiller1/a", .double(8), at: now)
        #expect(table.observed("chiller1/a", at: now) == nil)
        var sample = ControlFixture.sample("a", .double(7), at: now)
        sample.reasons = QualityReasons(.configSuspect)
        table.update(sample, at: now)
        table.sawReadBack("chiller1/a", .double(8), at: now)
        #expect(table.observed("chiller1/a", at: now)?.isTrustworthy == false)
    }
}
