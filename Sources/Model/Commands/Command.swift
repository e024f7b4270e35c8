/// What somebody asks a point to do (`command/1`). Anybody can write one: what it is worth is decided by the guards.
package struct Command: Hashable, Sendable {
    package enum Action: String, Sendable, CaseIterable {
        /// Write a value and hold the point for the lease.
        case set
        /// Give the point back.
        case release
        /// Hold the point for another lease.
        case renew
        /// Forget what has not been written yet.
        case cancel
    }

    /// How far a command may go. Ordered from least to most.
    package enum Mode: String, Sendable, CaseIterable, Comparable {
        /// Every verdict recorded, nothing written.
        case shadow
        /// A person must approve.
        case advise
        case write

        package static func < (left: Mode, right: Mode) -> Bool {
            left.rank < right.rank
        }

        private var rank: Int {
            switch self {
            case .shadow: 0
            case .advise: 1
            case .write: 2
            }
        }
    }

    /// What a point goes to when its lease ends.
    package enum LeaseEnd: String, Sendable, CaseIterable {
        case fallback, previous, hold
    }

    package struct Lease: Hashable, Sendable {
        package var duration: Duration
        package var onEnd: LeaseEnd?

        package init(duration: Duration, onEnd: LeaseEnd? = nil) {
            self.duration = duration
            self.onEnd = onEnd
        }
    }

    /// What the sender believes the point to be now.
    package struct Expectation: Hashable, Sendable {
        package var value: PointValue
        package var tolerance: Double

        package init(value: PointValue, tolerance: Double = 0) {
            self.value = value
            self.tolerance = tolerance
        }
    }

    package struct Origin: Hashable, Sendable {
        package var category: IssuerCategory
        package var actor: String
        package var version: String?
        package var digest: String?
        package var onBehalfOf: String?

        package init(
            category: IssuerCategory, actor: String, version: String? = nil, digest: String? = nil,
            onBehalfOf: String? = nil
        ) {
            self.category = category
            self.actor = actor
            self.version = version
            self.digest = digest
            self.onBehalfOf = onBehalfOf
        }
    }

    /// A reading on which the command rests: named as in `reading/1`.
    package struct Evidence: Hashable, Sendable {
        package var point: String
        package var epoch: UInt32
        package var number: UInt64
        package var value: PointValue?

        package init(point: String, epoch: UInt32, number: UInt64, value: PointValue? = nil) {
            self.point = point
            self.epoch = epoch
            self.number = number
            self.value = value
        }
    }

    /// A change that the sender foretells.
    package struct ExpectedChange: Hashable, Sendable {
        package var point: String
        package var change: Double
        package var unit: String?
        package var within: Duration

        package init(point: String, change: Double, unit: String? = nil, within: Duration) {
            self.point = point
            self.change = change
            self.unit = unit
            self.within = within
        }
    }

    package struct Rationale: Hashable, Sendable {
        package var text: String?
        /// Why a person does it.
        package var reason: HumanReason?
        package var confidence: Double?
        package var propensity: Double?
        package var expected: [ExpectedChange]

        package init(
            text: String? = nil, reason: HumanReason? = nil, confidence: Double? = nil, propensity: Double? = nil,
            expected: [ExpectedChange] = []
        ) {
            self.text = text
            self.reason = reason
            self.confidence = confidence
            self.propensity = propensity
            self.expected = expected
        }
    }

    package var id: CommandID
    package var gateway: String
    /// `device/point`.
    package var point: String
    package var action: Action
    /// The one command that a `renew` or `cancel` is about; nil for whatever it finds at the point.
    package var subject: CommandID?
    /// Nil for every action but `set`.
    package var value: PointValue?
    /// UCUM.
    package var unit: String?
    package var mode: Mode
    package var issued: UnixTime
    package var expires: UnixTime
    package var lease: Lease?
    package var expect: Expectation?
    package var origin: Origin
    package var evidence: [Evidence]
    package var rationale: Rationale?
    package var recommendation: String?

    package init(
        id: CommandID, gateway: String, point: String, action: Action, value: PointValue? = nil, unit: String? = nil,
        mode: Mode = .write, issued: UnixTime, expires: UnixTime, lease: Lease? = nil, expect: Expectation? = nil,
        origin: Origin, evidence: [Evidence] = [], rationale: Rationale? = nil, recommendation: String? = nil
    ) {
        self.id = id
        self.gateway = gateway
        self.point = point
        self.action = action
        self.value = value
        self.unit = unit
        self.mode = mode
        self.issued = issued
        self.expires = expires
        self.lease = lease
        self.expect = expect
        self.origin = origin
        self.evidence = evidence
        self.rationale = rationale
        self.recommendation = recommendation
    }
}
