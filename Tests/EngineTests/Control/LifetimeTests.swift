import Engine
import Model
import Testing

/// What must end, what must not, and what must not come back: over restarts and clocks that are set.
@Suite struct LifetimeTests {
    typealias Plant = DeskTests.Plant

    // MARK: - Orders

    private func unlock(gateway: String?, _ digest: UInt8 = 1, at now: Moment) -> IncomingOrder {
        IncomingOrder(
            .lockout(.site, isOn: false), gateway: gateway, sender: Sender(name: "room"),
            copy: IncomingOrder.Copy(digest: [digest], issued: now.utc, expires: now.utc + .seconds(300)), token: 7)
    }

    private func lock(gateway: String? = nil, at now: Moment) -> IncomingOrder {
        IncomingOrder(
            .lockout(.site, isOn: true), gateway: gateway, sender: Sender(name: "room"),
            copy: IncomingOrder.Copy(digest: [99], issued: now.utc, expires: now.utc + .seconds(300)))
    }

    @Test(arguments: [("gw", nil), ("other", .unknownPoint), (nil, .badFormat)] as [(String?, RefusalCode?)])
    func anOrderThatLetsGoNamesItsGateway(gateway: String?, code: RefusalCode?) throws {
        var plant = try Plant()
        try plant.handle(.order(lock(at: plant.now)))
        #expect(plant.desk.lockoutEntries.count == 1)
        try plant.handle(.order(unlock(gateway: gateway, at: plant.now)))
        let refusals = plant.effects.compactMap { if case .answer(7, let refusal) = $0 { refusal?.code } else { nil } }
        #expect(refusals == [code].compactMap { $0 })
        #expect(plant.desk.lockoutEntries.isEmpty == (code == nil))
    }

    @Test func aLockoutNeedsNoGatewayButIsNotThatOfAnother() throws {
        var plant = try Plant()
        try plant.handle(.order(lock(gateway: "other", at: plant.now)))
        #expect(plant.desk.lockoutEntries.isEmpty)
        try plant.handle(.order(lock(at: plant.now)))
        #expect(plant.desk.lockoutEntries.count == 1)
    }

    @Test func aCopiedOrderIsNotFollowedAgainAlsoAfterARestartAndByAClockThatWasSetBack() throws {
        var plant = try Plant()
        let copied = unlock(gateway: "gw", at: plant.now)
        try plant.handle(.order(lock(at: plant.now)))
        try plant.handle(.order(copied))
        #expect(plant.desk.lockoutEntries.isEmpty)
        var again = lock(at: plant.now)
        again.copy?.digest = [98]
        try plant.handle(.order(again))
        try plant.handle(.order(copied))
        #expect(plant.desk.lockoutEntries.count == 1)
        // UTC was an hour and more ahead, and is right again after a restart.
        plant.now.utc = plant.now.utc + .seconds(5000)
        try plant.handle(.tick)
        plant.now = Moment(utc: ControlFixture.start.utc, uptime: .seconds(20))
        try plant.restart()
        try plant.handle(.order(copied))
        #expect(plant.desk.lockoutEntries.count == 1)
    }

    // MARK: - Leases

    @Test(arguments: [-7200, -20, 0, 10])
    func aClockThatIsSetBackWhileTheGatewayIsDownLengthensNoLease(seconds: Int) throws {
        var plant = try Plant()
        try plant.ask(1, lease: 30)
        try plant.answer()
        try plant.pass(5)
        plant.now = Moment(utc: plant.now.utc + .seconds(seconds), uptime: .seconds(3))
        try plant.restart()
        #expect((plant.slot("a")?.entries.first?.until).map { $0 <= plant.now.utc + .seconds(30) } == true)
        try plant.pass(31)
        try plant.answer()
        #expect(plant.states(1).last == .reverted)
        #expect(plant.value["a"] == .int(7))
    }

    @Test func aRenewedLeaseIsBoundedByItsNewLength() throws {
        var plant = try Plant()
        try plant.ask(1, lease: 5)
        try plant.answer()
        try plant.ask(2, action: .renew, lease: 60)
        plant.now = Moment(utc: plant.now.utc - .seconds(3600), uptime: .seconds(3))
        try plant.restart()
        try plant.pass(50)
        #expect(plant.slot("a")?.entries.count == 1)
        try plant.pass(12)
        try plant.answer()
        #expect(plant.slot("a")?.entries.isEmpty == true)
    }

    // MARK: - Room

    @Test func issuersThatFloodLeaveTheOthersTheirShare() throws {
        var limits = DeskLimits()
        limits.remembered = DeskLimits.Room(machines: 60, persons: 30)
        (limits.rememberedPerIssuer, limits.requestBurst) = (40, 1000)
        var site = ControlFixture.site()
        site.limits = limits
        var plant = try Plant(site)
        for number in 0..<100 as Range<UInt64> {
            for (index, issuer) in [ControlFixture.ai, ControlFixture.rival, ControlFixture.schedule].enumerated() {
                try plant.ask(1000 * UInt64(index + 1) + number, issuer, value: 99)
            }
        }
        #expect(plant.desk.figures.unrecorded > 200)
        #expect(plant.records.count("done") <= 60)
        // 30 for three persons: five for each whatever happens.
        for number in 0..<5 as Range<UInt64> {
            try plant.ask(9000 + number, ControlFixture.room, value: 99)
            #expect(plant.code(9000 + number) == .outOfLimits)
        }
        #expect(plant.records.count("done") <= 65)
    }

    @Test func everybodyHasHisShareWhateverTheOthersDo() {
        let issuers = (0..<5).map { "flood \($0)" } + ["quiet"]
        var counts: [String: Int] = [:]
        for _ in 0..<10_000 {
            for name in issuers.dropLast()
            where FairShare.hasRoom(for: name, counts: counts, limit: 20_000, most: 4000, issuers: 6) {
                counts[name, default: 0] += 1
            }
        }
        #expect(counts.values.reduce(0, +) <= 20_000 - 1666)
        for _ in 0..<1666 {
            #expect(FairShare.hasRoom(for: "quiet", counts: counts, limit: 20_000, most: 4000, issuers: 6))
            counts["quiet", default: 0] += 1
        }
        #expect(counts.values.reduce(0, +) <= 20_000)
    }
}
