/// Who may do what to the points that it names, and within which bounds (site key `commands.policies`). Without a policy
/// a point cannot be written.
package struct Policy: Hashable, Sendable {
    package struct Permission: Hashable, Sendable {
        package var issuer: String
        package var ceiling: Command.Mode

        package init(issuer: String, ceiling: Command.Mode = .write) {
            self.issuer = issuer
            self.ceiling = ceiling
        }
    }

    /// Where a point goes when nobody holds it any more.
    package enum Fallback: Hashable, Sendable {
        case value(PointValue)
        /// What it was before it was first taken.
        case previous
        /// It stays where it is.
        case hold
    }

    package struct EvidenceRule: Hashable, Sendable {
        /// `device/point` with `*` for any part of a level.
        package var points: [String]
        package var maxAge: Duration
        /// Worst quality that is accepted.
        package var quality: Quality
        /// How many readings a command must name.
        package var count: Int

        package init(points: [String], maxAge: Duration, quality: Quality = .good, count: Int = 1) {
            self.points = points
            self.maxAge = maxAge
            self.quality = quality
            self.count = count
        }
    }

    package struct ApprovalRule: Hashable, Sendable {
        /// Steps up to this size need no approval in the lane `supervised`; in `autonomous` the rule does not apply. Nil:
        /// every command of every lane needs it.
        package var aboveStep: Double?
        /// Names of issuers that may approve.
        package var approvers: [String]
        /// One person or two.
        package var count: Int
        /// How long a command waits for them.
        package var within: Duration
        /// Who may approve as well when nobody has decided after ``escalateAfter``.
        package var escalation: [String]
        package var escalateAfter: Duration?

        package init(
            aboveStep: Double? = nil, approvers: [String], count: Int = 1, within: Duration = .seconds(900),
            escalation: [String] = [], escalateAfter: Duration? = nil
        ) {
            self.aboveStep = aboveStep
            self.approvers = approvers
            self.count = count
            self.within = within
            self.escalation = escalation
            self.escalateAfter = escalateAfter
        }
    }

    package struct LeaseRule: Hashable, Sendable {
        package var longest: Duration
        package var onEnd: Command.LeaseEnd

        package init(longest: Duration, onEnd: Command.LeaseEnd = .fallback) {
            self.longest = longest
            self.onEnd = onEnd
        }
    }

    /// A condition with the text that the site file gives it.
    package struct Condition: Hashable, Sendable {
        package var text: String
        package var expression: Expression

        package init(text: String, expression: Expression) {
            self.text = text
            self.expression = expression
        }
    }

    package var name: String
    /// `device/point` with `*` for any part of a level.
    package var points: [String]
    package var permissions: [Permission]
    package var low: Double?
    package var high: Double?
    /// Largest distance from the measured value.
    package var step: Double?
    /// Writes in any hour.
    package var perHour: Int?
    package var minInterval: Duration?
    /// Writes in any 24 hours: registers in flash wear out.
    package var perDay: Int?
    /// When writing is allowed; empty for always.
    package var hours: [HoursWindow]
    /// All must be true, from readings that are fresh and good.
    package var interlocks: [Condition]
    /// While one is not known to be false, somebody at the plant has the point.
    package var unless: [Condition]
    package var evidence: EvidenceRule?
    package var approval: ApprovalRule?
    package var lease: LeaseRule
    package var fallback: Fallback
    package var allowsUnsigned: Bool
    /// Whether the readiness report must say go.
    package var needsReadiness: Bool
    /// Whether points may be written whose writes nothing confirms.
    package var allowsUnverified = false
    /// The points are watchdogs, which the gateway feeds; nobody may command them.
    package var feedsWatchdog = false

    package init(
        name: String, points: [String], permissions: [Permission], low: Double? = nil, high: Double? = nil,
        step: Double? = nil, perHour: Int? = nil, minInterval: Duration? = nil, perDay: Int? = nil,
        hours: [HoursWindow] = [], interlocks: [Condition] = [], unless: [Condition] = [],
        evidence: EvidenceRule? = nil, approval: ApprovalRule? = nil,
        lease: LeaseRule = LeaseRule(longest: .seconds(1800)), fallback: Fallback = .previous,
        allowsUnsigned: Bool = false, needsReadiness: Bool = false
    ) {
        self.name = name
        self.points = points
        self.permissions = permissions
        self.low = low
        self.high = high
        self.step = step
        self.perHour = perHour
        self.minInterval = minInterval
        self.perDay = perDay
        self.hours = hours
        self.interlocks = interlocks
        self.unless = unless
        self.evidence = evidence
        self.approval = approval
        self.lease = lease
        self.fallback = fallback
        self.allowsUnsigned = allowsUnsigned
        self.needsReadiness = needsReadiness
    }
}

/// Everything that the site file says about commands (site key `commands`). The default lets nobody write anything.
package struct CommandSettings: Hashable, Sendable {
    package var issuers: [Issuer]
    package var policies: [Policy]
    /// Nothing is ever written, not even a fallback.
    package var isReadOnly: Bool
    /// How long the broker may be away before what machines hold is taken back.
    package var brokerLoss: Duration
    /// How far a sender's clock may be off.
    package var skew: Duration
    /// Longest time from issue to expiry.
    package var longestExpiry: Duration

    package init(
        issuers: [Issuer] = [], policies: [Policy] = [], isReadOnly: Bool = false,
        brokerLoss: Duration = .seconds(300), skew: Duration = .seconds(30), longestExpiry: Duration = .seconds(3600)
    ) {
        self.issuers = issuers
        self.policies = policies
        self.isReadOnly = isReadOnly
        self.brokerLoss = brokerLoss
        self.skew = skew
        self.longestExpiry = longestExpiry
    }
}
