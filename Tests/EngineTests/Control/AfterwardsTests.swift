import Model
import Testing

@testable import Engine

/// What persons say afterwards.
@Suite struct AfterwardsTests {
    typealias Plant = DeskTests.Plant

    private func order(_ order: IncomingOrder.Order, _ plant: inout Plant, by name: String = "room") throws
        -> RefusalCode?
    {
        plant.effects.removeAll { if case .answer = $0 { true } else { false } }
        try plant.handle(.order(IncomingOrder(order, reason: "by hand", sender: Sender(name: name), token: 5)))
        for case .answer(5, let refusal) in plant.effects { return refusal?.code }
        return .badFormat
    }

    private func leaves(_ plant: Plant, _ kind: String) throws -> [JSONValue] {
        try plant.effects.flatMap { effect -> [JSONValue] in
            guard case .commit(_, let leaves) = effect else { return [] }
            return try leaves.map { try JSONValue(parsing: $0) }.filter { $0["kind"] == .string(kind) }
        }
    }

    @Test func anAlarmThatOnlyAPersonCanEndIsAcknowledgedOnceAndForGood() throws {
        var plant = try Plant()
        try plant.ask(1, lease: 60)
        try plant.answer()
        try plant.restart(WithdrawalTests.site(without: "a", policyOnly: false))
        #expect(plant.desk.alarms.map(\.isOrphaned) == [true])
        #expect(try order(.acknowledge(point: "chiller1/a"), &plant, by: "opt") == .notAuthorised)
        #expect(try order(.acknowledge(point: "chiller1/b"), &plant) == .unknownPoint)
        #expect(try order(.acknowledge(point: "chiller1/a"), &plant) == nil)
        #expect(plant.desk.alarms.isEmpty)
        #expect(try leaves(plant, "acknowledged").map { $0["by"] } == [.string("room")])
        try plant.restart(WithdrawalTests.site(without: "a", policyOnly: false))
        #expect(plant.desk.alarms.isEmpty)
        #expect(try order(.acknowledge(point: "chiller1/a"), &plant) == .unknownPoint)
    }

    @Test func anAlarmThatTheGatewayCanEndIsNotAcknowledgedAway() throws {
        var plant = try Plant()
        try plant.ask(1, lease: 5)
        try plant.answer()
        for _ in 0..<60 {
            try plant.pass(1)
            try plant.answer { _ in .notSent("link down") }
        }
        #expect(plant.slot("a")?.isAlarm == true)
        #expect(try order(.acknowledge(point: "chiller1/a"), &plant) == .deviceUnhealthy)
        #expect(plant.slot("a")?.isAlarm == true)
    }

    private func overridden() throws -> Plant {
        var plant = try Plant()
        try plant.ask(1) { command in
            let change = Command.ExpectedChange(point: "chiller1/temp", change: -1, within: .seconds(300))
            command.rationale = Command.Rationale(expected: [change])
        }
        try plant.answer()
        plant.value["a"] = .double(9)
        try plant.pass(1)
        #expect(plant.states(1).last == .overridden)
        return plant
    }

    @Test func aChangeAtTheDeviceIsExplainedAfterwards() throws {
        var plant = try overridden()
        try plant.restart()
        let id = ControlFixture.id(1)
        #expect(try order(.explain(id, .comfort, note: "too cold"), &plant, by: "opt") == .notAuthorised)
        #expect(try order(.explain(ControlFixture.id(2), .comfort, note: nil), &plant) == .expired)
        #expect(try order(.explain(id, .comfort, note: "too cold"), &plant) == nil)
        #expect(plant.events(1).last?.reason == .comfort)
        #expect(plant.events(1).last?.actor == "room")
        let intervention = try #require(plant.desk.outcomes[id]?.intervention)
        #expect((intervention.by, intervention.reason, intervention.note) == ("local", .comfort, "too cold"))
        #expect(try leaves(plant, "explained").map { $0["reason"] } == [.string("comfort")])
    }

    @Test func whoReleasesAChangeAtTheDeviceExplainsItWithTheReason() throws {
        var plant = try overridden()
        try plant.ask(2, ControlFixture.room, action: .release) {
            $0.rationale = Command.Rationale(text: "V12 stuck", reason: .maintenance)
        }
        try plant.answer()
        #expect(plant.value["a"] == .int(7))
        let intervention = try #require(plant.desk.outcomes[ControlFixture.id(1)]?.intervention)
        #expect((intervention.reason, intervention.note) == (.maintenance, "V12 stuck"))
    }

    @Test func theReasonThatWasGivenAfterwardsCountsInTheMetrics() throws {
        var plant = try overridden()
        _ = try order(.explain(ControlFixture.id(1), .wrongModel, note: nil), &plant)
        var metrics = CommandMetrics()
        for case .commit(_, let leaves) in plant.effects {
            for leaf in leaves { metrics.take(try JSONValue(parsing: leaf)) }
        }
        let report = metrics.report(since: ControlFixture.start.utc - .seconds(60), now: plant.now.utc)
        #expect(report.total.overrideReasons == ["wrong_model": 1])
    }
}
