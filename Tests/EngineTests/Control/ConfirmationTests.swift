import Model
import Testing

@testable import Engine

/// A point is judged where it is confirmed: at another point, at a place that no poll reads, or nowhere.
@Suite struct ConfirmationTests {
    typealias Plant = DeskTests.Plant

    /// Site with point `a` written as `rule` says, and a point `shown` that may confirm it.
    static func site(
        _ fallback: Policy.Fallback = .previous, _ policy: (inout Policy) -> Void = { _ in },
        rule: (inout WriteRule) -> Void
    ) -> ControlSite {
        var own = ControlFixture.policy("a", fallback: fallback)
        own.approval = nil
        policy(&own)
        var point = ControlFixture.setpoint("a", 1, own)
        if var write = point.point.write {
            rule(&write)
            point.point.write = write
        }
        var shown = ControlFixture.setpoint("shown", 9, nil)
        shown.point.write = nil
        let running = Point(
            name: "running", table: .coil, protocolAddress: 0, encoding: Encoding(type: .bool), kind: .state)
        return ControlSite(
            gateway: "gw", settings: CommandSettings(issuers: ControlFixture.issuers, policies: [own]),
            points: ControlledPoints([
                point, shown, ControlledPoint(id: "chiller1/running", point: running, policy: nil),
            ]))
    }

    static func elsewhere(_ policy: (inout Policy) -> Void = { _ in }) throws -> Plant {
        var plant = try Plant(site(.previous, policy) { $0.readback = .point("shown") })
        plant.value = ["a": .double(0), "shown": .double(7)]
        try plant.pass(1)
        return plant
    }

    static func unpolled() throws -> Plant {
        var plant = try Plant(site { $0.readback = .place(table: .holding, protocolAddress: 60) })
        plant.value = ["a": .double(0)]
        plant.shows["chiller1/a"] = .value(.double(7))
        try plant.pass(1)
        return plant
    }

    static func unconfirmed(
        _ fallback: Policy.Fallback = .value(.int(7)), allows: Bool = true
    ) throws -> Plant {
        var plant = try Plant(
            site(
                fallback,
                {
                    $0.step = nil
                    $0.allowsUnverified = allows
                }
            ) { $0.readback = .nowhere })
        plant.value = [:]
        try plant.pass(1)
        return plant
    }

    /// The device takes the write: its own register goes on showing 0.
    static func take(_ plant: inout Plant) throws {
        try plant.answer { .verified($0.value) }
        plant.value["shown"] = plant.value["a"]
        plant.value["a"] = .double(0)
        if let value = plant.value["shown"] { plant.shows["chiller1/a"] = .value(value) }
    }

    @Test func itsOwnRegisterOverridesNothing() throws {
        var plant = try Self.elsewhere()
        try plant.ask(1, value: 8)
        try Self.take(&plant)
        try plant.pass(20)
        #expect(plant.states(1).last == .verified)
        plant.value["shown"] = .double(9)
        try plant.pass(1)
        #expect(plant.states(1).last == .overridden)
    }

    @Test func stepAndExpectationAreMeasuredThere() throws {
        var plant = try Self.elsewhere { $0.low = 0 }
        try plant.ask(1, value: 4.5)
        #expect(plant.code(1) == .stepLimit)
        try plant.ask(2, value: 8) { $0.expect = Command.Expectation(value: .int(0), tolerance: 0.1) }
        #expect(plant.code(2) == .expectMismatch)
        try plant.ask(3, value: 9) { $0.expect = Command.Expectation(value: .int(7), tolerance: 0.1) }
        try Self.take(&plant)
        #expect(plant.states(3).last == .verified)
    }

    @Test func thePreviousValueIsTheOneThatStoodThere() throws {
        for var plant in [try Self.elsewhere(), try Self.unpolled()] {
            try plant.ask(1, value: 8, lease: 5)
            try Self.take(&plant)
            try plant.pass(5)
            let taken = plant.takeWrite()
            let write = try #require(taken)
            #expect(write.value.number == 7)
        }
    }

    @Test func aWriteThatArrivesLateIsSeenThere() throws {
        var plant = try Self.elsewhere()
        try plant.ask(1, value: 8)
        try plant.answer { _ in .indeterminate("time-out") }
        for _ in 0..<8 {
            try plant.pass(1)
            try plant.handle(.readBack(WriteTag(command: ControlFixture.id(1)), .value(.double(7))))
        }
        #expect(plant.states(1).last == .failed)
        plant.value["shown"] = .double(8)
        try plant.pass(1)
        let taken = plant.takeWrite()
        let write = try #require(taken, "the gateway takes it back")
        #expect(write.value.number == 7 && write.tag.number == 1)
    }

    @Test func aPlaceThatNoPollReadsIsReadForTheRequestAndWatchedAfterwards() throws {
        var plant = try Self.unpolled()
        #expect(plant.looks.isEmpty)
        try plant.ask(1, value: 8) { $0.expect = Command.Expectation(value: .int(7), tolerance: 0.1) }
        #expect(plant.looks == ["chiller1/a"])
        try Self.take(&plant)
        try plant.pass(10)
        #expect(plant.states(1).last == .verified)
        #expect((3...11).contains(plant.looks.count))
        plant.shows["chiller1/a"] = .value(.double(9))
        try plant.pass(2)
        #expect(plant.states(1).last == .overridden)
    }

    @Test func whatWaitsForADeviceIsNotAcknowledgedAndKeepsItsOrder() throws {
        var desk = CommandDesk(
            site: Self.site { $0.readback = .place(table: .holding, protocolAddress: 60) }, at: ControlFixture.start)
        let now = ControlFixture.start
        _ = desk.start(at: now)
        _ = desk.handle(.readings([ControlFixture.sample("running", .bool(true), at: now)]), at: now)
        var effects: [DeskEffect] = []
        for number in UInt64(1)...2 {
            let command = ControlFixture.command(number, point: "a", value: 8, at: now)
            effects += desk.handle(.request(ControlFixture.request(command)), at: now)
        }
        func acknowledged() -> [DeliveryToken] {
            effects.compactMap { if case .acknowledge(let token) = $0 { token } else { nil } }
        }
        #expect(acknowledged().isEmpty)
        #expect(effects.count { if case .look = $0 { true } else { false } } == 1)
        effects += desk.handle(.looked("chiller1/a", .value(.double(7))), at: now)
        #expect(acknowledged() == [1, 2])
        #expect(effects.count { if case .write = $0 { true } else { false } } == 1)
    }

    // MARK: - Nothing confirms it

    @Test func aPolicyMustAllowAWriteThatNothingConfirms() throws {
        var plant = try Self.unconfirmed(allows: false)
        try plant.ask(1, value: 8)
        #expect(plant.code(1) == .unverified && plant.states(1).last == .rejected)
    }

    @Test func anUnverifiedWriteHoldsItsSlotAndGoesBack() throws {
        var plant = try Self.unconfirmed()
        try plant.ask(1, value: 8, lease: 5)
        try plant.answer { _ in .unverified }
        #expect(plant.states(1).last == .written && plant.code(1) == .unverified)
        #expect(plant.slot("a")?.entries.first?.value == .double(8))
        #expect(plant.desk.lane(issuer: "opt", point: "chiller1/a") == .autonomous)
        try plant.ask(2, action: .renew, lease: 10)
        try plant.restart()
        try plant.pass(9)
        #expect(plant.states(1).last == .written)
        try plant.pass(2)
        try plant.answer { _ in .unverified }
        #expect(plant.states(1).last == .reverted && plant.code(1) == .unverified)
        #expect(plant.value["a"] == .int(7))
        #expect(plant.looks.isEmpty)
    }

    @Test func aPersonPreemptsItAndItComesBack() throws {
        var plant = try Self.unconfirmed()
        try plant.ask(1, value: 8)
        try plant.answer { _ in .unverified }
        try plant.ask(2, ControlFixture.room, value: 9)
        try plant.answer { _ in .unverified }
        #expect(plant.states(1).last == .preempted)
        try plant.ask(3, ControlFixture.room, action: .release)
        try plant.answer { _ in .unverified }
        #expect(plant.states(1).last == .written && plant.code(1) == .unverified)
        #expect(plant.value["a"] == .double(8))
    }

    @Test func whatHasNoAnswerGoesToTheFallbackAndIsNotReadBack() throws {
        var plant = try Self.unconfirmed()
        try plant.ask(1, value: 8)
        try plant.answer { _ in .indeterminate("time-out") }
        #expect(!plant.effects.contains { if case .readBack = $0 { true } else { false } })
        #expect(plant.states(1).last == .reverting)
        try plant.answer { _ in .unverified }
        #expect(plant.states(1).last == .reverted)
    }

    @Test func whereNothingIsPreviousTheValueStays() throws {
        var plant = try Self.unconfirmed(.previous)
        try plant.ask(1, value: 8, lease: 5)
        try plant.answer { _ in .unverified }
        try plant.pass(6)
        #expect(plant.takeWrite() == nil)
        #expect(plant.states(1).last == .released && plant.slot("a")?.entries.isEmpty == true)
    }
}
