package import Model

/// A command that is not finished, with everything that must survive a restart.
package struct ActiveCommand: Hashable, Sendable {
    /// Waiting for persons.
    package struct Hold: Hashable, Sendable {
        package var deadline: Deadline
        /// When others may decide as well; nil once they may, or for never.
        package var escalation: Deadline?
        package var isEscalated = false
        package var approvers: [String]
        package var needed: Int
        package var approvals: [String] = []
        /// Accounts at the local socket that approved: whoever has one may claim several names.
        package var accounts: [UInt32] = []
        /// What the point was when it was asked for.
        package var from: PointValue?
        /// Whether the last message about it says that its issuer is silent. Not recorded.
        package var isSilent = false
    }

    package var command: Command
    package var issuer: String
    package var isSigned: Bool
    package var digest: [UInt8]
    package var reply: ReplyAddress?
    /// The value of the request as the registers hold it; nil where there is none.
    package var quantised: PointValue?
    package var state: CommandState = .received
    /// Order of arrival.
    package var arrival: UInt64
    package var received: UnixTime
    package var slot: AuthoritySlot
    package var hold: Hold?
    package var isApproved = false
    /// Whether nothing can be read that confirms its write.
    package var isUnverified = false
    /// Who approved or denied, and when.
    package var deciders: [String] = []
    package var decided: UnixTime?
    /// Value before the write, and where the point goes when nobody holds it; both known once it is executed.
    package var before: PointValue?
    package var home: PointValue?
    /// What the point was before anybody took it.
    package var baseline: PointValue?
    /// When the lease ends.
    package var until: Deadline?
    package var readback: PointValue?
    /// When the write was seen to be done, and the first time that it was.
    package var verified: UnixTime?
    package var tookEffect: UnixTime?
    /// What a person did about it.
    package var intervention: Intervention?
    /// Who was at the local socket; nil for what came over a broker.
    package var account: LocalAccount?
    /// Read-backs that found nobody, and when the next one is due.
    package var readBacks = 0
    package var nextReadBack: Deadline?
    /// Uptime from which on a device that still shows the old value has not taken the write; nil until it was seen to show it.
    /// Not recorded: a start waits for the whole time again.
    package var lostFrom: Duration?

    /// Whether its value is in the device, as far as can be known.
    package var isInEffect: Bool { state == .verified || (state == .written && isUnverified) }

    package var id: CommandID { command.id }
    package var point: String { command.point }

    /// When it ends as it stands: by itself while it waits, with its lease once it is in effect.
    package var end: UnixTime? {
        switch state {
        case .received, .approved: command.expires
        case .held: hold.map { min($0.deadline.utc, command.expires) } ?? command.expires
        default: until?.utc
        }
    }

    /// Whether a `renew` or `cancel` means the command with this id.
    func isAbout(_ id: CommandID) -> Bool { command.subject.map { $0 == id } ?? true }
}

// MARK: - Record

extension ActiveCommand {
    package static let recordKind = "command"

    package var record: LedgerRecord {
        let hold = hold.map { hold in
            JSONValue.compact([
                ("deadline", .stored(hold.deadline.utc)), ("within_us", .microseconds(hold.deadline.length)),
                ("escalation", .stored(hold.escalation?.utc)),
                ("escalated", .bool(hold.isEscalated)), ("approvers", .texts(hold.approvers)),
                ("needed", .integer(hold.needed)), ("approvals", .texts(hold.approvals)),
                ("accounts", hold.accounts.isEmpty ? .null : .array(hold.accounts.map { .integer($0) })),
                ("from", .stored(hold.from)),
            ])
        }
        let document = JSONValue.compact([
            ("command", command.document), ("issuer", .string(issuer)), ("signed", .bool(isSigned)),
            ("digest", .hex(digest)), ("reply_topic", .optional(reply?.topic)),
            ("reply_broker", .optional(reply?.broker)),
            ("correlation", reply.map { .hex($0.correlation) } ?? .null), ("state", .string(state.rawValue)),
            ("value", .stored(quantised)), ("unverified", isUnverified ? .bool(true) : .null),
            ("arrival", .integer(arrival)), ("received", .stored(received)), ("slot", .string(slot.name)),
            ("hold", hold ?? .null), ("approved", .bool(isApproved)), ("deciders", .texts(deciders)),
            ("decided", .stored(decided)), ("before", .stored(before)), ("home", .stored(home)),
            ("baseline", .stored(baseline)),
            ("until", .stored(until?.utc)), ("granted_us", .microseconds(until?.length)),
            ("readback", .stored(readback)), ("verified", .stored(verified)),
            ("read_backs", .integer(readBacks)), ("took_effect", .stored(tookEffect)),
            ("intervention", intervention?.record ?? .null), ("account", account?.document ?? .null),
        ])
        return LedgerRecord(kind: Self.recordKind, key: id.description, body: document.bytes)
    }

    /// Reads a record; deadlines are seen from `now`.
    init(record: JSONValue, at now: Moment) throws(RecordError) {
        guard let document = record["command"] else { throw RecordError("command") }
        let command: Command
        do { command = try Command(document: document) } catch { throw RecordError(error.message) }
        guard let state = record["state"]?.text.flatMap(CommandState.init(rawValue:)) else {
            throw RecordError("state")
        }
        guard let slot = record["slot"]?.text.flatMap(AuthoritySlot.init(name:)) else { throw RecordError("slot") }
        self.init(
            command: command, issuer: try record.requiredText("issuer"), isSigned: record["signed"]?.isTrue ?? false,
            digest: try record.requiredHex("digest"), state: state, arrival: try record.requiredCount("arrival"),
            received: try record.requiredTime("received"), slot: slot, isApproved: record["approved"]?.isTrue ?? false)
        // A record without the broker is of a version that answered to all: its answers go nowhere.
        if let topic = record["reply_topic"]?.text, let broker = record["reply_broker"]?.text {
            reply = ReplyAddress(broker: broker, topic: topic, correlation: try record.requiredHex("correlation"))
        }
        quantised = record.storedValue("value")
        isUnverified = record["unverified"]?.isTrue ?? false
        deciders = record["deciders"]?.elements.compactMap(\.text) ?? []
        decided = record.time("decided")
        before = record.storedValue("before")
        home = record.storedValue("home")
        baseline = record.storedValue("baseline")
        until = record.time("until").map { Deadline(stored: $0, length: record.duration("granted_us"), at: now) }
        readback = record.storedValue("readback")
        verified = record.time("verified")
        readBacks = record["read_backs"]?.integer(in: 0...Int(Int32.max)) ?? 0
        tookEffect = record.time("took_effect")
        if let intervention = record["intervention"] { self.intervention = try Intervention(record: intervention) }
        account = record["account"].flatMap(LocalAccount.init)
        if let hold = record["hold"] { self.hold = try Hold(record: hold, at: now) }
    }
}

extension ActiveCommand.Hold {
    fileprivate init(record: JSONValue, at now: Moment) throws(RecordError) {
        self.init(
            deadline: Deadline(
                stored: try record.requiredTime("deadline"), length: record.duration("within_us"), at: now),
            escalation: record.time("escalation").map { Deadline(stored: $0, at: now) },
            isEscalated: record["escalated"]?.isTrue ?? false,
            approvers: record["approvers"]?.elements.compactMap(\.text) ?? [],
            needed: Int(clamping: try record.requiredCount("needed")),
            approvals: record["approvals"]?.elements.compactMap(\.text) ?? [],
            accounts: record["accounts"]?.elements.compactMap { $0.integer(in: 0...UInt32.max) } ?? [],
            from: record.storedValue("from"))
    }
}
