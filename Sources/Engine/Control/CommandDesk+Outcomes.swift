import Model

/// What commands brought about.
extension CommandDesk {
    /// Starts to wait for the outcome of a command that foretold something and got as far as a decision.
    mutating func planOutcome(_ command: ActiveCommand) {
        let id = command.id
        if outcomes[id] != nil {
            endEarly(command)
            return
        }
        guard command.command.action == .set, [.shadowed, .denied].contains(command.state) else { return }
        addOutcome(command, anchor: now.utc)
    }

    mutating func addOutcome(_ command: ActiveCommand, anchor: UnixTime) {
        guard let longest = command.command.rationale?.expected.map(\.within).max() else { return }
        var counts: [String: Int] = [:]
        for plan in outcomes.values { counts[plan.issuer, default: 0] += 1 }
        let limits = site.limits
        guard hasRoom(for: command.issuer, counts, limits.outcomes, most: limits.outcomesPerIssuer) else {
            figures.outcomesDropped += 1
            return
        }
        let lane = site.issuers[command.issuer].map { lanes.lane(of: $0, at: command.point) }
        let plan = OutcomePlan(
            command: command.command, issuer: command.issuer, lane: lane, state: command.state,
            received: command.received, deciders: command.deciders, decided: command.decided,
            value: command.value, asked: command.asked, readback: command.readback, anchor: anchor,
            horizon: anchor + longest, intervention: command.intervention)
        outcomes[command.id] = plan
        record(plan)
    }

    /// A command that took effect confounds the outcomes that are still awaited, and begins to wait for its own.
    mutating func noteConfounder(_ command: ActiveCommand) {
        for (id, plan) in outcomes where id != command.id && plan.confounders.count < 16 {
            outcomes[id]?.confounders.append(
                OutcomePlan.Confounder(id: command.id, point: command.point, time: now.utc))
            if let changed = outcomes[id] { record(changed) }
        }
        addOutcome(command, anchor: now.utc)
    }

    /// The command lost the point before its horizon.
    private mutating func endEarly(_ command: ActiveCommand) {
        guard outcomes[command.id]?.endedEarly == nil else { return }
        outcomes[command.id]?.endedEarly = command.state.rawValue
        if let plan = outcomes[command.id] { record(plan) }
    }

    mutating func collectOutcomes() {
        for (_, plan) in outcomes.sorted(by: { $0.key < $1.key }) where plan.horizon <= now.utc {
            // Asked for again when nobody answers within a minute.
            outcomes[plan.command.id]?.horizon = now.utc + .seconds(60)
            output.actions.append(.collect(plan))
        }
    }

    mutating func take(_ outcome: Outcome) {
        let id = outcome.plan.command.id
        guard outcomes.removeValue(forKey: id) != nil else { return }
        output.record(LedgerRecord(kind: OutcomePlan.recordKind, key: id.description, body: nil))
        leaf("outcome", [("outcome", outcome.document)])
        output.messages.append(.outcome(outcome))
    }

    private mutating func record(_ plan: OutcomePlan) {
        output.record(plan.record)
    }
}

extension OutcomePlan {
    var record: LedgerRecord {
        let document = JSONValue.compact([
            ("command", command.document), ("issuer", .string(issuer)), ("lane", .optional(lane?.rawValue)),
            ("state", .string(state.rawValue)), ("received", .stored(received)), ("deciders", .texts(deciders)),
            ("decided", .stored(decided)), ("value", .stored(value)), ("asked", .stored(asked)),
            ("readback", .stored(readback)), ("anchor", .stored(anchor)),
            ("horizon", .stored(horizon)), ("ended_early", .optional(endedEarly)),
            ("intervention", intervention?.record ?? .null),
            (
                "confounders",
                .array(
                    confounders.map {
                        .compact([
                            ("id", .string($0.id.description)), ("point", .string($0.point)),
                            ("time", .stored($0.time)),
                        ])
                    })
            ),
        ])
        return LedgerRecord(kind: Self.recordKind, key: command.id.description, body: document.bytes)
    }

    init(record: JSONValue) throws(RecordError) {
        guard let document = record["command"] else { throw RecordError("command") }
        let command: Command
        do { command = try Command(document: document) } catch { throw RecordError(error.message) }
        guard let state = record["state"]?.text.flatMap(CommandState.init(rawValue:)) else {
            throw RecordError("state")
        }
        self.init(
            command: command, issuer: try record.requiredText("issuer"),
            lane: record["lane"]?.text.flatMap(Lane.init(rawValue:)), state: state,
            received: try record.requiredTime("received"),
            deciders: record["deciders"]?.elements.compactMap(\.text) ?? [], decided: record.time("decided"),
            value: record.storedValue("value"), asked: record.storedValue("asked"),
            readback: record.storedValue("readback"), anchor: try record.requiredTime("anchor"),
            horizon: try record.requiredTime("horizon"), endedEarly: record["ended_early"]?.text)
        if let intervention = record["intervention"] { self.intervention = try Intervention(record: intervention) }
        for item in record["confounders"]?.elements ?? [] {
            guard let id = item["id"]?.text.flatMap(CommandID.init) else { throw RecordError("confounders") }
            confounders.append(
                Confounder(id: id, point: try item.requiredText("point"), time: try item.requiredTime("time")))
        }
    }
}
