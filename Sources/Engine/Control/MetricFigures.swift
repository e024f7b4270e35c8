package import Model

/// Figures of some commands.
package struct MetricFigures: Sendable {
    package var received = 0
    package var rejected = 0
    package var shadowed = 0
    package var held = 0
    package var approved = 0
    package var denied = 0
    /// Nobody decided in time.
    package var timedOut = 0
    package var verified = 0
    package var failed = 0
    package var overridden = 0
    package var exceptions = 0
    package var openExceptions = 0
    package var outcomes = 0
    package var usableOutcomes = 0
    /// Got far enough for an outcome, without one; and those whose time has not come.
    package var withoutOutcome = 0
    package var pendingOutcomes = 0
    package var denialReasons: [String: Int] = [:]
    package var overrideReasons: [String: Int] = [:]
    package var decisionTimes: [Duration] = []
    package var overrideTimes: [Duration] = []
    package var resolutionTimes: [Duration] = []

    /// How long after the horizon an outcome may take: readings are journaled, and asked for again after a minute.
    private static let outcomeGrace: Duration = .seconds(180)
    private static let withoutReason = "none"

    mutating func add(_ trace: CommandTrace, now: UnixTime) {
        received += 1
        if trace.state == .rejected { rejected += 1 }
        if trace.state == .shadowed { shadowed += 1 }
        if trace.wasHeld { held += 1 }
        if trace.isTimedOut { timedOut += 1 }
        if trace.tookEffect != nil { verified += 1 }
        if trace.state == .failed { failed += 1 }
        if let decision = trace.decision {
            if decision.isApproval { approved += 1 } else { denied += 1 }
            decisionTimes.append(max(.zero, decision.time - trace.received))
            if !decision.isApproval { denialReasons[trace.reason ?? Self.withoutReason, default: 0] += 1 }
        }
        if trace.tookEffect != nil, trace.interventionKind?.isOverride ?? false {
            overridden += 1
            overrideReasons[trace.reason ?? Self.withoutReason, default: 0] += 1
            if let after = trace.overriddenAfter { overrideTimes.append(after) }
        }
        addException(trace)
        addOutcome(trace, now: now)
    }

    private mutating func addException(_ trace: CommandTrace) {
        guard let since = trace.exceptionSince else { return }
        exceptions += 1
        if let resolved = trace.resolved {
            resolutionTimes.append(max(.zero, resolved - since))
        } else {
            openExceptions += 1
        }
    }

    private mutating func addOutcome(_ trace: CommandTrace, now: UnixTime) {
        if let isUsable = trace.isUsable {
            outcomes += 1
            if isUsable { usableOutcomes += 1 }
        } else if let anchor = trace.anchor {
            let due = trace.foretold.map { anchor + $0 + Self.outcomeGrace }
            if let due, due > now { pendingOutcomes += 1 } else { withoutOutcome += 1 }
        }
    }

    package var acceptance: Double? { Self.share(approved, of: approved + denied) }
    package var denial: Double? { Self.share(denied, of: approved + denied) }
    package var overrideShare: Double? { Self.share(overridden, of: verified) }
    package var outcomeShare: Double? { Self.share(outcomes, of: outcomes + withoutOutcome) }

    private static func share(_ part: Int, of whole: Int) -> Double? {
        whole > 0 ? (Double(part) / Double(whole) * 10_000).rounded() / 10_000 : nil
    }

    /// Members of `metrics/1`, see docs/for-ai-teams.md.
    package var members: [(String, JSONValue)] {
        [
            ("received", .integer(received)), ("rejected", .integer(rejected)), ("shadowed", .integer(shadowed)),
            ("held", .integer(held)), ("approved", .integer(approved)), ("denied", .integer(denied)),
            ("timed_out", .integer(timedOut)), ("verified", .integer(verified)), ("failed", .integer(failed)),
            ("overridden", .integer(overridden)), ("acceptance", .optional(acceptance)), ("denial", .optional(denial)),
            ("denial_reasons", Self.counts(denialReasons)), ("time_to_decision_s", Self.spread(decisionTimes)),
            ("override", .optional(overrideShare)), ("override_reasons", Self.counts(overrideReasons)),
            ("override_after_s", Self.spread(overrideTimes)), ("exceptions", .integer(exceptions)),
            ("exceptions_open", .integer(openExceptions)), ("resolution_s", Self.spread(resolutionTimes)),
            ("outcomes", .integer(outcomes)), ("outcomes_usable", .integer(usableOutcomes)),
            ("outcomes_pending", .integer(pendingOutcomes)), ("outcome_share", .optional(outcomeShare)),
        ]
    }

    private static func counts(_ counts: [String: Int]) -> JSONValue {
        counts.isEmpty
            ? .null : .object(counts.sorted { $0.key < $1.key }.map { .init($0.key, .integer($0.value)) })
    }

    /// Null for none. The median and the ninth decile are of the values themselves, not between them.
    private static func spread(_ durations: [Duration]) -> JSONValue {
        guard !durations.isEmpty else { return .null }
        let sorted = durations.sorted()
        func seconds(_ share: Double) -> JSONValue {
            .seconds(sorted[min(sorted.count - 1, Int(clamping: (Double(sorted.count) * share).rounded(.up)) - 1)])
        }
        return .compact([
            ("n", .integer(sorted.count)), ("median", seconds(0.5)), ("p90", seconds(0.9)), ("max", seconds(1)),
        ])
    }
}

/// `metrics/1`.
package struct MetricsReport: Sendable {
    package struct Key: Hashable, Sendable {
        package var issuer: String
        package var point: String
    }

    package var since: UnixTime
    package var until: UnixTime
    /// From when on no command is missing.
    package var completeFrom: UnixTime
    package var total: MetricFigures
    package var rows: [(key: Key, value: MetricFigures)]

    package var document: JSONValue {
        .compact([
            ("schema", .string("metrics/1")), ("since", .time(since)), ("until", .time(until)),
            ("complete_from", .time(completeFrom)), ("total", .compact(total.members)),
            (
                "rows",
                .array(
                    rows.map { row in
                        .compact(
                            [("issuer", .string(row.key.issuer)), ("point", .string(row.key.point))]
                                + row.value.members)
                    })
            ),
        ])
    }
}
