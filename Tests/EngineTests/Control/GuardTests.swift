import Engine
import Model
import Testing

/// Each guard by itself: what it refuses, what it lets pass, and that all of them run.
@Suite struct GuardTests {
    typealias Change = @Sendable (inout GuardContext) -> Void

    /// Changes all policies of the fixture.
    struct Policies {
        var change: (inout Policy) -> Void

        init(_ change: @escaping (inout Policy) -> Void) { self.change = change }
    }

    static let now = ControlFixture.start

    static func context(
        _ command: Command? = nil, policy: Policies? = nil, _ change: Change? = nil
    ) -> GuardContext {
        let site = ControlFixture.site { policy?.change(&$0) }
        var readings = ReadingTable(site)
        readings.update(ControlFixture.sample("a", .double(7), at: now), at: now)
        readings.update(ControlFixture.sample("running", .bool(true), at: now), at: now)
        let command = command ?? ControlFixture.command(1, at: now)
        var context = GuardContext(
            stage: .request, command: command, issuer: ControlFixture.ai, isSigned: true, gateway: "gw",
            settings: site.settings, point: site.points[command.point],
            named: Dictionary(site.points.ids.compactMap { id in site.points[id].map { (id, $0.point) } }) { $1 },
            lane: .autonomous, now: now, readings: readings)
        change?(&context)
        return context
    }

    static func worst(_ context: GuardContext) -> GuardVerdict.Finding { Guards.verdicts(context).worst }

    @Test func aGoodRequestPassesAllGuardsAndEachIsRecorded() {
        let verdicts = Guards.verdicts(Self.context())
        #expect(verdicts.worst == .pass)
        #expect(Set(verdicts.map(\.name)).count == verdicts.count)
        #expect(verdicts.count == 23)
    }

    static let wrongs: [(Change, RefusalCode)] = [
        ({ $0.command.gateway = "other" }, RefusalCode.unknownPoint),
        ({ $0.point = nil }, .unknownPoint),
        ({ $0.point?.policy = nil }, .notWritable),
        ({ $0.issuer = nil }, .notAuthorised),
        ({ $0.issuer = Issuer(name: "stranger", category: .ai) }, .notAuthorised),
        ({ $0.command.origin.category = .operator }, .notAuthorised),
        ({ $0.isSigned = false }, .badSignature),
        ({ $0.command.unit = "K" }, .badUnit),
        ({ $0.command.value = .string("8") }, .badFormat),
        ({ $0.command.value = .bool(true) }, .badFormat),
        ({ $0.command.expires = $0.now.utc }, .expired),
        ({ $0.command.issued = $0.now.utc + .seconds(31) }, .timeSkew),
        ({ $0.command.expires = $0.now.utc + .seconds(7200) }, .badFormat),
        ({ $0.settings.isReadOnly = true }, .modeBlocked),
        ({ $0.isStopping = true }, .notReady),
        ({ $0.lockout = Lockouts.Entry(scope: .site, by: "x", reason: nil, since: $0.now.utc) }, .lockedOut),
        ({ $0.command.value = .double(12.5) }, .outOfLimits),
        ({ $0.command.value = .double(4.5) }, .outOfLimits),
        ({ $0.command.value = .double(9.1) }, .stepLimit),
        ({ $0.isRestoring = true }, .heldByOther),
        ({ $0.command.expect = Command.Expectation(value: .double(6.5), tolerance: 0.1) }, .expectMismatch),
    ]

    @Test(arguments: wrongs.indices)
    func whatIsWrongIsRefused(index: Int) {
        let (change, code) = Self.wrongs[index]
        #expect(Self.worst(Self.context(nil, change)) == .refuse(code))
    }

    @Test func aPointWithoutAPolicyCannotBeWritten() {
        let context = Self.context(ControlFixture.command(1, point: "bare", at: Self.now))
        #expect(Guards.address(context).refusal == .notWritable)
        #expect(Self.worst(context) == .refuse(.notWritable))
    }

    @Test func anInterlockThatIsFalseOrUnknownRefuses() {
        func finding(_ value: PointValue, _ reasons: QualityReasons = [], age: Duration = .zero) -> GuardVerdict.Finding
        {
            var context = Self.context()
            var sample = ControlFixture.sample("running", value, at: Self.now)
            sample.reasons = reasons
            sample.time = Self.now.utc - age
            context.readings = ReadingTable(ControlFixture.site())
            context.readings.update(sample, at: Self.now)
            return Guards.interlocks(context).finding
        }
        #expect(finding(.bool(true)) == .pass)
        #expect(finding(.bool(false)) == .refuse(.interlock))
        #expect(finding(.null, QualityReasons(.timeout)) == .refuse(.interlockUnknown))
        #expect(finding(.bool(true), QualityReasons(.lastValue)) == .refuse(.interlockUnknown))
        #expect(finding(.bool(true), age: .seconds(6)) == .refuse(.interlockUnknown))
        var empty = Self.context()
        empty.readings = ReadingTable(ControlFixture.site())
        #expect(Guards.interlocks(empty).finding == .refuse(.interlockUnknown))
        #expect(Guards.device(empty).finding == .refuse(.deviceUnhealthy))
        #expect(Guards.step(empty).finding == .refuse(.deviceUnhealthy))
    }

    @Test func aForcedOrSuspectDeviceIsNotWritten() {
        func context(_ reason: QualityReason) -> GuardContext {
            Self.context { context in
                var sample = ControlFixture.sample("a", .double(7), at: Self.now)
                sample.reasons = QualityReasons(reason)
                context.readings.update(sample, at: Self.now)
            }
        }
        #expect(Self.worst(context(.localOverride)) == .refuse(.localControl))
        #expect(Self.worst(context(.configSuspect)) == .refuse(.wrongDevice))
        #expect(Self.worst(context(.commDown)) == .refuse(.deviceUnhealthy))
    }

    @Test func unlessIsLocalControlAlsoWhenItIsUnknown() {
        let off = ControlFixture.condition("chiller1/running == false")
        let unknown = ControlFixture.condition("chiller1/temp > 90")
        #expect(Self.worst(Self.context(policy: Policies { $0.unless = [off] })) == .pass)
        #expect(Self.worst(Self.context(policy: Policies { $0.unless = [off, unknown] })) == .refuse(.localControl))
    }

    @Test func anAIIsChargedForAllWritesAndAPersonOnlyForThoseOfPersons() {
        var budget = WriteBudget()
        for minute in 0..<4 { budget.spend(at: Self.now.utc - .seconds(60 * (4 - minute)), isPerson: false) }
        func worst(_ issuer: Issuer, _ policy: @escaping (inout Policy) -> Void) -> GuardVerdict.Finding {
            let spent = budget
            return Self.worst(
                Self.context(ControlFixture.command(1, issuer, at: Self.now), policy: Policies(policy)) {
                    $0.issuer = issuer
                    $0.budget = spent
                })
        }
        #expect(worst(ControlFixture.ai) { $0.perHour = 4 } == .refuse(.rateLimit))
        #expect(worst(ControlFixture.ai) { $0.perHour = 5 } == .pass)
        #expect(worst(ControlFixture.ai) { $0.perDay = 4 } == .refuse(.budget))
        #expect(worst(ControlFixture.ai) { $0.minInterval = .seconds(61) } == .refuse(.minInterval))
        #expect(worst(ControlFixture.ai) { $0.minInterval = .seconds(60) } == .pass)
        #expect(
            worst(ControlFixture.room) {
                $0.perHour = 4; $0.perDay = 4; $0.minInterval = .seconds(61)
            } == .pass)
        budget.spend(at: Self.now.utc - .seconds(5), isPerson: true)
        #expect(worst(ControlFixture.room) { $0.minInterval = .seconds(61) } == .refuse(.minInterval))
    }

    @Test func nobodyTakesAPointFromSomebodyAbove() {
        func finding(_ issuer: Issuer, _ slot: AuthoritySlot, holder: String) -> GuardVerdict.Finding {
            Guards.holder(
                Self.context {
                    $0.issuer = issuer
                    $0.slots.take(slot, .init(command: ControlFixture.id(9), holder: holder, value: .int(8)))
                }
            ).finding
        }
        #expect(finding(ControlFixture.ai, .remoteOperator, holder: "room") == .refuse(.heldByOther))
        #expect(finding(ControlFixture.ai, .schedule, holder: "clock") == .refuse(.heldByOther))
        #expect(finding(ControlFixture.ai, .ai, holder: "rival") == .refuse(.heldByOther))
        #expect(finding(ControlFixture.ai, .ai, holder: "opt") == .pass)
        #expect(finding(ControlFixture.room, .ai, holder: "opt") == .pass)
        #expect(finding(ControlFixture.room, .remoteOperator, holder: "chief") == .pass)
        #expect(finding(ControlFixture.room, .localOperator, holder: "panel") == .refuse(.heldByOther))
    }

    @Test func evidenceMustBeOursRecentGoodAndTheSame() {
        let rule = Policy.EvidenceRule(points: ["chiller1/temp"], maxAge: .seconds(60))
        func finding(_ evidence: [Command.Evidence], age: Duration = .zero, _ reasons: QualityReasons = [])
            -> GuardVerdict.Finding
        {
            let site = ControlFixture.site { $0.evidence = rule }
            var context = Self.context(policy: Policies { $0.evidence = rule })
            context.command.evidence = evidence
            context.readings = ReadingTable(site)
            var sample = ControlFixture.sample("temp", .double(7.2), at: Self.now, number: 5)
            sample.time = Self.now.utc - age
            sample.reasons = reasons
            context.readings.update(sample, at: Self.now)
            return Guards.evidence(context).finding
        }
        let good = Command.Evidence(point: "chiller1/temp", epoch: 1, number: 5, value: .double(7.2))
        var lie = good
        lie.value = .double(9)
        var unknown = good
        unknown.number = 6
        #expect(finding([good]) == .pass)
        #expect(finding([]) == .refuse(.evidenceStale))
        #expect(finding([unknown]) == .refuse(.evidenceStale))
        #expect(finding([good], age: .seconds(61)) == .refuse(.evidenceStale))
        #expect(finding([lie]) == .refuse(.evidenceBad))
        #expect(finding([good], QualityReasons(.spike)) == .refuse(.evidenceBad))
    }

    @Test func theLaneDecidesWhatIsHeld() {
        func worst(_ lane: Lane, value: Double, mode: Command.Mode = .write, rule: Policy.ApprovalRule? = nil)
            -> GuardVerdict.Finding
        {
            var command = ControlFixture.command(1, value: value, at: Self.now)
            command.mode = mode
            return Self.worst(
                Self.context(command, policy: Policies { $0.approval = rule ?? $0.approval }) { $0.lane = lane })
        }
        #expect(worst(.advise, value: 7.1) == .hold)
        #expect(worst(.supervised, value: 7.5) == .pass)
        #expect(worst(.supervised, value: 8.5) == .hold)
        #expect(worst(.autonomous, value: 8.5) == .pass)
        #expect(worst(.autonomous, value: 7.1, mode: .advise) == .hold)
        #expect(worst(.shadow, value: 7.1) == .pass)
        #expect(worst(.autonomous, value: 7.1, rule: Policy.ApprovalRule(approvers: ["room"])) == .hold)
    }

    @Test func readinessAndHoursAreForWhoeverThePolicyAsks() {
        let isWeekday: (inout Policy) -> Void = { $0.hours = [HoursWindow(days: [0, 1, 2], start: 0, end: 1440)] }
        #expect(Self.worst(Self.context(policy: Policies(isWeekday))) == .refuse(.modeBlocked))
        let needs: (inout Policy) -> Void = { $0.needsReadiness = true }
        #expect(Self.worst(Self.context(policy: Policies(needs)) { $0.isReady = false }) == .refuse(.notReady))
        #expect(Self.worst(Self.context(policy: Policies(needs))) == .pass)
    }

    @Test func stalenessIsMeasuredByTheMonotonicClock() {
        var readings = ReadingTable(ControlFixture.site())
        readings.update(ControlFixture.sample("a", .double(7), at: Self.now), at: Self.now)
        // Somebody sets the clock back by an hour: the reading ages all the same.
        let later = Moment(utc: Self.now.utc - .seconds(3600), uptime: Self.now.uptime + .seconds(6))
        #expect(readings.observed("chiller1/a", at: later)?.isStale == true)
        #expect(readings.observed("chiller1/a", at: later)?.age == .seconds(6))
    }
}
