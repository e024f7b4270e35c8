package import Model

/// Everything that the guards of one command look at. They change nothing and ask nobody.
package struct GuardContext: Sendable {
    package enum Stage: Sendable {
        /// The request has just come.
        case request
        /// It is about to be written.
        case execution
        /// A preempted value is about to come back.
        case resumption
    }

    package var stage: Stage
    package var command: Command
    /// Nil for a name that the site file does not know.
    package var issuer: Issuer?
    /// Whether the sender is proven: by a signature, or by who may open the local socket.
    package var isSigned: Bool
    /// Whether it came over the local socket, where nothing is signed.
    package var isLocal: Bool
    package var gateway: String
    package var settings: CommandSettings
    package var point: ControlledPoint?
    /// Points of this site that the command names as evidence, or of which it foretells a change.
    package var named: [String: Point]
    package var lane: Lane
    package var now: Moment
    package var readings: ReadingTable
    package var budget: WriteBudget
    package var slots: AuthoritySlots
    package var lockout: Lockouts.Entry?
    /// Whether the point is on its way to its fallback, or failed to get there.
    package var isRestoring: Bool
    package var isReady: Bool
    package var isStopping: Bool
    /// Whether the persons that the policy asks for have approved.
    package var isApproved: Bool
    /// The value that the registers will hold; that of ``command`` unless it lies between two raw steps.
    package var value: PointValue? { quantised?.value ?? command.value }
    /// Why the registers hold no form of the value.
    package var problem: SetpointPlan.Unquantisable? { quantised?.problem }
    private var quantised: Quantised?
    /// What was found when the place of confirmation was last asked for.
    package var finding: ReadBack?

    package init(
        stage: Stage, command: Command, issuer: Issuer?, isSigned: Bool, isLocal: Bool = false, gateway: String,
        settings: CommandSettings,
        point: ControlledPoint?, named: [String: Point] = [:], lane: Lane, now: Moment, readings: ReadingTable,
        budget: WriteBudget = WriteBudget(),
        slots: AuthoritySlots = AuthoritySlots(), lockout: Lockouts.Entry? = nil, isRestoring: Bool = false,
        isReady: Bool = true, isStopping: Bool = false, isApproved: Bool = false, quantised: Quantised? = nil,
        finding: ReadBack? = nil
    ) {
        self.stage = stage
        self.command = command
        self.issuer = issuer
        self.isSigned = isSigned
        self.isLocal = isLocal
        self.gateway = gateway
        self.settings = settings
        self.point = point
        self.named = named
        self.lane = lane
        self.now = now
        self.readings = readings
        self.budget = budget
        self.slots = slots
        self.lockout = lockout
        self.isRestoring = isRestoring
        self.isReady = isReady
        self.isStopping = isStopping
        self.isApproved = isApproved
        self.quantised = quantised
        self.finding = finding
    }

    package var policy: Policy? { point?.policy }
    package var isPerson: Bool { issuer?.category.isPerson ?? false }

    package var permission: Policy.Permission? {
        policy?.permissions.first { $0.issuer == issuer?.name }
    }

    /// How far the command may go: what it asks for, what the policy allows and the lane, the least of them.
    package var mode: Command.Mode {
        min(command.mode, permission?.ceiling ?? .shadow, lane.ceiling, issuer?.category.ceiling ?? .shadow)
    }

    /// The newest reading of the place where the point is confirmed.
    package var measured: ObservedReading? {
        (point?.confirmation ?? .polled(command.point)).key.flatMap { readings.observed($0, at: now) }
    }

    /// Whether anything can be read that confirms a write.
    package var isConfirmable: Bool { point?.confirmation != .nowhere }

    private var shown: PointValue? {
        measured.flatMap { $0.isTrustworthy ? $0.value : nil }
    }

    /// The value that the point has, where decisions may rest on it.
    package var trustedValue: PointValue? {
        shown.flatMap { point?.isUnset($0) ?? false ? nil : $0 }
    }

    /// The bounds that the device itself holds, by its newest readings; nil where it holds none.
    package var heldBounds: HeldBounds? {
        guard let point, let rule = point.point.write, !rule.boundPoints.isEmpty else { return nil }
        return HeldBounds(of: rule) { name in
            let reading = readings.observed("\(point.device)/\(name)", at: now)
            return reading.flatMap { $0.isTrustworthy ? $0.value.number : nil }
        }
    }

    /// Whether the place shows what the profile says that it shows before the first write.
    package var isUnset: Bool {
        if let shown { return point?.isUnset(shown) ?? false }
        return if case .unset = finding { true } else { false }
    }

    /// Distance from the measured value to the one to be written, where both are numbers.
    package var step: Double? {
        guard let from = trustedValue?.number, let to = value?.number else { return nil }
        return abs(to - from)
    }
}

/// The guards of a command: each a pure function with a verdict. All of them run, and the worst verdict wins.
package enum Guards {
    package typealias Check = @Sendable (GuardContext) -> GuardVerdict

    /// For every action.
    static let always: [Check] = [address, authority, signature, time]
    /// For what makes or keeps a point commanded.
    static let holding: [Check] = [site, lockout, local, interlocks, evidence]
    /// For what is written.
    static let writing: [Check] = [
        format, hours, holder, limits, step, rate, interval, wear, expectation, expected, device, confirmation,
        readiness,
        approval,
    ]
    /// Those whose verdict rests on a reading that can be had by asking for it.
    static let rested: Set<String> = ["local", "interlocks", "limits", "step", "expect", "device", "approval"]

    /// The verdicts of all guards that apply to the action of the command, and at this stage.
    package static func verdicts(_ context: GuardContext) -> [GuardVerdict] {
        checks(context).map { $0(context) }
    }

    private static func checks(_ context: GuardContext) -> [Check] {
        switch (context.stage, context.command.action) {
        // The policy may have been changed or taken away meanwhile.
        case (.resumption, _): [address, authority, site, lockout, local, interlocks, limits, confirmation]
        case (_, .set): always + holding + writing
        case (_, .renew): always + holding + [approval]
        case (_, .release), (_, .cancel): always
        }
    }

    static func verdict(
        _ name: String, _ finding: GuardVerdict.Finding, _ inputs: [(String, JSONValue)] = []
    ) -> GuardVerdict {
        GuardVerdict(
            name: name, finding: finding,
            inputs: inputs.filter { $0.1 != .null }.map { GuardVerdict.Input($0.0, $0.1) })
    }

    static func refusing(_ isRefused: Bool, _ code: RefusalCode) -> GuardVerdict.Finding {
        isRefused ? .refuse(code) : .pass
    }
}

extension JSONValue {
    /// A moment, or null.
    package static func time(_ time: UnixTime?) -> JSONValue { time.map { .string($0.rfc3339) } ?? .null }

    static func seconds(_ duration: Duration?) -> JSONValue { duration.map { .double($0.inSeconds) } ?? .null }

    static func optional(_ number: Double?) -> JSONValue { number.map { .double($0) } ?? .null }

    package static func value(_ value: PointValue?) -> JSONValue { value.map { JSONValue($0) } ?? .null }
}
