import Engine
import Model
import Testing

/// What somebody tries who wants more than he is allowed, and what happens when clocks and site files change meanwhile.
@Suite struct DeskAbuseTests {
    private typealias Plant = DeskTests.Plant

    private func order(
        _ order: IncomingOrder.Order, _ by: String, copy: UInt8? = nil, at now: Moment
    ) -> DeskEvent {
        let copy = copy.map { IncomingOrder.Copy(digest: [$0], issued: now.utc, expires: now.utc + .seconds(300)) }
        return .order(IncomingOrder(order, gateway: "gw", sender: Sender(name: by), copy: copy, token: 7))
    }

    private func refusal(_ plant: Plant) -> RefusalCode? {
        for case .answer(7, let refusal) in plant.effects.reversed() { return refusal?.code }
        return nil
    }

    @Test func aCopiedOrderDoesNotLetGoOfALaterLockout() throws {
        var plant = try Plant()
        let off = order(.lockout(.site, isOn: false), "room", copy: 1, at: plant.now)
        try plant.handle(order(.lockout(.site, isOn: true), "room", copy: 2, at: plant.now))
        try plant.handle(off)
        #expect(plant.desk.lockoutEntries.isEmpty)
        try plant.handle(order(.lockout(.site, isOn: true), "room", copy: 3, at: plant.now))
        try plant.handle(off)
        #expect(plant.desk.lockoutEntries.map(\.scope) == [.site])
        // Nor after a crash.
        plant.desk = try CommandDesk(site: plant.site, records: plant.records.records, at: plant.now)
        try plant.take(plant.desk.start(at: plant.now))
        try plant.handle(off)
        #expect(plant.desk.lockoutEntries.map(\.scope) == [.site])
    }

    @Test func aLockoutOfWhatIsNotHereIsRefusedAndNamesNoRecord() throws {
        var plant = try Plant()
        for scope in [LockoutScope.device("a b"), .device("chiller9"), .point("chiller1/none"), .point("x y/z")] {
            try plant.handle(order(.lockout(scope, isOn: true), "opt", copy: 1, at: plant.now))
            #expect(refusal(plant) == .unknownPoint)
            try plant.handle(order(.lockout(scope, isOn: false), "room", copy: 2, at: plant.now))
            #expect(refusal(plant) == .unknownPoint)
        }
        #expect(plant.desk.lockoutEntries.isEmpty)
        try plant.handle(order(.lockout(.device("chiller1"), isOn: true), "opt", copy: 3, at: plant.now))
        #expect(plant.desk.lockoutEntries.count == 1)
    }

    @Test func aMachineDoesNotWriteOverAPersonsWriteOfUnknownFate() throws {
        var plant = try Plant()
        try plant.ask(1, ControlFixture.room, value: 8)
        try plant.answer { _ in .indeterminate("no answer in time") }
        try plant.ask(2, value: 7.5)
        #expect(plant.takeWrite() == nil)
        try plant.pass(1)
        try plant.handle(.readBack(WriteTag(command: ControlFixture.id(1)), .value(.double(8))))
        #expect(plant.states(1).last == .verified)
        #expect(plant.states(2).last == .rejected)
        #expect(plant.code(2) == .heldByOther)
    }

    @Test func aPreemptedValueDoesNotComeBackWithoutThePolicyThatAllowedIt() throws {
        var plant = try Plant()
        try plant.ask(1, value: 8, lease: 600)
        try plant.answer()
        try plant.ask(2, ControlFixture.room, value: 8.5)
        try plant.answer()
        #expect(plant.states(1).last == .preempted)
        let stricter = ControlFixture.site { $0.permissions.removeAll { $0.issuer == "opt" } }
        plant.desk = try CommandDesk(site: stricter, records: plant.records.records, at: plant.now)
        try plant.take(plant.desk.start(at: plant.now))
        try plant.read()
        try plant.ask(3, ControlFixture.room, action: .release)
        try plant.answer()
        #expect(plant.value["a"] == .int(7))
        #expect(plant.states(1).last == .reverted)
    }

    @Test func aStopTakesBackAWriteOfUnknownFate() throws {
        var plant = try Plant()
        try plant.ask(1, lease: 600)
        try plant.answer { _ in .indeterminate("no answer in time") }
        #expect(!plant.desk.isQuiet())
        try plant.handle(.stop)
        try plant.pass(1)
        try plant.answer()
        #expect(plant.value["a"] == .int(7))
        #expect(plant.states(1).last == .reverted)
        #expect(plant.desk.isQuiet())
    }

    @Test func aClockThatWasAheadDoesNotMakeAnIDUsableAgain() throws {
        var plant = try Plant()
        let request = ControlFixture.request(ControlFixture.command(1, value: 8, at: plant.now))
        try plant.handle(.request(request))
        try plant.answer()
        try plant.ask(2, action: .release)
        try plant.answer()
        let writes = plant.desk.figures.writes
        let before = plant.now
        plant.now = Moment(utc: before.utc + .seconds(86_400), uptime: before.uptime + .seconds(20))
        try plant.handle(.tick)
        plant.now = Moment(utc: before.utc + .seconds(30), uptime: before.uptime + .seconds(30))
        try plant.read()
        try plant.handle(.request(request))
        #expect(plant.desk.figures.writes == writes)
        #expect(plant.states(1).last == .released)
    }

    @Test func whatIsOnlyToBeShownTakesNothingBack() throws {
        var plant = try Plant()
        try plant.ask(1, value: 8, lease: 60)
        try plant.answer()
        try plant.ask(2, action: .release) { $0.mode = .shadow }
        #expect(plant.states(2).last == .shadowed)
        #expect(plant.states(1).last == .verified)
        try plant.handle(
            order(.lane(issuer: "opt", point: "chiller1/a", .shadow), "room", at: plant.now))
        try plant.ask(3, action: .renew, lease: 600)
        #expect(plant.states(3).last == .shadowed)
        try plant.pass(60)
        try plant.answer()
        #expect(plant.states(1).last == .reverted)
    }

    @Test func whateverANumberOfARequestIsTheLedgerCanBeReadAgain() throws {
        var plant = try Plant()
        let text = """
            {"confidence":1e19,"expected":[{"point":"chiller1/temp","change":-1e20,"within_s":5}]}
            """
        try plant.ask(1, lease: 600) { command in
            let document = command.document.members + [.init("rationale", try JSONValue(parsing: Array(text.utf8)))]
            command = try Command(document: .object(document))
        }
        try plant.answer()
        let again = try CommandDesk(site: plant.site, records: plant.records.records, at: plant.now)
        #expect(again.active.map(\.id) == [ControlFixture.id(1)])
    }
}
