import Engine
import Model
import Testing

/// Points that a changed site file takes out of the desk's hands.
@Suite struct WithdrawalTests {
    typealias Plant = DeskTests.Plant

    /// The site of the fixture without the policy of a point, or without the point.
    static func site(without point: String, policyOnly: Bool) -> ControlSite {
        var site = ControlFixture.site()
        let points = site.points.ids.compactMap { site.points[$0] }
        site.points = ControlledPoints(
            points.compactMap { known in
                guard known.id == "chiller1/\(point)" else { return known }
                return policyOnly ? ControlledPoint(id: known.id, point: known.point, policy: nil) : nil
            })
        return site
    }

    private func leaves(_ plant: Plant, _ kind: String) throws -> Int {
        try plant.effects.reduce(0) { sum, effect in
            guard case .commit(_, let leaves) = effect else { return sum }
            return try sum + leaves.count { try JSONValue(parsing: $0)["kind"] == .string(kind) }
        }
    }

    @Test func withdrawnPointsGoBackAndTakeNothingMoreWhileOthersStay() throws {
        var plant = try Plant()
        try plant.ask(1)
        try plant.ask(2, point: "b", value: 7.5)
        try plant.answer()
        try plant.ask(3, ControlFixture.room, point: "c", value: 8)
        try plant.answer()
        try plant.handle(.withdraw(["chiller1/a", "chiller1/c"]))
        try plant.answer()
        #expect(plant.states(1).last == .reverted)
        #expect(plant.value["a"] == .int(7))
        #expect(plant.states(2).last == .verified)
        // What a person set without an end is not taken back.
        #expect(plant.states(3).last == .verified)
        try plant.ask(4, value: 7.2)
        #expect(plant.code(4) == .notReady)
    }

    @Test func aRestartWithoutThePolicyReturnsTheLeaseToTheRecordedFallback() throws {
        var plant = try Plant()
        try plant.ask(1, lease: 600)
        try plant.ask(2, point: "c", lease: 600)
        try plant.answer()
        try plant.restart(Self.site(without: "a", policyOnly: true))
        try plant.answer()
        #expect(plant.states(1).suffix(2) == [.reverting, .reverted])
        #expect(plant.value["a"] == .int(7))
        #expect(plant.states(2).last == .verified)
        // Brokers must not tell of a holder for ever.
        #expect(plant.effects.contains(.publish(.unclaimed(point: "chiller1/a"))))
        #expect(!plant.effects.contains(.publish(.unclaimed(point: "chiller1/c"))))
    }

    @Test func whatAPersonSetWithoutAnEndStaysWhenThePolicyGoes() throws {
        var plant = try Plant()
        try plant.ask(1, ControlFixture.room, value: 8)
        try plant.answer()
        try plant.restart(Self.site(without: "a", policyOnly: true))
        #expect(plant.takeWrite() == nil)
        #expect(plant.states(1).last == .released)
        #expect(plant.desk.active.isEmpty)
    }

    @Test func aLeaseOfADeviceThatIsGoneIsAnAlarmAndOneEntryHoweverOftenItStarts() throws {
        var plant = try Plant()
        try plant.ask(1, lease: 600)
        try plant.answer()
        let site = Self.site(without: "a", policyOnly: false)
        for _ in 0..<3 {
            try plant.restart(site)
            #expect(plant.takeWrite() == nil)
            #expect(plant.desk.alarms.map(\.point) == ["chiller1/a"])
            #expect(plant.desk.alarms.first?.isOrphaned == true)
            #expect(plant.desk.alarms.first?.fallback == .int(7))
            #expect(plant.slot("a")?.isAlarm == true)
            try plant.pass(200)
        }
        #expect(try leaves(plant, "orphaned") == 1)
        #expect(plant.states(1).last == .revertFailed)
        // The device is back in the file.
        try plant.restart()
        try plant.pass(1)
        try plant.answer()
        #expect(plant.desk.alarms.isEmpty)
        #expect(plant.value["a"] == .int(7))
    }

    @Test func aCommandKilledWhileItWasWrittenToADeviceThatIsGoneIsAnAlarm() throws {
        var plant = try Plant()
        try plant.ask(1, lease: 600)
        #expect(plant.states(1).last == .executing)
        try plant.restart(Self.site(without: "a", policyOnly: false))
        #expect(plant.states(1).last == .revertFailed)
        #expect(plant.desk.alarms.map(\.isOrphaned) == [true])
    }

    @Test func whatIsDecidedIsClearedAgainAtEachStart() throws {
        var plant = try Plant()
        try plant.ask(1, value: 8.5) { $0.mode = .advise }
        #expect(plant.states(1).last == .held)
        try plant.pass(150)
        #expect(plant.states(1).last == .expired)
        plant.effects = []
        try plant.pass(8000)
        try plant.restart()
        #expect(plant.effects.contains(.publish(.decided(ControlFixture.id(1)))))
    }

    @Test func clearedHoldsAreBounded() throws {
        var site = ControlFixture.site()
        (site.limits.decided, site.limits.requestBurst) = (10, 1000)
        var plant = try Plant(site)
        for number in 1...30 as ClosedRange<UInt64> {
            try plant.ask(number, value: 8.5) { $0.mode = .advise }
        }
        #expect(plant.records.count("decided") == 10)
        try plant.restart(site)
        let cleared = plant.effects.suffix(40).count { if case .publish(.decided) = $0 { true } else { false } }
        #expect(cleared >= 10)
    }

    @Test func readingsAreCarriedOverForThePointsThatAreGiven() {
        let now = ControlFixture.start
        let site = ControlFixture.site()
        var old = ReadingTable(site)
        old.update(ControlFixture.sample("a", .double(7), at: now), at: now)
        old.update(ControlFixture.sample("b", .double(8), at: now), at: now)
        let kept = old.only(["chiller1/a"])
        #expect(kept.observed("chiller1/a", at: now)?.value == .double(7))
        #expect(kept.observed("chiller1/b", at: now) == nil)
    }
}
