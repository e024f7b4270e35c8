import Model
import Testing

@testable import Engine

/// A signed document speaks to one gateway, about one thing, for a while, and is followed once.
@Suite struct SignedDocumentTests {
    typealias Plant = DeskTests.Plant

    private static let approved = Policy.ApprovalRule(approvers: ["room", "chief"], within: .seconds(600))

    private static func held(_ heartbeat: Duration? = nil) throws -> Plant {
        var plant = try Plant(
            ControlFixture.site({ $0.approval = approved }) { settings in
                for index in settings.issuers.indices where settings.issuers[index].name == "opt" {
                    settings.issuers[index].heartbeat = heartbeat
                }
            })
        try plant.ask(1, value: 8)
        return plant
    }

    private static func decide(
        _ plant: inout Plant, isApproval: Bool = true, _ change: (inout IncomingDecision) -> Void = { _ in }
    ) throws -> RefusalCode? {
        let sender = Sender(name: "room")
        guard
            case .decision(var decision) = ControlFixture.decision(
                ControlFixture.id(1), isApproval: isApproval, reason: .timing, by: sender, of: plant.desk, token: 5)
        else { return .badFormat }
        change(&decision)
        plant.effects.removeAll { if case .answer = $0 { true } else { false } }
        try plant.handle(.decision(decision))
        for case .answer(5, let refusal) in plant.effects { return refusal?.code }
        return .badFormat
    }

    // MARK: - Decisions

    @Test(arguments: [true, false])
    func aDecisionIsWorthNothingElsewhereLaterOrAboutOtherBytes(isApproval: Bool) throws {
        var plant = try Self.held()
        #expect(try Self.decide(&plant, isApproval: isApproval) { $0.gateway = "other" } == .unknownPoint)
        #expect(try Self.decide(&plant, isApproval: isApproval) { $0.digest = [1] } == .duplicateConflict)
        let now = plant.now.utc
        #expect(try Self.decide(&plant, isApproval: isApproval) { $0.expires = now } == .expired)
        #expect(plant.states(1).last == .held)
        #expect(try Self.decide(&plant, isApproval: isApproval) == nil)
        #expect(plant.states(1).last == (isApproval ? .executing : .denied))
    }

    @Test func whatWaitsShowsWhatADecisionHasToNameAndWhenItReallyEnds() throws {
        let plant = try Self.held()
        var shown: [HeldCommand] = []
        for case .publish(.held(let held)) in plant.effects { shown.append(held) }
        let held = try #require(shown.last)
        let command = try #require(plant.desk.active.first)
        #expect(held.document["digest"]?.text == DocumentDigest.text(command.digest))
        #expect(held.from == .double(7))
        // The policy waits for ten minutes, the request for two.
        #expect(held.until == command.command.expires && command.end == command.command.expires)
    }

    @Test func aCommandOfASilentMachineCannotBeApproved() throws {
        var plant = try Self.held(.seconds(20))
        try plant.pass(19)
        var flags: [Bool] {
            plant.effects.compactMap { if case .publish(.held(let held)) = $0 { held.isSilent } else { nil } }
        }
        #expect(flags == [false])
        try plant.pass(2)
        #expect(flags == [false, true])
        #expect(try Self.decide(&plant) == .notReady)
        #expect(plant.states(1).last == .held)
        // The machine is heard again, and its command can be approved.
        try plant.ask(2, action: .release)
        try plant.pass(1)
        #expect(flags == [false, true, false])
        #expect(try Self.decide(&plant) == nil)
        try plant.answer()
        try plant.pass(5)
        #expect(plant.states(1).last == .verified)
    }

    @Test func anApprovalIsNoSignOfLifeOfTheMachine() throws {
        var plant = try Self.held(.seconds(20))
        try plant.pass(15)
        #expect(try Self.decide(&plant) == nil)
        try plant.answer()
        try plant.pass(6)
        #expect(plant.states(1).contains(.reverting))
    }

    @Test func aDecisionThatCannotBeReadIsToldToWhoSignedIt() throws {
        var plant = try Self.held()
        try plant.handle(
            .junk(
                IncomingJunk(
                    point: nil, decision: ControlFixture.id(1), signer: "room", code: .badFormat, note: "digest")))
        let event = try #require(plant.events(1).last)
        #expect((event.state, event.code, event.actor) == (.held, .badFormat, "room"))
    }

    // MARK: - Orders

    private static func order(
        _ order: IncomingOrder.Order, _ number: Int, _ by: String = "room", issued: UnixTime,
        lasting: Duration = .seconds(60)
    ) -> DeskEvent {
        let digest = withUnsafeBytes(of: number) { Array($0) }
        return .order(
            IncomingOrder(
                order, gateway: "gw", sender: Sender(name: by),
                copy: IncomingOrder.Copy(digest: digest, issued: issued, expires: issued + lasting), token: 7))
    }

    private static func answer(_ plant: Plant) -> RefusalCode? {
        for case .answer(7, let refusal) in plant.effects.reversed() { return refusal?.code }
        return nil
    }

    @Test func anOrderWithoutEffectReleasesNothingLater() throws {
        var plant = try Plant()
        try plant.pass(1)
        let off = Self.order(.lockout(.site, isOn: false), 1, issued: plant.now.utc)
        let leaves = plant.leafCount
        try plant.handle(off)
        #expect(plant.leafCount == leaves && plant.records.count(OrderBook.recordKind) == 0)
        try plant.handle(Self.order(.lockout(.site, isOn: true), 2, issued: plant.now.utc))
        try plant.handle(off)
        #expect(plant.desk.lockoutEntries.count == 1)
        // Nor after a restart, also with a clock that was behind then.
        plant.now = Moment(utc: plant.now.utc + .seconds(5), uptime: .seconds(1))
        try plant.restart()
        try plant.handle(off)
        #expect(Self.answer(plant) == .expired)
        plant.now = Moment(utc: plant.now.utc - .seconds(20), uptime: .seconds(1))
        try plant.restart()
        try plant.handle(off)
        #expect(Self.answer(plant) == .expired)
        #expect(plant.desk.lockoutEntries.count == 1)
        // What is ordered anew is followed.
        plant.now.utc = plant.now.utc + .seconds(40)
        try plant.handle(Self.order(.lockout(.site, isOn: false), 3, issued: plant.now.utc))
        #expect(plant.desk.lockoutEntries.isEmpty)
    }

    @Test func anOrderWithoutEffectReleasesNothingAfterAStartWithAClockThatIsBehind() throws {
        var plant = try Plant()
        try plant.pass(1)
        let off = Self.order(.lockout(.site, isOn: false), 1, issued: plant.now.utc)
        try plant.handle(off)
        // At the local socket: no signed order that is later than the one above.
        let on = IncomingOrder(.lockout(.site, isOn: true), sender: Sender(name: "room"))
        try plant.handle(.order(on))
        plant.now = Moment(utc: plant.now.utc - .seconds(20), uptime: .seconds(1))
        try plant.restart()
        try plant.handle(off)
        #expect(Self.answer(plant) == .expired)
        #expect(plant.desk.lockoutEntries.count == 1)
    }

    @Test func aStopIsFollowedWheneverItWasIssued() throws {
        var plant = try Plant()
        let stop = Self.order(.lockout(.site, isOn: true), 1, issued: plant.now.utc - .seconds(10))
        try plant.handle(stop)
        #expect(plant.desk.lockoutEntries.count == 1)
    }

    @Test func anOrderThatIsForgottenIsNotFollowedAgainByAClockThatWasSetBack() throws {
        var plant = try Plant(ControlFixture.site(settings: { $0.longestExpiry = .seconds(100) }))
        let on = Self.order(.lockout(.site, isOn: true), 1, issued: plant.now.utc)
        try plant.handle(on)
        let issued = plant.now.utc
        try plant.handle(Self.order(.lockout(.site, isOn: false), 2, issued: issued))
        try plant.pass(200)
        #expect(plant.records.count(OrderBook.recordKind) == 0)
        for _ in 0..<2 {
            plant.now.utc = issued + .seconds(1)
            try plant.handle(on)
            #expect(plant.desk.lockoutEntries.isEmpty)
            try plant.restart()
        }
    }

    @Test func anExecutedRequestThatIsForgottenIsNotExecutedAgainByAClockThatWasSetBack() throws {
        var plant = try Plant(ControlFixture.site(settings: { $0.longestExpiry = .seconds(150) }))
        let start = plant.now.utc
        let request = ControlFixture.request(ControlFixture.command(1, value: 8, at: plant.now))
        try plant.handle(.request(request))
        try plant.answer()
        try plant.ask(2, action: .release)
        try plant.answer()
        try plant.pass(300)
        #expect(plant.records.count(FinishedCommand.recordKind) == 0)
        for _ in 0..<2 {
            plant.now.utc = start + .seconds(1)
            try plant.read()
            try plant.handle(.request(request))
            #expect(plant.takeWrite() == nil && plant.code(1) == .expired)
            try plant.restart()
            plant.effects = []
            try plant.handle(.request(request))
            #expect(plant.takeWrite() == nil)
        }
        // What ends later is taken, whatever the clock says.
        let new = ControlFixture.command(3, value: 8, at: Moment(utc: start + .seconds(100), uptime: plant.now.uptime))
        plant.now.utc = start + .seconds(101)
        try plant.read()
        try plant.handle(.request(ControlFixture.request(new)))
        #expect(plant.states(3).last == .executing)
    }

    // MARK: - Room

    @Test func stopsOfAMachineUseNoRoomOfAPerson() throws {
        var plant = try Plant()
        try plant.pass(1)
        try plant.handle(Self.order(.lockout(.site, isOn: true), 0, "opt", issued: plant.now.utc))
        let (leaves, records) = (plant.leafCount, plant.records.count(OrderBook.recordKind))
        for number in 1...4000 {
            try plant.handle(Self.order(.lockout(.site, isOn: true), number, "opt", issued: plant.now.utc))
        }
        #expect(plant.leafCount == leaves && plant.records.count(OrderBook.recordKind) == records)
        #expect(plant.desk.orders.count <= plant.site.limits.orders)
        for number in 5000..<5100 {
            let isOn = number % 2 == 1
            try plant.handle(Self.order(.lockout(.site, isOn: isOn), number, issued: plant.now.utc))
            #expect(Self.answer(plant) == nil && plant.desk.lockoutEntries.isEmpty != isOn)
        }
        let lane = IncomingOrder.Order.lane(issuer: "opt", point: "chiller1/a", .shadow)
        try plant.handle(Self.order(lane, 6000, issued: plant.now.utc))
        #expect(Self.answer(plant) == nil && plant.desk.lane(issuer: "opt", point: "chiller1/a") == .shadow)
        // The machine itself may go on stopping.
        try plant.handle(Self.order(.lockout(.site, isOn: false), 6001, issued: plant.now.utc))
        try plant.handle(Self.order(.lockout(.site, isOn: true), 6002, "opt", issued: plant.now.utc))
        #expect(plant.desk.lockoutEntries.count == 1)
    }

    @Test func whoHasNoRoomLeftIsRefusedAndHasALockoutAllTheSame() throws {
        var plant = try Plant()
        for number in 0..<1001 {
            try plant.handle(Self.order(.lockout(.site, isOn: false), number, issued: plant.now.utc))
            #expect(Self.answer(plant) == (number < 1000 ? nil : .rateLimit))
        }
        try plant.handle(Self.order(.lockout(.site, isOn: true), 2000, issued: plant.now.utc))
        #expect(Self.answer(plant) == nil && plant.desk.lockoutEntries.count == 1)
        try plant.handle(Self.order(.lockout(.site, isOn: false), 2001, "chief", issued: plant.now.utc))
        #expect(Self.answer(plant) == nil && plant.desk.lockoutEntries.isEmpty)
    }

    @Test func aPersonsLockoutOutlastsTheFileAndTheMachineThatOrderedItFirst() throws {
        var plant = try Plant()
        func by() -> String? { plant.desk.lockoutEntries.first?.by }
        try plant.handle(.order(IncomingOrder(.lockout(.site, isOn: true), sender: .lockoutFile)))
        for (name, expected) in [("opt", "opt"), ("room", "room"), ("rival", "room"), ("chief", "room")] {
            try plant.handle(Self.order(.lockout(.site, isOn: true), name.hashValue, name, issued: plant.now.utc))
            #expect(by() == expected)
        }
    }

    @Test func outcomesOfAMachineUseNoRoomOfTheOthers() throws {
        var site = ControlFixture.site()
        site.limits.requestBurst = 1000
        site.limits.outcomes = DeskLimits.Room(machines: 12, persons: 4)
        var plant = try Plant(site)
        let change = Command.ExpectedChange(point: "chiller1/temp", change: 1, within: .seconds(6000))
        func foretell(_ number: UInt64, _ issuer: Issuer) throws {
            try plant.ask(number, issuer) { command in
                command.mode = .shadow
                command.rationale = Command.Rationale(expected: [change])
            }
        }
        for number in 0..<50 as Range<UInt64> { try foretell(100 + number, ControlFixture.ai) }
        let taken = plant.desk.outcomes.count
        try foretell(1, ControlFixture.rival)
        try foretell(2, ControlFixture.room)
        #expect(plant.desk.outcomes.count == taken + 2)
    }

    @Test func refusalsOfAMachineLeaveThoseOfAPersonTold() throws {
        var plant = try Plant()
        for number in 0..<200 {
            let lane = IncomingOrder.Order.lane(issuer: "rival", point: "chiller1/a", .autonomous)
            try plant.handle(Self.order(lane, number, "opt", issued: plant.now.utc))
            try plant.handle(.junk(IncomingJunk(point: "chiller1/a", code: .badSignature)))
        }
        plant.effects = []
        let lane = IncomingOrder.Order.lane(issuer: "room", point: "chiller1/a", .shadow)
        try plant.handle(Self.order(lane, 9000, issued: plant.now.utc))
        let events = plant.effects.compactMap { if case .publish(.event(let event)) = $0 { event } else { nil } }
        #expect(events.map(\.actor) == ["room"])
    }

    @Test func aServiceCommandsAndStopsNothing() throws {
        let ingest = Issuer(name: "ingest", key: .ed25519([1]), category: .service)
        var plant = try Plant(ControlFixture.site(settings: { $0.issuers.append(ingest) }))
        try plant.handle(Self.order(.lockout(.site, isOn: true), 1, "ingest", issued: plant.now.utc))
        #expect(Self.answer(plant) == .notAuthorised && plant.desk.lockoutEntries.isEmpty)
        try plant.ask(1, ingest)
        #expect(plant.code(1) == .notAuthorised)
    }

    // MARK: - What a request says about the plant

    @Test func madeUpEvidenceIsRefusedAlsoWhereThePolicyAsksForNone() throws {
        var plant = try Plant()
        try plant.handle(.readings([ControlFixture.sample("temp", .float(7.2), at: plant.now, number: 5)]))
        func code(_ number: UInt64, _ evidence: Command.Evidence) throws -> RefusalCode? {
            try plant.ask(number) { $0.evidence = [evidence] }
            return plant.code(number)
        }
        let exact = PointValue.decimal(try #require(DecimalNumber("7.2")))
        let good = Command.Evidence(point: "chiller1/temp", epoch: 1, number: 5, value: exact)
        #expect(try code(1, good) == nil)
        for (index, change)
            in ([
                { $0.point = "chiller1/none" }, { $0.number = 6 }, { $0.epoch = 2 }, { $0.value = .double(7.3) },
                { $0.value = .string("7.2") },
            ] as [(inout Command.Evidence) -> Void]).enumerated()
        {
            var bad = good
            change(&bad)
            #expect(try code(UInt64(10 + index), bad) == .evidenceBad, "\(bad)")
        }
        // Too long ago to be told.
        var old = good
        old.number = 2
        #expect(try code(30, old) == nil)
    }

    @Test func whatIsForetoldIsOfAPointThatIsHereAndInItsUnit() throws {
        var plant = try Plant()
        for (number, point, unit, code) in [
            (1, "chiller1/temp", "Cel", nil), (2, "chiller1/temp", nil, nil), (3, "chiller1/temp", "K", .badUnit),
            (4, "chiller9/temp", "Cel", .unknownPoint),
        ] as [(UInt64, String, String?, RefusalCode?)] {
            let change = Command.ExpectedChange(point: point, change: 1, unit: unit, within: .seconds(60))
            try plant.ask(number) { $0.rationale = Command.Rationale(expected: [change]) }
            #expect(plant.code(number) == code)
        }
    }
}
