import Model
import Testing

@testable import Engine

/// Whom the desk takes for how many persons, and what a machine keeps that is trusted less.
@Suite struct TrustTests {
    typealias Plant = DeskTests.Plant

    private func account(_ number: UInt32) -> LocalAccount { LocalAccount(userID: number, userName: nil) }

    private func decide(_ plant: inout Plant, _ name: String, _ account: LocalAccount?) throws -> RefusalCode? {
        plant.effects.removeAll { if case .answer = $0 { true } else { false } }
        let sender = Sender(name: name, account: account)
        try plant.handle(
            ControlFixture.decision(ControlFixture.id(1), by: sender, of: plant.desk, token: 5))
        for case .answer(5, let refusal) in plant.effects { return refusal?.code }
        return .badFormat
    }

    private static let two = Policy.ApprovalRule(approvers: ["room", "chief", "panel"], count: 2, within: .seconds(60))

    @Test func oneAccountIsOnePersonWhateverItCallsItself() throws {
        var plant = try Plant(ControlFixture.site { $0.approval = Self.two })
        try plant.ask(1)
        #expect(try decide(&plant, "room", account(1000)) == nil)
        #expect(try decide(&plant, "chief", account(1000)) == .notAuthorised)
        // Neither does a restart make it two.
        try plant.restart()
        try plant.read()
        #expect(try decide(&plant, "chief", account(1000)) == .notAuthorised)
        #expect(plant.states(1).last == .held)
        #expect(try decide(&plant, "chief", account(1001)) == nil)
        #expect(plant.states(1).last == .executing)
    }

    @Test func behindTheSuperuserAreAsManyPersonsAsItNames() throws {
        var plant = try Plant(ControlFixture.site { $0.approval = Self.two })
        try plant.ask(1)
        #expect(try decide(&plant, "room", account(0)) == nil)
        #expect(try decide(&plant, "room", account(0)) == .notAuthorised)
        #expect(try decide(&plant, "chief", account(0)) == nil)
        #expect(plant.states(1).last == .executing)
    }

    @Test func whoAskedAtTheSocketDoesNotApproveUnderAnotherName() throws {
        var plant = try Plant(ControlFixture.site { $0.approval = Self.two })
        let command = ControlFixture.command(1, ControlFixture.room, at: plant.now)
        var request = ControlFixture.request(command, ControlFixture.room)
        request.sender.account = account(1000)
        try plant.handle(.request(request))
        #expect(try decide(&plant, "chief", account(1000)) == .notAuthorised)
        // By signature, and from another account.
        #expect(try decide(&plant, "chief", nil) == nil)
        #expect(try decide(&plant, "panel", account(1001)) == nil)
        #expect(plant.states(1).last == .executing)
    }

    @Test func whatComesOverTheSocketIsNotSaidToBeSigned() throws {
        var plant = try Plant()
        var request = ControlFixture.request(
            ControlFixture.command(1, ControlFixture.room, at: plant.now), ControlFixture.room)
        request.sender.account = account(1000)
        try plant.handle(.request(request))
        let guards = try #require(plant.events(1).last { !$0.guards.isEmpty }).guards
        let inputs = try #require(guards.first { $0.name == "signature" }).inputs
        #expect(inputs.first { $0.name == "signed" }?.value == .bool(false))
        #expect(inputs.first { $0.name == "at_socket" }?.value == .bool(true))
    }

    // MARK: - Lanes

    private func lane(_ lane: Lane, _ plant: inout Plant, reason: String = "comfort") throws {
        try plant.handle(
            .order(
                IncomingOrder(
                    .lane(issuer: "opt", point: "chiller1/a", lane), reason: reason, sender: Sender(name: "room"))))
    }

    @Test func inTheLaneShadowNothingOfAMachineIsInEffect() throws {
        var plant = try Plant()
        try plant.ask(1, lease: 600)
        try plant.answer()
        try plant.pass(5)
        try lane(.shadow, &plant)
        try plant.answer()
        #expect(plant.value["a"] == .int(7))
        #expect(plant.states(1).last == .reverted)
        #expect(plant.events(1).compactMap(\.reason) == [.comfort])
    }

    @Test func inTheLaneShadowNothingOfAMachineWaits() throws {
        var plant = try Plant()
        try lane(.advise, &plant)
        try plant.ask(1)
        #expect(plant.states(1).last == .held)
        try lane(.shadow, &plant)
        #expect(plant.states(1).last == .cancelled)
        #expect(plant.code(1) == .modeBlocked)
    }

    @Test(arguments: [false, true])
    func inTheLaneShadowNothingOfAMachineTakesEffect(isSilent: Bool) throws {
        var plant = try Plant()
        try plant.ask(1, lease: 600)
        let taken = plant.takeWrite()
        let write = try #require(taken)
        try lane(.shadow, &plant)
        plant.value["a"] = write.value
        if isSilent {
            try plant.handle(.wrote(write.tag, .indeterminate("no answer in time")))
            try plant.pass(2)
            try plant.handle(.readBack(write.tag, .value(write.value)))
        } else {
            try plant.handle(.wrote(write.tag, .verified(write.value)))
        }
        try plant.pass(1)
        try plant.answer()
        #expect(plant.value["a"] == .int(7))
        #expect(plant.states(1).last == .reverted)
    }

    @Test func aValueThatNobodyApprovedIsNotRenewedInTheLaneAdviseWithoutAPerson() throws {
        var plant = try Plant()
        try plant.ask(1, lease: 60)
        try plant.answer()
        try lane(.advise, &plant)
        try plant.ask(2, action: .renew, lease: 60)
        #expect(plant.states(2).last == .held)
        try plant.ask(3, action: .renew, lease: 60)
        #expect(plant.states(2).last == .superseded)
        try plant.pass(60)
        try plant.answer()
        #expect(plant.states(1).last == .reverted)
    }

    @Test func aValueThatAPersonApprovedIsRenewedInTheLaneAdvise() throws {
        var plant = try Plant()
        try lane(.advise, &plant)
        try plant.ask(1, lease: 60)
        let sender = Sender(name: "chief")
        try plant.handle(ControlFixture.decision(ControlFixture.id(1), by: sender, of: plant.desk))
        try plant.answer()
        try plant.pass(30)
        try plant.ask(2, action: .renew, lease: 60)
        #expect(plant.states(2).last == .approved)
        try plant.pass(40)
        #expect(plant.states(1).last == .verified)
    }

    @Test(arguments: [Issuer.Key.none, .ed25519([1])])
    func anUnsignedMessageIsNoSignOfLifeOfWhoHasAKey(key: Issuer.Key) throws {
        var plant = try Plant(
            ControlFixture.site({ $0.allowsUnsigned = true }) { settings in
                for index in settings.issuers.indices where settings.issuers[index].name == "opt" {
                    settings.issuers[index].key = key
                    settings.issuers[index].heartbeat = .seconds(10)
                }
            })
        try plant.ask(1, lease: 600)
        try plant.answer()
        try plant.pass(6)
        let command = ControlFixture.command(2, action: .renew, at: plant.now)
        try plant.handle(.request(ControlFixture.request(command, isProven: false)))
        #expect(plant.states(2).last == .approved)
        try plant.pass(6)
        #expect((plant.states(1).last == .verified) == (key == .none))
    }

    @Test func aCopyOfASignedMessageIsNoSignOfLife() throws {
        var plant = try Plant(
            ControlFixture.site(settings: { settings in
                for index in settings.issuers.indices where settings.issuers[index].name == "opt" {
                    settings.issuers[index].heartbeat = .seconds(10)
                }
            }))
        let request = ControlFixture.request(ControlFixture.command(1, at: plant.now))
        try plant.handle(.request(request))
        try plant.answer()
        for _ in 0..<5 {
            try plant.pass(2)
            try plant.handle(.request(request))
        }
        #expect(plant.states(1).contains(.reverting))
    }

    // MARK: - While the site file changes

    @Test func nothingIsBegunAtADeviceWhileTheDeskRests() throws {
        var plant = try Plant()
        plant.desk.isResting = true
        try plant.ask(1)
        #expect(plant.states(1).last == .approved)
        #expect(plant.takeWrite() == nil)
        plant.desk.isResting = false
        try plant.handle(.tick)
        try plant.answer()
        #expect(plant.states(1).last == .verified)
    }

    @Test func aDeskThatRestsIsNotWokenForWhatItMayNotBegin() throws {
        var plant = try Plant()
        plant.desk.isResting = true
        try plant.ask(1, lease: 5)
        plant.desk.isResting = false
        try plant.handle(.tick)
        try plant.answer()
        plant.desk.isResting = true
        try plant.pass(6)
        #expect(plant.states(1).last == .reverting)
        #expect(plant.desk.nextDeadline.map { $0 > plant.now.uptime } ?? true)
    }
}
