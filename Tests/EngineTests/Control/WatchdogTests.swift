import Model
import Testing

@testable import Engine

/// Feeding the watchdog of a device: only as policy says, at its pace, recorded when it starts, fails and stops, and what a
/// lease is worth with it.
@Suite struct WatchdogTests {
    private static func site(_ values: DeviceWatchdog.Values = .count(first: 0, last: 3)) -> ControlSite {
        var site = ControlFixture.site()
        site.watchdogs = [
            WatchdogPlan(
                point: "chiller1/hb", device: "chiller1",
                watchdog: DeviceWatchdog(point: "hb", every: .seconds(5), values: values), isBool: false,
                covered: ["chiller1/a"])
        ]
        return site
    }

    private static func beats(_ plant: DeskTests.Plant) -> [PointValue] {
        plant.effects.compactMap { if case .beat(_, let value) = $0 { value } else { nil } }
    }

    /// What the audit says of it.
    private static func told(_ plant: DeskTests.Plant) throws -> [String] {
        try plant.effects.flatMap { effect -> [String] in
            guard case .commit(_, let leaves) = effect else { return [] }
            return try leaves.map { try JSONValue(parsing: $0) }.filter { $0["kind"] == .string("watchdog") }
                .compactMap { $0["state"]?.text }
        }
    }

    private static func answer(_ plant: inout DeskTests.Plant, _ failure: String? = nil) throws {
        try plant.handle(.beaten(point: "chiller1/hb", failure: failure))
    }

    @Test func withoutAPolicyNothingIsFed() throws {
        var plant = try DeskTests.Plant()
        try plant.pass(30)
        #expect(Self.beats(plant).isEmpty)
        #expect(try Self.told(plant).isEmpty)
    }

    @Test func itIsFedAtItsPaceAndTheStartIsRecordedBeforeTheFirstBeat() throws {
        var plant = try DeskTests.Plant(Self.site())
        let beat = plant.effects.firstIndex { if case .beat = $0 { true } else { false } }
        let commit = plant.effects.firstIndex { if case .commit = $0 { true } else { false } }
        #expect(try #require(commit) < #require(beat))
        for _ in 0..<4 {
            try Self.answer(&plant)
            try plant.pass(5)
        }
        #expect(Self.beats(plant) == [.int(1), .int(2), .int(3), .int(0), .int(1)])
        #expect(try Self.told(plant) == ["started"])
        #expect(plant.desk.watchdogs["chiller1/hb"]?.state == .fed)
    }

    @Test func aBeatThatIsOutIsWaitedFor() throws {
        var plant = try DeskTests.Plant(Self.site())
        try plant.pass(60)
        #expect(Self.beats(plant).count == 1)
        try Self.answer(&plant)
        try plant.pass(1)
        // What was missed is not caught up.
        #expect(Self.beats(plant).count == 2)
    }

    @Test func aLeaseIsEnforcedByTheDeviceOnlyWhileItsWatchdogIsFed() throws {
        var plant = try DeskTests.Plant(Self.site())
        func enforced(_ plant: DeskTests.Plant, _ point: String = "a") -> String? {
            plant.slot(point)?.document["slots"]?.elements.first?["enforced_by"]?.text
        }
        try plant.ask(1)
        try plant.ask(2, point: "b")
        try plant.answer()
        #expect(enforced(plant) == "gateway")
        try Self.answer(&plant)
        #expect(enforced(plant) == "device")
        #expect(plant.slot("a")?.document["slots"]?.elements.first?["note"] == nil)
        // Not one of those that the device takes back.
        #expect(enforced(plant, "b") == "gateway")
        for _ in 0..<3 {
            try plant.pass(5)
            try Self.answer(&plant, "no answer in time")
        }
        #expect(enforced(plant) == "gateway")
        #expect(
            plant.effects.contains { effect in
                if case .publish(.slot(let report)) = effect {
                    report.entries.first?.isGuardedByDevice == true
                } else {
                    false
                }
            })
        for _ in 0..<3 {
            try plant.pass(5)
            try Self.answer(&plant)
        }
        #expect(enforced(plant) == "device")
        #expect(try Self.told(plant) == ["started", "fault", "recovered"])
    }

    @Test func aPassingLossIsNoFault() throws {
        var plant = try DeskTests.Plant(Self.site())
        for index in 0..<40 {
            try Self.answer(&plant, index % 3 == 2 ? "no answer in time" : nil)
            try plant.pass(5)
        }
        #expect(try Self.told(plant) == ["started"])
    }

    @Test func aLockoutStarvesItAndAStopToo() throws {
        var plant = try DeskTests.Plant(Self.site())
        try Self.answer(&plant)
        let known = Self.beats(plant).count
        try plant.handle(.order(IncomingOrder(.lockout(.device("chiller1"), isOn: true), sender: Sender(name: "room"))))
        try plant.pass(30)
        #expect(Self.beats(plant).count == known)
        #expect(plant.desk.watchdogs["chiller1/hb"]?.state.reason == "lockout device:chiller1")
        try plant.handle(
            .order(IncomingOrder(.lockout(.device("chiller1"), isOn: false), sender: Sender(name: "room"))))
        #expect(Self.beats(plant).count == known + 1)
        try plant.handle(.stop)
        #expect(try Self.told(plant) == ["started", "stopped", "started", "stopped"])
    }

    @Test func aReadOnlySiteFeedsNothing() throws {
        var site = Self.site()
        site.settings.isReadOnly = true
        var plant = try DeskTests.Plant(site)
        try plant.pass(30)
        #expect(Self.beats(plant).isEmpty)
    }

    @Test(arguments: [
        (DeviceWatchdog.Values.toggle, true, [PointValue.bool(true), .bool(false), .bool(true)]),
        (.toggle, false, [.int(1), .int(0), .int(1)]), (.constant(.int(42)), false, [.int(42), .int(42), .int(42)]),
        (.count(first: 5, last: 6), false, [.int(6), .int(5), .int(6)]),
    ])
    func valuesFollowTheProfile(values: DeviceWatchdog.Values, isBool: Bool, expected: [PointValue]) {
        let watchdog = DeviceWatchdog(point: "hb", every: .seconds(1), values: values)
        #expect((1...3).map { watchdog.value($0, isBool: isBool) } == expected)
    }
}
