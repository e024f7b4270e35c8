package import Model

/// A command whose effect is to be judged at its horizon.
package struct OutcomePlan: Hashable, Sendable {
    package static let recordKind = "outcome"

    /// Another command that took effect in the meantime.
    package struct Confounder: Hashable, Sendable {
        package var id: CommandID
        package var point: String
        package var time: UnixTime

        package init(id: CommandID, point: String, time: UnixTime) {
            self.id = id
            self.point = point
            self.time = time
        }
    }

    package var command: Command
    package var issuer: String
    package var lane: Lane?
    /// Where the command ended or stood when it took effect: `verified`, `shadowed`, `denied`, …
    package var state: CommandState
    package var received: UnixTime
    package var deciders: [String]
    package var decided: UnixTime?
    /// What was written, and the value of the request where the registers hold another.
    package var value: PointValue?
    package var asked: PointValue?
    package var readback: PointValue?
    /// When it took effect, or would have: the windows lie before and after.
    package var anchor: UnixTime
    package var horizon: UnixTime
    /// Whether it was in effect until the horizon; says why not.
    package var endedEarly: String?
    package var confounders: [Confounder] = []
    package var intervention: Intervention?

    /// Whether it took effect without anything that confirms it.
    package var isUnverified: Bool { state == .written }
}

/// How one expected change came out.
package struct OutcomeMeasure: Hashable, Sendable {
    package var point: String
    package var unit: String?
    package var expected: Double
    /// Means over the windows, nil without a good reading in them.
    package var before: Double?
    package var after: Double?
    /// Shares of the windows in which the value was known to be good.
    package var coverageBefore: Double
    package var coverageAfter: Double

    package var observed: Double? {
        guard let before, let after else { return nil }
        return after - before
    }
}

/// What became of a command (`outcome/1`).
package struct Outcome: Hashable, Sendable {
    package var plan: OutcomePlan
    package var measures: [OutcomeMeasure]
    /// Why the row is no good for training; empty when it is.
    package var objections: [String]

    package var isUsable: Bool { objections.isEmpty }

    package var document: JSONValue {
        let command = plan.command
        let wait = plan.decided.map { $0 - plan.received }
        return .compact([
            ("schema", .string("outcome/1")), ("id", .string(command.id.description)),
            ("point", .string(command.point)), ("issuer", .string(plan.issuer)),
            ("lane", .optional(plan.lane?.rawValue)), ("recommendation", .optional(command.recommendation)),
            ("command", command.document), ("state", .string(plan.state.rawValue)),
            ("deciders", .texts(plan.deciders)), ("decided", .time(plan.decided)),
            ("time_to_decision_s", .seconds(wait)), ("reason", .optional(plan.intervention?.reason?.rawValue)),
            ("intervention", plan.intervention?.document ?? .null), ("value", .value(plan.value ?? command.value)),
            ("asked", .value(plan.asked)), ("readback", .value(plan.readback)),
            ("result", plan.isUnverified ? .string("written_unverified") : .null), ("anchor", .time(plan.anchor)),
            ("horizon", .time(plan.horizon)),
            ("measures", .array(measures.map(\.document))),
            (
                "confounders",
                plan.confounders.isEmpty
                    ? .null
                    : .array(
                        plan.confounders.map {
                            .compact([
                                ("id", .string($0.id.description)), ("point", .string($0.point)),
                                ("time", .time($0.time)),
                            ])
                        })
            ),
            ("usable", .bool(isUsable)), ("objections", .texts(objections)),
        ])
    }
}

extension OutcomeMeasure {
    var document: JSONValue {
        .compact([
            ("point", .string(point)), ("unit", .optional(unit)), ("expected", .double(expected)),
            ("before", .optional(before)), ("after", .optional(after)), ("observed", .optional(observed)),
            ("coverage_before", .double(coverageBefore)), ("coverage_after", .double(coverageAfter)),
        ])
    }
}
