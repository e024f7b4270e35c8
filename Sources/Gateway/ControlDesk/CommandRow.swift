import Engine
import Model

/// Everything that the ledger says of one command, gathered entry by entry: what was known, recommended, decided, done, and
/// what came of it.
struct CommandRow {
    let id: String
    let point: String
    private let issuer: JSONValue
    private let isSigned: Bool
    /// Who was at the local socket.
    private let account: JSONValue
    private let request: JSONValue
    private let received: JSONValue
    private var guards: JSONValue = .null
    private var verdict: (state: CommandState, event: JSONValue)?
    /// Entries of the kind `decision`, oldest first.
    private var decisions: [JSONValue] = []
    private var executed: JSONValue?
    private var verified: JSONValue?
    private var last: JSONValue
    private var outcome: JSONValue?
    private var intervention: JSONValue?

    /// - Parameter entry: of the kind `command`, the one that carries the request; nil for any other.
    init?(_ entry: JSONValue) {
        guard let request = entry["request"], let event = entry["event"], let id = event["id"]?.text else { return nil }
        self.id = id
        self.request = request
        point = event.shown("point")
        issuer = entry["issuer"] ?? .null
        isSigned = entry["signed"]?.isTrue ?? false
        account = entry["account"] ?? .null
        received = event["time"] ?? .null
        last = event
    }

    /// When it was received.
    var time: UnixTime? { received.text.flatMap { UnixTime(rfc3339: $0) } }

    mutating func take(event: JSONValue) {
        last = event
        // The guards run again before the write: what a decision rests on are those of the first time.
        if guards == .null { guards = event["guards"] ?? .null }
        guard let state = event["state"]?.text.flatMap(CommandState.init(rawValue:)) else { return }
        switch state {
        case .rejected, .shadowed, .approved, .denied, .expired, .cancelled:
            if verdict == nil { verdict = (state, event) }
        case .executing: executed = event
        case .verified: verified = verified ?? event
        case .superseded: if executed == nil, verdict == nil { verdict = (state, event) }
        case .received, .held, .written, .failed, .indeterminate, .preempted, .overridden, .released, .reverting,
            .reverted, .revertFailed:
            return
        }
    }

    mutating func take(intervention: JSONValue) { self.intervention = self.intervention ?? intervention }

    /// What the person at the device, or somebody for that person, said afterwards; the last word counts.
    mutating func take(explanation: JSONValue) {
        guard let intervention, intervention["kind"]?.text == Intervention.Kind.overridden.rawValue else { return }
        let kept = intervention.members.filter { !["reason", "note"].contains($0.key) }
        self.intervention = .object(
            kept + ["reason", "note"].compactMap { key in explanation[key].map { .init(key, $0) } })
    }

    mutating func take(decision: JSONValue) { decisions.append(decision) }

    mutating func take(outcome: JSONValue) { self.outcome = outcome }

    // MARK: - As a document

    /// `command_row/1`, see `headgate command export --help`.
    var document: JSONValue {
        .compact([
            ("schema", .string("command_row/1")), ("id", .string(id)), ("point", .string(point)), ("issuer", issuer),
            ("signed", .bool(isSigned)), ("account", account), ("state", stateDocument), ("recommendation", request),
            ("decision", decisionDocument), ("action", actionDocument),
            ("intervention", intervention ?? .null), ("outcome", outcomeDocument),
        ])
    }

    private var stateDocument: JSONValue {
        .compact([("time", received), ("evidence", request["evidence"] ?? .null), ("guards", guards)])
    }

    private var decisionDocument: JSONValue {
        guard let verdict else { return .null }
        let deciding = decisions.last
        // Who called it off without a decision about it said why all the same.
        let own = verdict.state == .cancelled ? intervention : nil
        return .compact([
            ("state", .string(verdict.state.rawValue)), ("code", verdict.event["code"] ?? .null),
            ("time", verdict.event["time"] ?? .null),
            ("by", decisions.isEmpty ? .null : .array(decisions.compactMap { $0["by"] })),
            ("reason", deciding?["reason"] ?? own?["reason"] ?? .null),
            ("note", deciding?["note"] ?? own?["note"] ?? verdict.event["note"] ?? .null),
            ("after_s", seconds(until: verdict.event["time"])),
        ])
    }

    private func seconds(until end: JSONValue?) -> JSONValue {
        guard let start = time, let end = end?.text.flatMap({ UnixTime(rfc3339: $0) }) else { return .null }
        return .number(DecimalNumber(mantissa: (end - start).milliseconds, exponent: -3).trimmed)
    }

    private var actionDocument: JSONValue {
        guard let executed else { return .null }
        return .compact([
            ("time", executed["time"] ?? .null), ("value", executed["value"] ?? .null),
            ("asked", executed["asked"] ?? .null),
            ("verified", verified?["time"] ?? .null),
            ("readback", verified?["readback"] ?? last["readback"] ?? .null), ("state", last["state"] ?? .null),
            ("code", last["code"] ?? .null), ("actor", last["actor"] ?? .null), ("note", last["note"] ?? .null),
            ("since", last["time"] ?? .null),
        ])
    }

    private var outcomeDocument: JSONValue {
        guard let outcome else { return .null }
        let kept: Set<String> = ["anchor", "horizon", "measures", "confounders", "usable", "objections"]
        return .object(outcome.members.filter { kept.contains($0.key) })
    }
}

// MARK: - As CSV

extension CommandRow {
    static let columns = [
        "id", "point", "issuer", "category", "signed", "received", "action", "mode", "value", "unit", "recommendation",
        "confidence", "propensity", "decision", "decision_code", "decided", "decided_by", "reason", "after_s",
        "written", "readback", "verified", "state", "code", "since", "measure", "measure_unit", "expected", "before",
        "after", "observed", "coverage_before", "coverage_after", "usable", "objections", "intervention",
        "intervention_by", "intervention_reason", "intervention_note", "intervention_time", "intervention_after_s",
        "user",
    ]

    /// One line for each expected change, one where none was foretold.
    var lines: [[String]] {
        let measures = outcome?["measures"]?.elements ?? []
        return (measures.isEmpty ? [.null] : measures).map { head + cells($0) + tail }
    }

    /// The names of the value that was asked for and of the one that was read back.
    func labels(_ names: PointLabels) -> [String] {
        [request["value"], actionDocument["readback"]].map { names.label($0?.pointValue, of: point) }
    }

    private var head: [String] {
        let decision = decisionDocument
        let rationale = request["rationale"] ?? .null
        return [
            id, point, issuer.shown, request["origin"]?.shown("category") ?? "", isSigned ? "true" : "false",
            received.shown, request.shown("action"), request.shown("mode"), request.shown("value"),
            request.shown("unit"), request.shown("recommendation"), rationale.shown("confidence"),
            rationale.shown("propensity"), decision.shown("state"), decision.shown("code"), decision.shown("time"),
            Self.joined(decision["by"]), decision.shown("reason"), decision.shown("after_s"),
            actionDocument.shown("time"), actionDocument.shown("readback"), actionDocument.shown("verified"),
            last.shown("state"), last.shown("code"), last.shown("time"),
        ]
    }

    private func cells(_ measure: JSONValue) -> [String] {
        ["point", "unit", "expected", "before", "after", "observed", "coverage_before", "coverage_after"].map {
            measure.shown($0)
        } + [outcome?.shown("usable") ?? "", Self.joined(outcome?["objections"])]
    }

    private var tail: [String] {
        ["kind", "by", "reason", "note", "time", "after_s"].map { intervention?.shown($0) ?? "" }
            + [(account["user"] ?? account["uid"])?.shown ?? ""]
    }

    private static func joined(_ list: JSONValue?) -> String {
        (list?.elements ?? []).compactMap(\.text).joined(separator: " ")
    }
}
