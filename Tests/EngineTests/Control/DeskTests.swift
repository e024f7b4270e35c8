import Model
import Testing

@testable import Engine

/// The stories of single commands.
@Suite struct DeskTests {
    /// A desk with a device that does as it is told, unless the test says otherwise.
    struct Plant {
        var desk: CommandDesk
        var now = ControlFixture.start
        var records = MemoryRecords()
        var effects: [DeskEffect] = []
        /// Audit entries that were committed.
        var leafCount = 0
        var value: [String: PointValue] = ["a": .double(7), "b": .double(7), "c": .double(7)]
        /// What the device shows when it is asked for a point beside its polls, by id; and what was asked for.
        var shows: [String: ReadBack] = [:]
        var looks: [String] = []
        let site: ControlSite

        init(_ site: ControlSite = ControlFixture.site()) throws {
            self.site = site
            desk = CommandDesk(site: site, at: now)
            try take(desk.start(at: now))
            try read()
        }

        mutating func take(_ new: [DeskEffect]) throws {
            for case .commit(let records, let leaves) in new {
                try self.records.commit(records, leaves)
                leafCount += leaves.count
            }
            effects += new
        }

        /// The gateway dies and starts, with another site file if one is given. What was out is lost.
        mutating func restart(_ site: ControlSite? = nil) throws {
            effects.removeAll { if case .write = $0 { true } else { false } }
            desk = try CommandDesk(site: site ?? self.site, records: records.records, at: now)
            try take(desk.start(at: now))
        }

        mutating func handle(_ event: DeskEvent) throws {
            try take(desk.handle(event, at: now))
            while let point = takeLook() {
                looks.append(point)
                try take(desk.handle(.looked(point, shows[point] ?? .unreachable("no answer in time")), at: now))
            }
        }

        private mutating func takeLook() -> String? {
            for (index, effect) in effects.enumerated() {
                guard case .look(let point) = effect else { continue }
                effects.remove(at: index)
                return point
            }
            return nil
        }

        mutating func read(running: Bool = true) throws {
            var samples = value.sorted { $0.key < $1.key }.map { ControlFixture.sample($0.key, $0.value, at: now) }
            samples.append(ControlFixture.sample("running", .bool(running), at: now))
            try handle(.readings(samples))
        }

        mutating func pass(_ seconds: Int, reading: Bool = true) throws {
            for _ in 0..<seconds {
                now = Moment(utc: now.utc + .seconds(1), uptime: now.uptime + .seconds(1))
                if reading { try read() } else { try handle(.tick) }
            }
        }

        mutating func ask(
            _ number: UInt64, _ issuer: Issuer = ControlFixture.ai, point: String = "a",
            action: Command.Action = .set, value: Double = 7.5, lease: Int? = nil,
            _ change: (inout Command) throws -> Void = { _ in }
        ) throws {
            var command = ControlFixture.command(number, issuer, point: point, action: action, value: value, at: now)
            command.lease = lease.map { Command.Lease(duration: .seconds($0)) }
            try change(&command)
            try handle(.request(ControlFixture.request(command, issuer)))
        }

        /// Answers what is out.
        mutating func answer(_ outcome: ((SetpointWrite) -> WriteOutcome)? = nil) throws {
            while let write = takeWrite() {
                let name = String(write.point.split(separator: "/")[1])
                let result = outcome?(write) ?? .verified(write.value)
                switch result {
                case .verified(let readback), .differs(let readback), .clamped(let readback): value[name] = readback
                case .unverified: value[name] = write.value
                case .refused, .notSent, .wrongDevice, .indeterminate: break
                }
                try handle(.wrote(write.tag, result))
                if outcome != nil { return }
            }
        }

        mutating func takeWrite() -> SetpointWrite? {
            for (index, effect) in effects.enumerated() {
                guard case .write(let write) = effect else { continue }
                effects.remove(at: index)
                return write
            }
            return nil
        }

        func events(_ number: UInt64) -> [CommandEvent] {
            effects.compactMap { effect in
                if case .publish(.event(let event)) = effect, event.id == ControlFixture.id(number) {
                    event
                } else {
                    nil
                }
            }
        }

        func states(_ number: UInt64) -> [CommandState] { events(number).map(\.state) }
        func code(_ number: UInt64) -> RefusalCode? { events(number).last?.code }

        func slot(_ point: String) -> SlotReport? { desk.slotReports.first { $0.point == "chiller1/\(point)" } }
    }

    @Test func aCommandIsWrittenVerifiedAndGoesBackAtTheEndOfItsLease() throws {
        var plant = try Plant()
        try plant.ask(1, lease: 30)
        try plant.answer()
        #expect(plant.states(1) == [.received, .approved, .executing, .written, .verified])
        #expect(plant.slot("a")?.entries.first?.until == plant.now.utc + .seconds(30))
        try plant.pass(29)
        #expect(plant.states(1).last == .verified)
        try plant.pass(1)
        try plant.answer()
        #expect(plant.states(1).suffix(2) == [.reverting, .reverted])
        #expect(plant.value["a"] == .int(7))
    }

    @Test func theSameIdWithTheSameBytesIsWrittenOnceAndWithOthersRefused() throws {
        var plant = try Plant()
        try plant.ask(1)
        try plant.answer()
        let command = ControlFixture.command(1, value: 7.5, at: plant.now)
        try plant.handle(.request(ControlFixture.request(command)))
        #expect(plant.states(1).last == .verified)
        #expect(plant.takeWrite() == nil)
        var other = ControlFixture.request(command)
        other.digest = [1]
        try plant.handle(.request(other))
        #expect(plant.code(1) == .duplicateConflict)
        try plant.ask(2, action: .release)
        try plant.answer()
        #expect(plant.states(1).last == .released)
        try plant.handle(.request(ControlFixture.request(command)))
        #expect(plant.states(1).last == .released)
    }

    @Test func aRetainedMessageIsNobodysRequest() throws {
        var plant = try Plant()
        var request = ControlFixture.request(ControlFixture.command(1, at: plant.now))
        request.isRetained = true
        try plant.handle(.request(request))
        #expect(plant.states(1) == [.rejected])
        #expect(plant.effects.contains(.acknowledge(1)))
        #expect(plant.desk.active.isEmpty)
    }

    @Test func anOperatorPreemptsAnAIWhichComesBackWhenHeReleases() throws {
        var plant = try Plant()
        try plant.ask(1, value: 7.5)
        try plant.answer()
        try plant.ask(2, ControlFixture.room, value: 8)
        try plant.answer()
        #expect(plant.states(1).last == .preempted)
        #expect(plant.slot("a")?.entries.map(\.slot) == [.remoteOperator, .ai])
        try plant.ask(3, value: 7.8)
        #expect(plant.code(3) == .heldByOther)
        try plant.ask(4, ControlFixture.room, action: .release)
        try plant.answer()
        #expect(plant.states(2).last == .released)
        #expect(plant.states(1).last == .verified)
        #expect(plant.value["a"] == .double(7.5))
    }

    @Test func anOperatorsReleaseTakesBackWhatAMachineHolds() throws {
        var plant = try Plant()
        try plant.ask(1, value: 7.5)
        try plant.answer()
        try plant.ask(2, ControlFixture.room, action: .release)
        try plant.answer()
        #expect(plant.states(1).last == .released)
        #expect(plant.slot("a")?.entries.isEmpty == true)
        #expect(plant.value["a"] != .double(7.5))
    }

    @Test func whatWasPreemptedDoesNotComeBackPastAnInterlock() throws {
        var plant = try Plant()
        try plant.ask(1, value: 7.5)
        try plant.answer()
        try plant.ask(2, ControlFixture.room, value: 8)
        try plant.answer()
        try plant.ask(3, ControlFixture.room, action: .release)
        // The operator's value is taken back because the plant stops; the AI's must not return.
        try plant.answer { _ in .notSent("link down") }
        try plant.read(running: false)
        try plant.pass(3, reading: false)
        try plant.answer()
        #expect(plant.states(1).last == .reverted)
        #expect(plant.value["a"] == .int(7))
    }

    @Test(
        arguments: [
            (WriteOutcome.refused(3), [CommandState.failed], RefusalCode.deviceRejected),
            (.notSent("link down"), [.failed], .notSent),
            (.wrongDevice("7 expected, 8 found"), [.failed], .wrongDevice),
            (.clamped(.double(7.2)), [.written, .failed, .reverting], .verifyMismatch),
            (.differs(.double(6)), [.written, .failed, .reverting], .verifyMismatch),
            (.indeterminate("time-out"), [.indeterminate], nil),
        ] as [(WriteOutcome, [CommandState], RefusalCode?)])
    func whatTheDeviceDidIsToldApart(outcome: WriteOutcome, states: [CommandState], code: RefusalCode?) throws {
        var plant = try Plant()
        try plant.ask(1)
        try plant.answer { _ in outcome }
        #expect(plant.states(1).dropFirst(3) == states[...])
        #expect(plant.events(1).compactMap(\.code).last == code)
        let isTrusted =
            switch outcome {
            case .notSent, .wrongDevice: true
            case .verified, .differs, .clamped, .refused, .unverified, .indeterminate: false
            }
        #expect(plant.desk.lane(issuer: "opt", point: "chiller1/a") == (isTrusted ? .autonomous : .supervised))
    }

    @Test(arguments: [
        (ReadBack.value(.double(7.5)), CommandState.verified), (.value(.double(7)), .indeterminate),
        (.value(.double(9)), .reverting), (.unreachable("time-out"), .indeterminate),
    ])
    func anUnknownWriteIsDecidedByReadingBack(outcome: ReadBack, state: CommandState) throws {
        var plant = try Plant()
        try plant.ask(1)
        try plant.answer { _ in .indeterminate("time-out") }
        try plant.pass(1)
        try plant.handle(.readBack(WriteTag(command: ControlFixture.id(1)), outcome))
        #expect(plant.states(1).last == state)
        #expect(
            plant.effects.contains { if case .write(let write) = $0 { write.tag.number == 0 } else { false } } == false)
    }

    @Test func aPointThatCannotBeTakenBackIsAnAlarmUntilItIsFixed() throws {
        var plant = try Plant()
        try plant.ask(1, lease: 5)
        try plant.answer()
        for _ in 0..<60 {
            try plant.pass(1)
            try plant.answer { _ in .notSent("link down") }
        }
        #expect(plant.states(1).last == .revertFailed)
        #expect(plant.slot("a")?.isAlarm == true)
        try plant.ask(2)
        #expect(plant.code(2) == .heldByOther)
        for _ in 0..<70 {
            try plant.pass(1)
            try plant.answer()
        }
        #expect(plant.slot("a")?.isAlarm == false)
        #expect(plant.value["a"] == .int(7))
    }

    @Test func twoPersonsApproveAndNeverTheIssuerNorAMachine() throws {
        let rule = Policy.ApprovalRule(approvers: ["room", "chief", "opt"], count: 2, within: .seconds(60))
        var plant = try Plant(ControlFixture.site { $0.approval = rule })
        try plant.ask(1, ControlFixture.room)
        func decide(_ by: String, isApproval: Bool = true, isProven: Bool = true) throws -> RefusalCode? {
            plant.effects = []
            try plant.handle(
                ControlFixture.decision(
                    ControlFixture.id(1), isApproval: isApproval, by: Sender(name: by, isProven: isProven),
                    of: plant.desk, token: 5))
            for case .answer(5, let refusal) in plant.effects { return refusal?.code }
            return .badFormat
        }
        #expect(try decide("room") == .notAuthorised)
        #expect(try decide("opt") == .notAuthorised)
        #expect(try decide("panel") == .notAuthorised)
        #expect(try decide("chief", isProven: false) == .badSignature)
        #expect(try decide("chief") == nil)
        #expect(try decide("chief") == .notAuthorised)
        #expect(plant.desk.active.first?.state == .held)
        try plant.pass(60)
        #expect(plant.states(1).last == .expired)
        #expect(plant.code(1) == .approvalTimeout)
    }

    @Test func aHeldCommandIsEscalatedApprovedAndGuardedAgain() throws {
        var plant = try Plant()
        try plant.ask(1, ControlFixture.rival, value: 8.5)
        #expect(plant.states(1) == [.received, .held])
        try plant.pass(60)
        #expect(plant.desk.active.first?.hold?.approvers == ["room", "chief", "panel"])
        try plant.read(running: false)
        try plant.handle(
            ControlFixture.decision(ControlFixture.id(1), by: Sender(name: "panel"), of: plant.desk))
        #expect(plant.states(1).suffix(2) == [.approved, .rejected])
        #expect(plant.code(1) == .interlock)
    }

    @Test func aLockoutIsToldOfPointsThatNobodyEverCommanded() throws {
        var plant = try Plant()
        try plant.handle(
            .order(IncomingOrder(.lockout(.point("chiller1/b"), isOn: true), sender: Sender(name: "room"), token: 7)))
        func told(_ effects: [DeskEffect]) -> [SlotReport] {
            effects.compactMap { if case .publish(.slot(let report)) = $0 { report } else { nil } }
        }
        #expect(told(plant.effects).map(\.point) == ["chiller1/b"])
        #expect(told(plant.effects).map(\.lockout) == ["point:chiller1/b"])
        var again = try CommandDesk(site: plant.site, records: plant.records.records, at: plant.now)
        let effects = again.start(at: plant.now)
        #expect(told(effects).map(\.lockout) == ["point:chiller1/b"])
    }

    @Test(arguments: [
        ("site", "site"), ("*", "site"), ("device:chiller1", "device:chiller1"), ("chiller1/*", "device:chiller1"),
        ("point:chiller1/b", "point:chiller1/b"), ("chiller1/b", "point:chiller1/b"),
    ])
    func aLockoutOfAnOlderLedgerIsTakenOverUnderOneWord(key: String, name: String) throws {
        var plant = try Plant()
        let body = #"{"by":"room","since":1}"#
        let old = LedgerRecord(kind: CommandDesk.lockoutKind, key: key, body: Array(body.utf8))
        plant.desk = try CommandDesk(site: plant.site, records: [old], at: plant.now)
        #expect(plant.desk.lockoutEntries.map(\.scope.name) == [name])
        let scope = try #require(plant.desk.lockoutEntries.first?.scope)
        try plant.handle(.order(IncomingOrder(.lockout(scope, isOn: false), sender: Sender(name: "room"))))
        let committed = plant.effects.flatMap { effect -> [LedgerRecord] in
            guard case .commit(let records, _) = effect else { return [] }
            return records
        }
        #expect(committed.contains(LedgerRecord(kind: CommandDesk.lockoutKind, key: key, body: nil)))
    }

    @Test func aLockoutTakesBackEverythingAndOnlyAPersonLetsGo() throws {
        var plant = try Plant()
        try plant.ask(1)
        try plant.ask(2, ControlFixture.rival, point: "b", value: 8.5)
        try plant.answer()
        func order(_ isOn: Bool, _ by: String) throws {
            try plant.handle(.order(IncomingOrder(.lockout(.site, isOn: isOn), sender: Sender(name: by), token: 7)))
        }
        try order(true, "opt")
        try plant.answer()
        #expect(plant.states(1).last == .reverted && plant.states(2).last == .cancelled)
        try order(false, "opt")
        #expect(plant.desk.lockoutEntries.count == 1)
        try plant.ask(3, ControlFixture.room)
        #expect(plant.code(3) == .lockedOut)
        try order(false, "room")
        try plant.ask(4, ControlFixture.room)
        #expect(plant.states(4).last == .executing)
    }

    @Test func losingTheIssuerTheBrokerOrAnInterlockTakesThePointBack() throws {
        let beating = Issuer(name: "opt", category: .ai, lane: .autonomous, heartbeat: .seconds(20))
        let site = ControlFixture.site(settings: { $0.issuers[0] = beating })
        func cause(_ disturb: (inout Plant) throws -> Void) throws -> String? {
            var plant = try Plant(site)
            try plant.ask(1, lease: 600)
            try plant.answer()
            try disturb(&plant)
            try plant.answer()
            return plant.states(1).last == .reverted ? plant.events(1).last?.note : nil
        }
        #expect(try cause { try $0.pass(19) } == nil)
        #expect(try cause { try $0.pass(20) } == "no sign of life of opt")
        #expect(try cause { try $0.read(running: false) } == "interlock: chiller1/running == true")
        #expect(
            try cause { plant in
                try plant.handle(.broker(isConnected: false))
                for _ in 0..<300 {
                    try plant.pass(1)
                    plant.desk.heard["opt"] = plant.now.uptime
                }
            } == "the broker is away")
        #expect(
            try cause { plant in
                for _ in 0..<10 {
                    try plant.pass(1, reading: false)
                    plant.desk.heard["opt"] = plant.now.uptime
                }
            } == nil)
        #expect(
            try cause { plant in
                for _ in 0..<12 {
                    try plant.pass(1, reading: false)
                    plant.desk.heard["opt"] = plant.now.uptime
                }
            }?.hasPrefix("interlock unknown") == true)
    }

    @Test func somebodyAtTheDeviceHasThePointUntilAPersonReleasesIt() throws {
        var plant = try Plant()
        try plant.ask(1)
        try plant.answer()
        plant.value["a"] = .double(9)
        try plant.pass(1)
        #expect(plant.states(1).last == .overridden)
        #expect(plant.slot("a")?.entries.first?.holder == "local")
        try plant.ask(2)
        #expect(plant.code(2) == .localControl)
        try plant.ask(3, action: .release)
        #expect(plant.slot("a")?.entries.count == 1)
        try plant.ask(4, ControlFixture.room, action: .release)
        try plant.answer()
        #expect(plant.slot("a")?.entries.isEmpty == true)
        #expect(plant.value["a"] == .int(7))
    }

    @Test func aLaneGoesUpOneStepAtATimeByAPerson() throws {
        var plant = try Plant()
        func set(_ lane: Lane, _ by: String, isProven: Bool = true) throws -> RefusalCode? {
            plant.effects = []
            let order = IncomingOrder.Order.lane(issuer: "rival", point: "chiller1/a", lane)
            try plant.handle(.order(IncomingOrder(order, sender: Sender(name: by, isProven: isProven), token: 3)))
            for case .answer(3, let refusal) in plant.effects { return refusal?.code }
            return .badFormat
        }
        #expect(try set(.shadow, "room") == nil)
        #expect(try set(.supervised, "room") == .notReady)
        #expect(try set(.advise, "rival") == .notAuthorised)
        #expect(try set(.advise, "room", isProven: false) == .badSignature)
        #expect(try set(.advise, "room") == nil)
        let again = try CommandDesk(site: plant.site, records: plant.records.records, at: plant.now)
        #expect(again.lane(issuer: "rival", point: "chiller1/a") == .advise)
    }

    @Test func whoAsksForMoreTimeThanThePolicyGivesIsTold() throws {
        let site = ControlFixture.site { $0.lease.longest = .seconds(60) }
        for (asked, told) in [(60, nil), (3600, "for 60 s, the longest that the policy gives")] as [(Int, String?)] {
            var plant = try Plant(site)
            try plant.ask(1, lease: asked)
            try plant.answer()
            let verified = try #require(plant.events(1).last { $0.state == .verified })
            #expect(verified.note == told)
        }
    }

    @Test func inAFloodWhoeverWaitsIsToldEvenWhereNothingIsRecordedOrPublished() throws {
        var plant = try Plant()
        let now = plant.now.utc
        for number in 1...200 { try plant.ask(UInt64(number)) { $0.expires = now } }
        let published = plant.effects.count { if case .publish = $0 { true } else { false } }
        let told = plant.effects.count { if case .answer(_, .some) = $0 { true } else { false } }
        #expect(published < 50)
        #expect(told == 200)
    }

    @Test func budgetsSurviveARestart() throws {
        let site = ControlFixture.site { $0.perHour = 1 }
        var plant = try Plant(site)
        try plant.ask(1)
        try plant.answer()
        plant.desk = try CommandDesk(site: site, records: plant.records.records, at: plant.now)
        try plant.take(plant.desk.start(at: plant.now))
        try plant.read()
        try plant.ask(2)
        #expect(plant.code(2) == .rateLimit)
    }

    @Test func aDamagedRecordIsSaidByName() throws {
        var plant = try Plant()
        try plant.ask(1)
        var records = plant.records.records
        let index = try #require(records.firstIndex { $0.kind == "command" })
        records[index].body = Array("{\"state\":\"executing\"}".utf8)
        #expect(throws: LedgerError.self) { try CommandDesk(site: plant.site, records: records, at: plant.now) }
    }
}
