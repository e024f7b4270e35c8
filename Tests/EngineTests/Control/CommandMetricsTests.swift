import Model
import Testing

@testable import Engine

/// What became of commands, in figures: of the audit entries that a desk writes.
@Suite struct CommandMetricsTests {
    /// The audit entries of everything that a plant did.
    private static func entries(_ plant: DeskTests.Plant) throws -> [JSONValue] {
        try plant.effects.flatMap { effect -> [JSONValue] in
            guard case .commit(_, let leaves) = effect else { return [] }
            return try leaves.map { try JSONValue(parsing: $0) }
        }
    }

    private static func figures(_ plant: DeskTests.Plant, limit: Int = 100) throws -> MetricsReport {
        var metrics = CommandMetrics(limit: limit)
        for entry in try entries(plant) { metrics.take(entry) }
        return metrics.report(since: ControlFixture.start.utc, now: plant.now.utc)
    }

    private static func decide(_ plant: inout DeskTests.Plant, _ number: UInt64, _ isApproval: Bool) throws {
        try plant.handle(
            ControlFixture.decision(
                ControlFixture.id(number), isApproval: isApproval, reason: isApproval ? nil : .wrongModel,
                by: Sender(name: "room"), of: plant.desk))
    }

    @Test func decisionsAreCountedWithTheirTimesAndReasons() throws {
        var plant = try DeskTests.Plant()
        for number in UInt64(1)...3 {
            try plant.ask(number, ControlFixture.rival, value: 8.5)
            try plant.pass(Int(number) * 2)
            try Self.decide(&plant, number, number == 3)
            try plant.answer()
        }
        try plant.ask(4, ControlFixture.rival, value: 99)
        let report = try Self.figures(plant)
        let row = try #require(report.rows.first)
        #expect((row.key.issuer, row.key.point) == ("rival", "chiller1/a"))
        #expect((row.value.received, row.value.held, row.value.rejected) == (4, 3, 1))
        #expect((row.value.approved, row.value.denied, row.value.verified) == (1, 2, 1))
        #expect((row.value.acceptance, row.value.denial) == (0.3333, 0.6667))
        #expect(row.value.denialReasons == ["wrong_model": 2])
        #expect(row.value.decisionTimes == [.seconds(2), .seconds(4), .seconds(6)])
        #expect(report.document["total"]?["time_to_decision_s"]?["median"]?.double == 4)
    }

    @Test func whoNobodyDecidedAboutIsNeitherAcceptedNorDenied() throws {
        var plant = try DeskTests.Plant()
        try plant.ask(1, ControlFixture.rival, value: 8.5)
        try plant.pass(200)
        let total = try Self.figures(plant).total
        #expect(total.held == 1 && total.approved + total.denied == 0)
        #expect(total.acceptance == nil)
    }

    @Test func anOverrideIsCountedOnceWithItsTime() throws {
        var plant = try DeskTests.Plant()
        try plant.ask(1)
        try plant.answer()
        try plant.pass(30)
        try plant.ask(2, ControlFixture.room, value: 7)
        try plant.answer()
        try plant.ask(3, ControlFixture.room, action: .release)
        try plant.answer()
        try plant.ask(4, ControlFixture.panel, value: 7)
        try plant.answer()
        let report = try Self.figures(plant)
        let own = try #require(report.rows.first { $0.key.issuer == "opt" }?.value)
        #expect((own.verified, own.overridden, own.overrideShare) == (1, 1, 1))
        #expect(own.overrideTimes == [.seconds(30)])
        #expect(own.overrideReasons == ["none": 1])
    }

    @Test func exceptionsAreOpenUntilTheyAreResolved() throws {
        var plant = try DeskTests.Plant()
        try plant.ask(1)
        try plant.answer { _ in .indeterminate("no answer") }
        try plant.pass(10)
        #expect(try Self.figures(plant).total.openExceptions == 1)
        let tag = WriteTag(command: ControlFixture.id(1))
        try plant.handle(.readBack(tag, .value(.double(7.5))))
        let total = try Self.figures(plant).total
        #expect((total.exceptions, total.openExceptions, total.resolutionTimes) == (1, 0, [.seconds(10)]))
    }

    @Test func whatCouldNotBeBroughtBackIsOpenUntilThePointIsRestored() throws {
        var plant = try DeskTests.Plant()
        try plant.ask(1, lease: 5)
        try plant.answer()
        for _ in 0..<80 {
            try plant.pass(1)
            try plant.answer { _ in .refused(4) }
        }
        #expect(plant.states(1).last == .revertFailed)
        #expect(try Self.figures(plant).total.openExceptions == 1)
        try plant.pass(70)
        try plant.answer()
        let total = try Self.figures(plant).total
        #expect((total.exceptions, total.openExceptions) == (1, 0))
    }

    @Test func theShareWithAnOutcomeLeavesOutWhatIsStillAwaited() throws {
        let foretold = Command.Rationale(expected: [
            Command.ExpectedChange(point: "chiller1/temp", change: -1, within: .seconds(300))
        ])
        var plant = try DeskTests.Plant()
        try plant.ask(1, value: 7.5) { $0.rationale = foretold }
        try plant.answer()
        try plant.ask(2, point: "b")
        try plant.answer()
        let early = try Self.figures(plant).total
        #expect((early.pendingOutcomes, early.withoutOutcome, early.outcomeShare) == (1, 1, 0))
        try plant.pass(300)
        let plan = try #require(plant.desk.outcomes[ControlFixture.id(1)])
        try plant.handle(.outcome(Outcome(plan: plan, measures: [], objections: [])))
        let late = try Self.figures(plant).total
        #expect((late.outcomes, late.usableOutcomes, late.outcomeShare) == (1, 1, 0.5))
    }

    /// Sums of seconds are not exact: a window that is covered from end to end must not come out as more than the whole.
    @Test func aWindowIsNeverCoveredByMoreThanAllOfIt() {
        let start = ControlFixture.start.utc
        let samples = (0..<40).map { index in
            ReadingSample(
                point: "chiller1/temp", epoch: 1, number: UInt64(index), time: start + .microseconds(index * 199_973),
                value: .double(20))
        }
        for length in 1..<7000 {
            let window = start + .microseconds(13)..<start + .microseconds(13 + length * 1000)
            #expect(OutcomeBuilder.mean(samples, in: window, holds: .seconds(1)).coverage <= 1)
        }
    }

    @Test func theOldestGoAndTheReportSaysSince() throws {
        var plant = try DeskTests.Plant()
        for number in UInt64(1)...5 {
            try plant.ask(number, value: 99)
            try plant.pass(1)
        }
        let report = try Self.figures(plant, limit: 3)
        #expect(report.total.received == 3)
        #expect(report.completeFrom == ControlFixture.start.utc + .seconds(1))
        var metrics = CommandMetrics()
        for entry in try Self.entries(plant) { metrics.take(entry) }
        let later = metrics.report(since: ControlFixture.start.utc + .seconds(3), now: plant.now.utc, issuer: "opt")
        #expect(later.total.received == 2)
        #expect(metrics.report(since: ControlFixture.start.utc, now: plant.now.utc, issuer: "x").total.received == 0)
    }
}
