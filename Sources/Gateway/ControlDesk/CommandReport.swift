package import Model

/// What became of a command: its events, or what the audit log has of it, in their order.
package struct CommandReport: Sendable {
    package let id: CommandID
    /// `event/1` as it happens, `audit/1` afterwards; oldest first.
    package let events: [JSONValue]
    private let steps: [CommandStepLine]

    package init(id: CommandID, events: [JSONValue]) {
        self.id = id
        self.events = events
        steps = events.compactMap { CommandStepLine($0, of: id) }
    }

    /// Nil when nothing was heard of it.
    package var state: CommandState? { last?["state"]?.text.flatMap(CommandState.init(rawValue:)) }

    private var last: JSONValue? { steps.last { $0.event != nil }?.event }

    /// Whether the command got where such a command can get: verified, written where nothing confirms a write, shadowed, or
    /// waiting for a person. One that writes nothing itself ends as approved.
    package func isDone(_ action: Command.Action) -> Bool {
        switch state {
        case .verified, .shadowed, .held: true
        case .approved: action != .set
        case .written: last?["code"]?.text == RefusalCode.unverified.rawValue
        case .received, .rejected, .denied, .expired, .cancelled, .executing, .failed, .indeterminate,
            .superseded, .preempted, .overridden, .released, .reverting, .reverted, .revertFailed, nil:
            false
        }
    }

    /// How it stands, in one or more lines: the state, and why not further.
    package var verdict: String {
        guard let last, let state else { return "nothing was heard of \(id) yet" }
        guard let code = last["code"]?.text else { return ending(state, last) }
        let sentence = RefusalCode(rawValue: code)?.sentence ?? "see the documentation of this version"
        let note = last["note"].map { " (\(TextTable.safe($0.shown)))" } ?? ""
        let causes = Rehearsal(id: id, guards: last["guards"]?.elements ?? []).refusals
        return (["\(state.rawValue), \(code): \(sentence)\(note)"] + causes).joined(separator: "\n")
    }

    private func ending(_ state: CommandState, _ last: JSONValue) -> String {
        let note = last["note"].map { ": \(TextTable.safe($0.shown))" } ?? ""
        return switch state {
        case .held: "held: a person must decide; headgate command approve \(id)"
        case .shadowed: "shadowed: every verdict is recorded, nothing was written"
        case .verified:
            "verified: the device holds \(TextTable.safe((last["readback"] ?? last["value"])?.shown ?? "it"))"
        case .received, .executing, .written, .indeterminate:
            "\(state.rawValue): not finished yet; headgate command show \(id)"
        case .approved, .rejected, .denied, .expired, .cancelled, .failed, .superseded, .preempted, .overridden,
            .released, .reverting, .reverted, .revertFailed:
            state.rawValue + note
        }
    }

    /// The events as a table, for people.
    package var text: String {
        var table = TextTable(["TIME", "STEP", "CODE", "WHO", "VALUE", "READ BACK", "NOTE"])
        for step in steps { table.add(step.cells) }
        let point = last.map { TextTable.safe($0.shown("point")) } ?? ""
        let digest = events.first { $0["from"] == nil && $0["digest"] != nil }.map { "digest \($0.shown("digest"))" }
        return (["\(id)  \(point)", digest].compactMap { $0 } + table.lines).joined(separator: "\n")
    }

    /// `{"id":…,"events":[…]}`
    package var json: [UInt8] {
        JSONValue.object([.init("id", .string(id.description)), .init("events", .array(events))]).bytes
    }
}
