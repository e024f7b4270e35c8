import Model

/// What one event leads to, gathered while it is handled.
struct DeskOutput: Sendable {
    struct Key: Hashable {
        var kind: String
        var key: String
    }

    /// Records in the order in which they were first changed.
    var order: [Key] = []
    var bodies: [Key: [UInt8]?] = [:]
    var leaves: [[UInt8]] = []
    var messages: [DeskMessage] = []
    var actions: [DeskEffect] = []
    var replies: [DeskEffect] = []
    /// Commands and points whose records or reports have to be written anew.
    var changed: Set<CommandID> = []
    var touched: Set<String> = []
    /// Commands that a person intervened with, until it is said.
    var intervened: Set<CommandID> = []

    mutating func record(_ record: LedgerRecord) {
        let key = Key(kind: record.kind, key: record.key)
        if bodies.updateValue(record.body, forKey: key) == nil { order.append(key) }
    }
}

extension CommandDesk {
    /// Moves a command one step on: the only place where a command changes its state. Says so in the audit and to the world.
    mutating func move(
        _ id: CommandID, _ step: CommandStep, code: RefusalCode? = nil, actor: String? = nil, note: String? = nil,
        guards: [GuardVerdict] = []
    ) {
        guard var command = commands[id] else { return }
        guard let state = command.state.after(step, isUnverified: command.isUnverified) else {
            preconditionFailure("\(id) cannot go from \(command.state) by \(step): a bug in the command desk")
        }
        let from = command.state
        command.state = state
        commands[id] = command
        announce(command, from: from, code: code, actor: actor, note: note, guards: guards)
        if state.isFinal { finish(id, code: code) }
    }

    /// Records and publishes the state that `command` has now.
    mutating func announce(
        _ command: ActiveCommand, from: CommandState?, code: RefusalCode? = nil, actor: String? = nil,
        note: String? = nil, guards: [GuardVerdict] = []
    ) {
        seq += 1
        // Said with the step that the person brought about, not with those behind it.
        let intervention = output.intervened.remove(command.id).flatMap { _ in command.intervention }
        figures.states[command.state, default: 0] += 1
        // A write that nothing confirms, where the policy allows that, is no refusal.
        if let code, code != .unverified || command.state == .rejected { figures.refusals[code, default: 0] += 1 }
        let event = CommandEvent(
            id: command.id, point: command.point, state: command.state, code: code, time: now.utc, actor: actor,
            value: command.value, asked: command.asked, readback: command.readback, note: note,
            reason: intervention?.reason, guards: guards, seq: seq,
            reply: command.reply)
        output.messages.append(.event(event))
        announced(command, from: from, event, intervention)
    }

    private mutating func announced(
        _ command: ActiveCommand, from: CommandState?, _ event: CommandEvent, _ intervention: Intervention?
    ) {
        var members: [(String, JSONValue)] = [
            ("from", .optional(from?.rawValue)), ("event", event.document), ("issuer", .string(command.issuer)),
        ]
        if from == nil {
            members.append(("request", command.command.document.shortened(to: Self.requestTextLimit)))
            members.append(("digest", .string(DocumentDigest.text(command.digest))))
            members.append(("account", command.account?.document ?? .null))
            members.append(("signed", .bool(command.isSigned && command.account == nil)))
        }
        members.append(("intervention", intervention?.document ?? .null))
        if command.state == .executing {
            // What the grant says: this entry is why its end needs no other one to be allowed.
            members += [
                ("write", .integer(0)), ("fallback", .value(command.home)),
                ("lease_s", .seconds(lease(of: command)?.length)),
            ]
        }
        if command.isInEffect { members.append(("until", .time(command.until?.utc))) }
        leaf("command", members)
        chargeLedger(for: command)
        output.changed.insert(command.id)
        output.touched.insert(command.point)
    }

    /// Appends an audit entry.
    mutating func leaf(_ kind: String, _ members: [(String, JSONValue)]) {
        let document = JSONValue.compact(
            [
                ("schema", .string("audit/1")), ("gateway", .string(site.gateway)), ("time", .time(now.utc)),
                ("kind", .string(kind)), ("late", isUnrecorded ? .bool(true) : .null),
            ] + members)
        output.leaves.append(document.bytes)
    }

    /// Lets a command go: what stays of it is enough to know its id again.
    mutating func finish(_ id: CommandID, code: RefusalCode? = nil) {
        guard let command = commands.removeValue(forKey: id) else { return }
        let left = max(.zero, command.command.expires - now.utc) + site.settings.longestExpiry
        let done = FinishedCommand(
            id: id, issuer: command.issuer, digest: command.digest, point: command.point, state: command.state,
            code: code, readback: command.readback, expires: command.command.expires,
            forget: Deadline(left, after: now))
        finished.insert(done)
        doubts[id] = nil
        points[command.point]?.waiting.removeAll { $0 == id }
        points[command.point]?.slots.empty(id)
        output.changed.remove(id)
        output.touched.insert(command.point)
        output.record(LedgerRecord(kind: ActiveCommand.recordKind, key: id.description, body: nil))
        output.record(done.record)
        if command.hold != nil { noteDecided(id) }
        planOutcome(command)
    }

    /// The effects of everything since the last call: one commit first, everything else behind it.
    mutating func takeEffects() -> [DeskEffect] {
        for id in output.changed.sorted() {
            if let command = commands[id] { output.record(command.record) }
        }
        for point in output.touched.sorted() {
            guard var control = points[point] else { continue }
            let report = report(point)
            guard report != control.lastReport else { continue }
            control.lastReport = report
            points[point] = control
            if report.isEmpty, site.points[point]?.policy == nil {
                if control.isShown { output.messages.append(.unclaimed(point: point)) }
                continue
            }
            output.messages.append(.slot(report))
            guard !control.isShown else { continue }
            points[point]?.isShown = true
            output.record(LedgerRecord(kind: Self.shownKind, key: point, body: JSONValue.object([]).bytes))
        }
        var effects: [DeskEffect] = []
        if !output.order.isEmpty || !output.leaves.isEmpty {
            let counter = JSONValue.compact([("seq", .integer(seq))])
            output.record(LedgerRecord(kind: Self.counterKind, key: "events", body: counter.bytes))
            let records = output.order.map { key in
                LedgerRecord(kind: key.kind, key: key.key, body: output.bodies[key] ?? nil)
            }
            effects.append(.commit(records, leaves: output.leaves))
        }
        effects += output.messages.map { .publish($0) } + output.actions + output.replies
        output = DeskOutput()
        return effects
    }

    static var counterKind: String { "counter" }
    static var shownKind: String { "shown" }
    static var decidedKind: String { "decided" }

    /// Clears what brokers have of a command that no longer waits for a person. It is remembered for a while: a broker that
    /// is away, or a gateway that dies before it has said so, must not leave it there.
    mutating func noteDecided(_ id: CommandID) {
        output.messages.append(.decided(id))
        guard !decided.contains(id) else { return }
        decided.append(id)
        let body = JSONValue.compact([("time", .stored(now.utc))])
        output.record(LedgerRecord(kind: Self.decidedKind, key: id.description, body: body.bytes))
        guard decided.count > site.limits.decided else { return }
        let oldest = decided.removeFirst()
        output.record(LedgerRecord(kind: Self.decidedKind, key: oldest.description, body: nil))
    }

    mutating func recordRestoration(_ point: String) {
        let record =
            points[point]?.restoration?.record(point: point)
            ?? LedgerRecord(kind: Restoration.recordKind, key: point, body: nil)
        output.record(record)
        output.touched.insert(point)
    }
}
