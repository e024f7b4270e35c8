import Model
import Testing

@testable import Engine

/// Outcomes of commands, as the desk asks for them.
@Suite struct DeskOutcomeTests {
    @Test func anOutcomeComparesWhatWasForetoldAndNamesWhatConfoundsIt() throws {
        var plant = try DeskTests.Plant()
        let change = Command.ExpectedChange(point: "chiller1/temp", change: -1, within: .seconds(60))
        try plant.ask(1) { $0.rationale = Command.Rationale(expected: [change]) }
        try plant.answer()
        try plant.ask(2, ControlFixture.schedule, point: "b", value: 7.4)
        try plant.answer()
        try plant.pass(60)
        var plan: OutcomePlan?
        for case .collect(let due) in plant.effects { plan = due }
        let due = try #require(plan)
        #expect(due.confounders.map(\.id) == [ControlFixture.id(2)])
        let samples = (-60..<60).map { second in
            ReadingSample(
                point: "chiller1/temp", epoch: 1, number: UInt64(second + 60), time: due.anchor + .seconds(second),
                value: .double(second < 0 ? 10 : 8.5))
        }
        let outcome = OutcomeBuilder(due).build(
            samples: ["chiller1/temp": samples], periods: ["chiller1/temp": .seconds(1)])
        #expect(outcome.measures.first?.observed == -1.5)
        #expect(outcome.objections == ["confounded"])
        var alone = due
        alone.confounders = []
        #expect(OutcomeBuilder(alone).build(samples: ["chiller1/temp": samples], periods: [:]).isUsable)
        let sparse = samples.enumerated().filter { $0.offset % 10 == 0 }.map(\.element)
        let poor = OutcomeBuilder(alone).build(samples: ["chiller1/temp": sparse], periods: [:])
        #expect(poor.objections == ["coverage"])
        try plant.handle(.outcome(outcome))
        #expect(plant.effects.contains(.publish(.outcome(outcome))))
        #expect(plant.records.count("outcome") == 0)
    }
}
