package import Model

/// A person stopped, changed or took away what somebody else asked for: who, when, how soon and why. The first one counts.
package struct Intervention: Hashable, Sendable {
    package enum Kind: String, Sendable, CaseIterable {
        /// Refused or called off before it was written.
        case denied, cancelled
        /// Somebody with more authority took the point, somebody with the same put another value in its place, or gave it
        /// back.
        case preempted, superseded, released
        /// Changed at the device itself.
        case overridden
        /// Stopped by a kill switch.
        case lockedOut = "locked_out"

        /// Whether it undid something that was in effect.
        package var isOverride: Bool {
            switch self {
            case .denied, .cancelled: false
            case .preempted, .superseded, .released, .overridden, .lockedOut: true
            }
        }
    }

    package var kind: Kind
    /// `local` for somebody at the device.
    package var by: String
    /// The command of that person, where there is one.
    package var command: CommandID?
    package var reason: HumanReason?
    /// In the person's own words.
    package var note: String?
    package var time: UnixTime
    /// Time that the command was in effect; for one that was not, time that it waited.
    package var after: Duration?

    package init(
        _ kind: Kind, by: String, command: CommandID? = nil, reason: HumanReason? = nil, note: String? = nil,
        time: UnixTime, after: Duration? = nil
    ) {
        self.kind = kind
        self.by = by
        self.command = command
        self.reason = reason
        self.note = note
        self.time = time
        self.after = after
    }

    package var document: JSONValue {
        .compact([
            ("kind", .string(kind.rawValue)), ("by", .string(by)), ("id", .optional(command?.description)),
            ("reason", .optional(reason?.rawValue)), ("note", .optional(note)), ("time", .time(time)),
            ("after_s", .seconds(after)),
        ])
    }

    var record: JSONValue {
        .compact([
            ("kind", .string(kind.rawValue)), ("by", .string(by)), ("id", .optional(command?.description)),
            ("reason", .optional(reason?.rawValue)), ("note", .optional(note)), ("time", .stored(time)),
            ("after", after.map { .integer($0.milliseconds) } ?? .null),
        ])
    }

    /// Reads what ``record`` wrote.
    init(record: JSONValue) throws(RecordError) {
        guard let kind = record["kind"]?.text.flatMap(Kind.init(rawValue:)) else { throw RecordError("kind") }
        self.init(
            kind, by: try record.requiredText("by"), command: record["id"]?.text.flatMap(CommandID.init),
            reason: record["reason"]?.text.flatMap(HumanReason.init(rawValue:)), note: record["note"]?.text,
            time: try record.requiredTime("time"),
            after: record["after"]?.integer(in: 0...Duration.longest.milliseconds).map { .milliseconds($0) })
    }
}

extension CommandDesk {
    /// Notes that `person` ended or changed `id`, unless somebody did before. To be called before the command moves, so that
    /// the entry of the move carries it.
    mutating func intervene(
        _ id: CommandID, _ kind: Intervention.Kind, by person: String, command: CommandID? = nil,
        reason: HumanReason? = nil, note: String? = nil
    ) {
        guard let subject = commands[id], subject.intervention == nil, subject.issuer != person else { return }
        let since = kind.isOverride ? subject.tookEffect ?? subject.verified : subject.received
        let intervention = Intervention(
            kind, by: person, command: command, reason: reason, note: note, time: now.utc,
            after: since.map { max(.zero, now.utc - $0) })
        commands[id]?.intervention = intervention
        output.changed.insert(id)
        output.intervened.insert(id)
        guard outcomes[id] != nil else { return }
        outcomes[id]?.intervention = intervention
        if let plan = outcomes[id] { output.record(plan.record) }
    }

    /// Notes what the command of a person does to another one; what machines do to each other is no intervention.
    mutating func intervene(_ id: CommandID, _ kind: Intervention.Kind, with command: ActiveCommand) {
        guard site.issuers[command.issuer]?.category.isPerson ?? false else { return }
        intervene(
            id, kind, by: command.issuer, command: command.id, reason: command.command.rationale?.reason,
            note: command.command.rationale?.text)
    }

    /// Notes that a kill switch ends a command. One that a machine turned on is no person's doing.
    mutating func intervene(_ command: ActiveCommand, with lockout: Lockouts.Entry) {
        guard site.issuers[lockout.by]?.category.isPerson ?? true else { return }
        let kind: Intervention.Kind
        switch command.state {
        case .held, .approved: kind = .cancelled
        case .verified, .written, .preempted: kind = .lockedOut
        default: return
        }
        intervene(
            command.id, kind, by: lockout.by, reason: lockout.reason.flatMap(HumanReason.init(rawValue:)),
            note: lockout.reason)
    }
}
