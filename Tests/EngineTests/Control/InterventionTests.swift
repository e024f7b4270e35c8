import Model
import Testing

@testable import Engine

/// What persons do to what others ask for: who, why, how soon, also after a restart; and what can be said about one command.
@Suite struct InterventionTests {
    private static let foretold = Command.Rationale(expected: [
        Command.ExpectedChange(point: "chiller1/temp", change: -1, within: .seconds(300))
    ])

    /// A command of the machine that foretells something and is in effect.
    private static func inEffect(_ issuer: Issuer = ControlFixture.ai) throws -> DeskTests.Plant {
        var plant = try DeskTests.Plant()
        try plant.ask(1, issuer) { $0.rationale = foretold }
        try plant.answer()
        try plant.pass(20)
        return plant
    }

    private static func held(_ plant: inout DeskTests.Plant) throws {
        try plant.ask(1, ControlFixture.rival, value: 8.5) { $0.rationale = foretold }
        #expect(plant.states(1).last == .held)
        try plant.pass(5)
    }

    private func plan(_ plant: DeskTests.Plant) throws -> OutcomePlan {
        try #require(plant.desk.outcomes[ControlFixture.id(1)])
    }

    @Test func aDenialTellsWhoWhyAndHowFast() throws {
        var plant = try DeskTests.Plant()
        try Self.held(&plant)
        try plant.handle(
            ControlFixture.decision(
                ControlFixture.id(1), isApproval: false, reason: .wrongData, note: "T4 is off",
                by: Sender(name: "room"), of: plant.desk))
        let event = try #require(plant.events(1).last)
        #expect((event.state, event.reason, event.note) == (.denied, .wrongData, "wrong_data"))
        let intervention = try #require(try plan(plant).intervention)
        #expect((intervention.kind, intervention.by, intervention.reason) == (.denied, "room", .wrongData))
        #expect((intervention.note, intervention.after) == ("T4 is off", .seconds(5)))
        let outcome = Outcome(plan: try plan(plant), measures: [], objections: [])
        #expect(outcome.document["reason"] == .string("wrong_data"))
        #expect(outcome.document["intervention"]?["after_s"]?.double == 5)
    }

    @Test func anOverrideTellsTheReasonOfThePersonsCommandAndSurvivesARestart() throws {
        var plant = try Self.inEffect()
        try plant.ask(2, ControlFixture.room, value: 7) {
            $0.rationale = Command.Rationale(text: "hall 2 complains", reason: .comfort)
        }
        try plant.answer()
        let event = try #require(plant.events(1).last)
        #expect((event.state, event.reason) == (.preempted, .comfort))
        let wanted = Intervention(
            .preempted, by: "room", command: ControlFixture.id(2), reason: .comfort, note: "hall 2 complains",
            time: plant.now.utc, after: .seconds(20))
        #expect(try plan(plant).intervention == wanted)
        let again = try CommandDesk(site: plant.site, records: plant.records.records, at: plant.now)
        #expect(again.outcomes[ControlFixture.id(1)]?.intervention == wanted)
        #expect(again.commands[ControlFixture.id(1)]?.intervention == wanted)
        // It comes back, and what is done about it then does not change what was done first.
        try plant.ask(3, ControlFixture.room, action: .release)
        try plant.answer()
        try plant.ask(4, ControlFixture.panel, value: 7)
        try plant.answer()
        #expect(plant.states(1).suffix(2) == [.verified, .preempted])
        #expect(plant.events(1).last?.reason == nil)
        #expect(try plan(plant).intervention == wanted)
    }

    @Test func aReleaseAndALockoutTellTheirReasonsAndAHandAtTheDeviceHasNone() throws {
        var released = try Self.inEffect()
        try released.ask(2, ControlFixture.room, action: .release) {
            $0.rationale = Command.Rationale(reason: .maintenance)
        }
        #expect(try plan(released).intervention?.kind == .released)
        #expect(released.events(1).last?.reason == .maintenance)

        var locked = try Self.inEffect()
        let order = IncomingOrder(.lockout(.site, isOn: true), reason: "safety", sender: Sender(name: "room"))
        try locked.handle(.order(order))
        #expect(try plan(locked).intervention?.kind == .lockedOut)
        #expect(locked.events(1).last?.reason == .safety)

        var overridden = try Self.inEffect()
        overridden.value["a"] = .double(6)
        try overridden.pass(1)
        let intervention = try plan(overridden).intervention
        #expect((intervention?.kind, intervention?.by, intervention?.reason) == (.overridden, "local", nil))
    }

    @Test func whatMachinesDoIsNoIntervention() throws {
        var plant = try Self.inEffect()
        try plant.ask(2, ControlFixture.schedule, value: 8)
        try plant.answer()
        #expect(plant.states(1).last == .preempted)
        #expect(try plan(plant).intervention == nil)
        try plant.handle(.order(IncomingOrder(.lockout(.site, isOn: true), sender: Sender(name: "rival"))))
        try plant.answer()
        #expect(try plan(plant).intervention == nil)
    }

    // MARK: - One command

    @Test func oneWaitingCommandCanBeCalledOffAndOthersStay() throws {
        var plant = try DeskTests.Plant()
        try Self.held(&plant)
        try plant.ask(2, ControlFixture.ai, value: 9.0) { $0.mode = .advise }
        #expect(plant.states(2).last == .held)
        try plant.ask(3, ControlFixture.room, action: .cancel) { $0.subject = ControlFixture.id(1) }
        #expect((plant.states(1).last, plant.states(2).last) == (.cancelled, .held))
        try plant.ask(4, ControlFixture.room, action: .cancel) { $0.subject = ControlFixture.id(1) }
        #expect((plant.states(4).last, plant.code(4)) == (.rejected, .expired))
        #expect(plant.states(2).last == .held)
    }

    @Test func oneLeaseIsRenewedAndThatOfSomebodyElseIsNot() throws {
        var plant = try DeskTests.Plant()
        try plant.ask(1, ControlFixture.room, lease: 30)
        try plant.answer()
        try plant.pass(20)
        try plant.ask(2, ControlFixture.room, action: .renew) { $0.subject = ControlFixture.id(1) }
        #expect(plant.slot("a")?.entries.first?.until == plant.now.utc + .seconds(30))
        try plant.ask(3, ControlFixture.chief, action: .renew) { $0.subject = ControlFixture.id(1) }
        #expect((plant.states(3).last, plant.code(3)) == (.rejected, .expired))
        try plant.ask(4, ControlFixture.room, action: .renew) { $0.subject = ControlFixture.id(9) }
        #expect(plant.code(4) == .expired)
    }

    // MARK: - Who was there

    @Test func theAuditSaysWhoWasAtTheSocketAndNeverThatItWasSigned() throws {
        var plant = try DeskTests.Plant()
        let account = LocalAccount(userID: 1000, userName: "anna")
        var request = ControlFixture.request(
            ControlFixture.command(1, ControlFixture.room, at: plant.now), ControlFixture.room)
        request.sender.account = account
        try plant.handle(.request(request))
        try plant.handle(
            .order(IncomingOrder(.lockout(.site, isOn: true), sender: Sender(name: "room", account: account))))
        let leaves = try plant.effects.flatMap { effect -> [JSONValue] in
            guard case .commit(_, let leaves) = effect else { return [] }
            return try leaves.map { try JSONValue(parsing: $0) }
        }
        let received = try #require(leaves.first { $0["request"] != nil })
        #expect((received["signed"], received["account"]) == (.bool(false), account.document))
        #expect(leaves.first { $0["kind"] == .string("lockout") }?["account"] == account.document)
        // A name that is proven by a signature has no account.
        try plant.handle(.order(IncomingOrder(.lockout(.site, isOn: false), sender: Sender(name: "room"))))
        try plant.ask(2, ControlFixture.room)
        let signed = try plant.effects.flatMap { effect -> [JSONValue] in
            guard case .commit(_, let leaves) = effect else { return [] }
            return try leaves.map { try JSONValue(parsing: $0) }
        }.last { $0["request"] != nil }
        #expect((signed?["signed"], signed?["account"]) == (.bool(true), nil))
    }
}
