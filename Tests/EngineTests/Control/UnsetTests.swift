import Model
import Testing

@testable import Engine

/// Points that read nothing sensible before their first write, that no poll has read yet, or whose device lost its power.
@Suite struct UnsetTests {
    typealias Plant = DeskTests.Plant

    static func plant(_ unset: WriteRule.Unset?, limits: NumericRange? = nil) throws -> Plant {
        let site = ConfirmationTests.site(.value(.int(7))) { $0.unset = unset }
        guard var known = site.points["chiller1/a"] else { preconditionFailure("the fixture has no point a") }
        known.point.limits = limits
        let points = ["shown", "running"].compactMap { site.points["chiller1/\($0)"] } + [known]
        return try Plant(
            ControlSite(gateway: "gw", settings: site.settings, points: ControlledPoints(points)))
    }

    static func sample(_ reason: QualityReason, at now: Moment) -> DeskEvent {
        var sample = ControlFixture.sample("a", .null, at: now, number: 9)
        sample.reasons = QualityReasons(reason)
        return .readings([sample])
    }

    @Test(
        arguments: [
            (WriteRule.Unset(isNoValue: true), QualityReason.sentinel, ReadBack.unset(nil)),
            (WriteRule.Unset(numbers: [0]), .impossible, .unset(.int(0))),
            (WriteRule.Unset(isException: true), .badAddress, .unset(nil)),
        ])
    func anUnsetPlaceIsNoReasonToRefuse(unset: WriteRule.Unset, reason: QualityReason, look: ReadBack) throws {
        for issuer in [ControlFixture.ai, ControlFixture.room] {
            var plant = try Self.plant(unset, limits: NumericRange(low: 4, high: 15))
            plant.value = [:]
            try plant.pass(1)
            try plant.handle(Self.sample(reason, at: plant.now))
            plant.shows["chiller1/a"] = look
            try plant.ask(1, issuer, value: 8)
            try plant.answer()
            #expect(plant.states(1).last == .verified, "\(plant.events(1).last.map { "\($0)" } ?? "nothing")")
            try plant.pass(3)
            #expect(plant.states(1).last == .verified)
        }
    }

    @Test func withoutUnsetTheRefusalNamesValueAndReason() throws {
        var plant = try Self.plant(nil, limits: NumericRange(low: 4, high: 15))
        plant.value = [:]
        try plant.pass(1)
        try plant.handle(Self.sample(.impossible, at: plant.now))
        plant.shows["chiller1/a"] = .bad(.impossible, shown: .int(0))
        try plant.ask(1, value: 8)
        let event = try #require(plant.events(1).last)
        #expect(event.code == .deviceUnhealthy)
        #expect(event.note == "it shows 0, which is impossible")
        let verdict = try #require(event.guards.first { $0.name == "device" })
        #expect(verdict.inputs.contains { $0.name == "value" && $0.value == .integer(0) })
    }

    @Test func aPointThatNoPollHasReadIsReadForTheCommand() throws {
        var plant = try Self.plant(nil)
        try plant.restart()
        plant.value = [:]
        try plant.pass(1)
        plant.shows["chiller1/a"] = .value(.double(7))
        try plant.ask(1, value: 8)
        try plant.answer()
        #expect(plant.states(1).last == .verified)
        #expect(plant.looks == ["chiller1/a"])
    }

    @Test func aConditionThatNoPollHasReadIsReadForTheCommand() throws {
        var plant = try Self.plant(nil)
        try plant.restart()
        plant.shows = ["chiller1/a": .value(.double(7)), "chiller1/running": .value(.bool(true))]
        try plant.ask(1, value: 8)
        try plant.answer()
        #expect(plant.states(1).last == .verified)
        #expect(Set(plant.looks) == ["chiller1/a", "chiller1/running"])
    }

    @Test func aDeviceIsNotAskedForARequestThatIsRefusedAnyway() throws {
        var plant = try Self.plant(nil)
        try plant.restart()
        try plant.ask(1, value: 8) { $0.unit = "K" }
        #expect(plant.code(1) == .badUnit && plant.looks.isEmpty)
    }

    // MARK: - A device that lost its power

    /// Three setpoints held by one issuer, and the device gone for a moment.
    static func outage() throws -> Plant {
        var plant = try Plant(ControlFixture.site { $0.approval = nil })
        for (number, point) in ["a", "b", "c"].enumerated() {
            try plant.ask(UInt64(number + 1), point: point, value: 8)
            try plant.answer()
        }
        try plant.pass(2)
        var silent = ["a", "b", "c"].map { ControlFixture.sample($0, .null, at: plant.now, number: 5) }
        for index in silent.indices { silent[index].reasons = QualityReasons(.timeout) }
        try plant.handle(.readings(silent))
        return plant
    }

    @Test func severalValuesThatAreGoneAfterAnOutageAreARestartAndNoOverride() throws {
        var plant = try Self.outage()
        plant.value = ["a": .double(6), "b": .double(6), "c": .double(8)]
        try plant.pass(1)
        try plant.answer()
        #expect(plant.states(1).last == .reverted && plant.states(2).last == .reverted)
        #expect(plant.states(3).last == .verified, "its value is still there")
        #expect(plant.value["a"] == .int(7) && plant.value["b"]?.number == 7)
        // No person has to release it.
        try plant.ask(4, value: 8)
        try plant.answer()
        #expect(plant.states(4).last == .verified)
    }

    @Test func oneValueThatIsTheFormerOneIsARestart() throws {
        var plant = try Self.outage()
        plant.value["a"] = .double(7)
        try plant.pass(1)
        try plant.answer()
        #expect(plant.states(1).last == .reverted)
        #expect(plant.states(2).last == .verified)
    }

    @Test func oneOtherValueAfterAnOutageIsAPersons() throws {
        var plant = try Self.outage()
        plant.value["a"] = .double(9)
        try plant.pass(1)
        #expect(plant.states(1).last == .overridden)
    }

    @Test func aKnobThatIsTurnedWhileTheDeviceAnswersIsAPersons() throws {
        var plant = try Self.outage()
        try plant.pass(2)
        plant.value["a"] = .double(7)
        plant.value["b"] = .double(7)
        try plant.pass(1)
        #expect(plant.states(1).last == .overridden && plant.states(2).last == .overridden)
    }
}
