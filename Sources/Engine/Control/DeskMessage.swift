package import Model

/// What the desk tells the world.
package enum DeskMessage: Hashable, Sendable {
    case event(CommandEvent)
    /// Retained while a person must decide.
    case held(HeldCommand)
    /// Clears the retained message of a command that is decided.
    case decided(CommandID)
    /// Retained.
    case slot(SlotReport)
    /// Clears the retained message of a point that nobody can command any more.
    case unclaimed(point: String)
    case outcome(Outcome)
}

/// A step in the life of a command (`event/1`).
package struct CommandEvent: Hashable, Sendable {
    /// Nil for what cannot be attributed.
    package var id: CommandID?
    /// Nil for what is about no point; then only who asked is answered.
    package var point: String?
    package var state: CommandState
    package var code: RefusalCode?
    package var time: UnixTime
    package var actor: String?
    package var value: PointValue?
    /// The value of the request, where the registers hold another.
    package var asked: PointValue?
    package var readback: PointValue?
    package var note: String?
    /// Why a person denied or overrode it.
    package var reason: HumanReason?
    package var guards: [GuardVerdict]
    /// Counted over all events of the gateway, across restarts; 0 for what is not recorded.
    package var seq: UInt64
    package var reply: ReplyAddress?

    package init(
        id: CommandID?, point: String?, state: CommandState, code: RefusalCode? = nil, time: UnixTime,
        actor: String? = nil, value: PointValue? = nil, asked: PointValue? = nil, readback: PointValue? = nil,
        note: String? = nil,
        reason: HumanReason? = nil, guards: [GuardVerdict] = [], seq: UInt64 = 0, reply: ReplyAddress? = nil
    ) {
        self.id = id
        self.point = point
        self.state = state
        self.code = code
        self.time = time
        self.actor = actor
        self.value = value
        self.asked = asked
        self.readback = readback
        self.note = note
        self.reason = reason
        self.guards = guards
        self.seq = seq
        self.reply = reply
    }

    /// The event as `event/1`.
    package var document: JSONValue {
        .object(
            [
                .init("schema", .string("event/1")), .init("id", .optional(id?.description)),
                .init("point", .optional(point)), .init("state", .string(state.rawValue)),
            ]
                + JSONValue.compact([
                    ("code", .optional(code?.rawValue)), ("time", .time(time)), ("actor", .optional(actor)),
                    ("value", .value(value)), ("asked", .value(asked)), ("readback", .value(readback)),
                    ("note", .optional(note)),
                    ("reason", .optional(reason?.rawValue)),
                    ("guards", guards.isEmpty ? .null : .array(guards.map(\.document))), ("seq", .integer(seq)),
                ]).members)
    }
}

/// A command that waits for a person.
package struct HeldCommand: Hashable, Sendable {
    package var command: Command
    /// What would be written, and the value of the request where that is another.
    package var value: PointValue?
    package var asked: PointValue?
    package var issuer: String
    /// Of the request's bytes as they were received: what a decision has to name.
    package var digest: [UInt8]
    /// What the point was when it was asked for.
    package var from: PointValue?
    package var until: UnixTime
    /// Whether the issuer has been silent for longer than its heartbeat: then nothing of it can be approved.
    package var isSilent: Bool
    package var approvers: [String]
    package var needed: Int
    package var approvals: [String]
    package var isEscalated: Bool
    package var guards: [GuardVerdict]

    package var document: JSONValue {
        .compact([
            ("schema", .string("held/1")), ("id", .string(command.id.description)), ("issuer", .string(issuer)),
            ("command", command.document), ("value", .value(value)), ("asked", .value(asked)),
            ("digest", .string(DocumentDigest.text(digest))), ("from", .value(from)),
            ("until", .time(until)), ("silent", isSilent ? .bool(true) : .null),
            ("approvers", .array(approvers.map { .string($0) })), ("needed", .integer(needed)),
            ("approvals", .array(approvals.map { .string($0) })), ("escalated", .bool(isEscalated)),
            ("guards", .array(guards.map(\.document))),
        ])
    }
}

/// Who holds a point, and until when.
package struct SlotReport: Hashable, Sendable {
    package struct Entry: Hashable, Sendable {
        package var slot: AuthoritySlot
        package var holder: String
        package var command: CommandID?
        package var value: PointValue
        package var asked: PointValue?
        package var until: UnixTime?
        /// Whether the device itself falls back when the gateway dies.
        package var isGuardedByDevice = false

        /// Who ends the lease; nil for a hold without an end.
        var enforcement: String? { until.map { _ in isGuardedByDevice ? "device" : "gateway" } }
    }

    package var point: String
    /// Occupied slots, highest first; the first one is in effect.
    package var entries: [Entry]
    package var lockout: String?
    /// Where the point is being taken back to.
    package var restoring: PointValue?
    /// The point could not be taken back: an alarm until it is fixed.
    package var isAlarm: Bool

    /// Whether nobody holds the point, and it is where it should be.
    var isEmpty: Bool { entries.isEmpty && lockout == nil && restoring == nil && !isAlarm }

    package var document: JSONValue {
        .compact([
            ("schema", .string("slot/1")), ("point", .string(point)),
            (
                "slots",
                .array(
                    entries.map {
                        .compact([
                            ("slot", .string($0.slot.name)), ("holder", .string($0.holder)),
                            ("id", .optional($0.command?.description)), ("value", JSONValue($0.value)),
                            ("asked", .value($0.asked)), ("until", .time($0.until)),
                            ("enforced_by", .optional($0.enforcement)),
                            ("note", $0.enforcement == "gateway" ? .string("lease enforced by gateway only") : .null),
                        ])
                    })
            ),
            ("lockout", .optional(lockout)), ("restoring", .value(restoring)), ("alarm", .bool(isAlarm)),
        ])
    }
}

extension GuardVerdict {
    package var document: JSONValue {
        let word: String =
            switch finding {
            case .pass: "pass"
            case .hold: "hold"
            case .refuse: "refuse"
            }
        return .compact([
            ("guard", .string(name)), ("verdict", .string(word)), ("code", .optional(refusal?.rawValue)),
            (
                "inputs",
                inputs.isEmpty ? .null : .object(inputs.map { JSONValue.Member($0.name, $0.value) })
            ),
        ])
    }
}
