import Model

/// Reads the `watchdog` of a profile.
struct WatchdogParser {
    let points: [Point]
    let profile: String

    private static let periods: ClosedRange<Duration> = .milliseconds(100) ... .seconds(600)

    func parse(_ field: Field) -> DeviceWatchdog? {
        guard
            let fields = field.fields(
                ["point", "every", "values", "value", "covers"], required: ["point", "every", "values"]),
            let point = fields["point"].flatMap(target), let every = fields["every"]?.duration(in: Self.periods),
            let values = fields["values"].flatMap({ values($0, fields["value"], point, field) })
        else { return nil }
        let covered = fields["covers"].map { field in
            (field.list(allowed: "names of points", single: true) ?? []).compactMap { self.covered($0, point) }
        }
        return DeviceWatchdog(point: point.name, every: every, values: values, covered: covered)
    }

    private func find(_ field: Field) -> Point? {
        guard let name = field.text("the name of a point") else { return nil }
        if let point = points.first(where: { $0.name == name }) { return point }
        let hint = nearest(name, in: points.map(\.name)).map { ", did you mean '\($0)'?" } ?? ""
        field.fail("watchdog: \(field.name) names no point '\(name)'\(hint)")
        return nil
    }

    private func target(_ field: Field) -> Point? {
        guard let point = find(field) else { return nil }
        guard let rule = point.write else {
            field.fail("watchdog: \(point.name) cannot be written; give it write: {mode: single}")
            return nil
        }
        let isSequence = !rule.unlock.isEmpty || !rule.commit.isEmpty
        guard point.datatype != .string, point.scaleReference == nil, !isSequence, rule.boundPoints.isEmpty,
            SetpointPlan(point, of: points)?.readsBeforeWriting == false
        else {
            field.fail(
                "watchdog: \(point.name) must be written by one request of its own: no text, no bits that share a register (unless mode: mask), no scale_from, no unlock or commit, no bounds that the device holds"
            )
            return nil
        }
        return point
    }

    private func covered(_ field: Field, _ watchdog: Point) -> String? {
        guard let point = find(field) else { return nil }
        guard point.write != nil, point.name != watchdog.name else {
            field.fail("watchdog: covers names points that can be written, and not itself; \(point.name) is none")
            return nil
        }
        return point.name
    }

    private func values(_ field: Field, _ value: Field?, _ point: Point, _ root: Field) -> DeviceWatchdog.Values? {
        let choice = field.choice(["toggle", "count", "constant"])
        if choice != "constant", choice != nil, let value {
            value.fail("watchdog: value is for values: constant")
            return nil
        }
        switch choice {
        case "toggle":
            let allowed = [0, 1].allSatisfy { takes(point.datatype == .bool ? .bool($0 == 1) : .int($0), point) }
            guard allowed else {
                field.fail("watchdog: \(point.name) does not take 0 and 1")
                return nil
            }
            return .toggle
        case "count":
            let low = Int64(clamping: min(32_767, max(0, point.write?.low ?? 0)).rounded(.up))
            let high = Int64(clamping: max(0, min(32_767, point.write?.high ?? 32_767)).rounded(.down))
            guard point.datatype.isNumeric, point.datatype != .bool, high > low, takes(.int(low), point),
                takes(.int(high), point)
            else {
                field.fail("watchdog: \(point.name) cannot count from \(low) to \(high); bound it by write: {min, max}")
                return nil
            }
            return .count(first: low, last: high)
        case "constant":
            guard let value else {
                root.fail("watchdog: the key 'value' is missing, which values: constant needs")
                return nil
            }
            return constant(value, point)
        case _: return nil
        }
    }

    private func constant(_ field: Field, _ point: Point) -> DeviceWatchdog.Values? {
        let value: PointValue?
        if point.datatype == .bool {
            value = field.bool().map { .bool($0) }
        } else {
            value = field.decimal().flatMap { JSONValue.number($0.trimmed).pointValue }
        }
        guard let value else { return nil }
        guard takes(value, point) else {
            field.fail("watchdog: \(point.name) does not take \(field.written)")
            return nil
        }
        return .constant(value)
    }

    private func takes(_ value: PointValue, _ point: Point) -> Bool {
        guard let plan = SetpointPlan(point, of: points), plan.objection(to: value) == nil else { return false }
        return (try? plan.encode(value, scale: nil)) != nil
    }
}
