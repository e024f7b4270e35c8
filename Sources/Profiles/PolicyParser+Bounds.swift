import Model
import Yams

/// What a policy says about values, times and the plant.
extension PolicyParser {
    func positive(_ field: Field, orZero: Bool = false) -> Double? {
        guard let number = field.number() else { return nil }
        guard number > 0 || (orZero && number == 0) else {
            field.fail("\(name): \(field.name) must be \(orZero ? "0 or more" : "above 0"), not \(field.written)")
            return nil
        }
        return number
    }

    func bounds(_ policy: inout Policy, _ fields: Fields, _ points: [(id: String, point: Point)]) {
        policy.low = fields["min"]?.number()
        policy.high = fields["max"]?.number()
        policy.step = fields["step"].flatMap { positive($0) }
        if let low = policy.low, let high = policy.high, low > high {
            fields["min"]?.fail("\(name): min is above max")
        }
        for (id, point) in points {
            guard let rule = point.write else { continue }
            if let low = policy.low, let allowed = rule.low, low < allowed {
                fields["min"]?.fail("\(name): min \(number(low)) is below the \(number(allowed)) that \(id) allows")
            }
            if let high = policy.high, let allowed = rule.high, high > allowed {
                fields["max"]?.fail("\(name): max \(number(high)) is above the \(number(allowed)) that \(id) allows")
            }
            if point.datatype.isNumeric {
                checkSteps(policy.low, fields["min"], isLow: true, id, point)
                checkSteps(policy.high, fields["max"], isLow: false, id, point)
                continue
            }
            for key in ["min", "max", "step"] {
                fields[key]?.fail("\(name): \(key) is for numbers, and \(id) is a \(point.datatype.rawValue)")
            }
        }
    }

    func number(_ number: Double) -> String {
        String(decoding: JSONValue.double(number).bytes, as: UTF8.self)
    }

    // MARK: - When

    func frequency(_ policy: inout Policy, _ fields: Fields) {
        policy.perHour = fields["rate"].flatMap(rate)
        policy.minInterval = fields["min_interval"]?.duration(in: .seconds(1) ... .seconds(7 * 86_400))
        policy.perDay = fields["per_day"]?.integer(in: 1...1000)
    }

    private func rate(_ field: Field) -> Int? {
        guard let text = field.text("a rate such as 4/h") else { return nil }
        guard text.hasSuffix("/h"), let count = Field.integer(text.dropLast(2)), (1...1000).contains(count) else {
            field.fail("rate must be writes in an hour from 1/h to 1000/h, not \(field.written)")
            return nil
        }
        return count
    }

    func hours(_ field: Field) -> HoursWindow? {
        guard let text = field.text("hours such as 06:00-22:00") else { return nil }
        guard let window = HoursWindow(text) else {
            field.fail("hours are written 06:00-22:00 or mon-fri 06:00-22:00, in UTC, not \(field.written)")
            return nil
        }
        return window
    }

    func lease(_ field: Field) -> Policy.LeaseRule? {
        guard let fields = field.fields(["max", "on_end"], required: ["max"]) else { return nil }
        var rule = Policy.LeaseRule(
            longest: fields["max"]?.duration(in: .seconds(1) ... .seconds(30 * 86_400)) ?? .seconds(1800))
        rule.onEnd =
            fields["on_end"]?.choice(Command.LeaseEnd.allCases.map(\.rawValue)).flatMap(
                Command.LeaseEnd.init(rawValue:))
            ?? .fallback
        return rule
    }

    // MARK: - The plant

    /// A mistake in a condition has its own column.
    func condition(_ field: Field) -> Policy.Condition? {
        guard let text = field.text("a condition such as 'pump1/running == true'") else { return nil }
        let expression: Expression
        do { expression = try Expression(text) } catch {
            var place = field.place
            if case .scalar(let scalar) = field.node {
                let quote = scalar.style == .plain || scalar.style == .any ? 0 : 1
                place.column += error.byteOffset + quote
            }
            field.problems.error(place, "\(name): condition '\(text)' \(error)")
            return nil
        }
        guard knowsPoints else { return Policy.Condition(text: text, expression: expression) }
        let known = devices.flatMap { device in device.points.map { "\(device.id)/\($0.name)" } }
        for point in expression.points.sorted() where !known.contains(point) {
            let hint = nearest(point, in: known).map { ", did you mean '\($0)'?" } ?? ""
            field.fail("\(name): no point '\(point)'\(hint); conditions name device/point of this site")
        }
        return Policy.Condition(text: text, expression: expression)
    }

    func evidence(_ field: Field) -> Policy.EvidenceRule? {
        guard
            let fields = field.fields(["points", "max_age", "quality", "count"], required: ["points", "max_age"]),
            let maxAge = fields["max_age"]?.duration(in: .seconds(1) ... .seconds(86_400))
        else { return nil }
        let points = (fields["points"]?.list(allowed: "device/point", single: true) ?? []).compactMap {
            $0.text("device/point")
        }
        let known = devices.flatMap { device in device.points.map { "\(device.id)/\($0.name)" } }
        if knowsPoints {
            for point in points where !known.contains(where: { PointPattern.matches(point, $0) }) {
                let hint = nearest(point, in: known).map { ", did you mean '\($0)'?" } ?? ""
                fields["points"]?.fail("\(name): no point matches '\(point)'\(hint)")
            }
        }
        return Policy.EvidenceRule(
            points: points, maxAge: maxAge,
            quality: fields["quality"]?.choice(["good", "uncertain"]) == "uncertain" ? .uncertain : .good,
            count: fields["count"]?.integer(in: 1...64) ?? 1)
    }

    // MARK: - Fallback

    /// A value or label that every covered point takes, `previous` or `hold`.
    func fallback(_ field: Field, _ policy: Policy, _ points: [(id: String, point: Point)]) -> Policy.Fallback? {
        guard case .scalar(let scalar) = field.node else {
            field.fail("fallback must be a value, previous or hold, not \(field.written)")
            return nil
        }
        if scalar.string == "previous" { return .previous }
        if scalar.string == "hold" { return .hold }
        guard !points.isEmpty else { return .value(Self.literal(scalar.string) ?? .null) }
        var values: Set<PointValue> = []
        for (id, point) in points {
            do throws(Point.NoValue) {
                let value = try point.value(writtenAs: scalar.string)
                check(value, field, policy, id, point)
                values.insert(value)
            } catch {
                fallbackMisfit(field, scalar.string, id, point, error)
            }
        }
        guard values.count <= 1 else {
            let codes = values.map(\.plain).sorted().joined(separator: " and ")
            field.fail("\(name): fallback \(field.written) is \(codes) by point; write the code, or a policy for each")
            return nil
        }
        return values.first.map { .value($0) }
    }

    private static func literal(_ text: String) -> PointValue? {
        if text == "true" || text == "false" { return .bool(text == "true") }
        return DecimalNumber(text).flatMap { JSONValue.number($0).pointValue }
    }

    private func fallbackMisfit(_ field: Field, _ text: String, _ id: String, _ point: Point, _ error: Point.NoValue) {
        if Self.literal(text) != nil, point.enumeration.isEmpty {
            field.fail("\(name): fallback \(field.written) does not fit \(id), which is a \(point.datatype.rawValue)")
        } else if point.enumeration.isEmpty {
            field.fail("fallback must be a value, previous or hold, not \(field.written)")
        } else {
            field.fail("\(name): fallback of \(id): \(error.reason)")
        }
    }

    private func check(_ value: PointValue, _ field: Field, _ policy: Policy, _ id: String, _ point: Point) {
        let isBool = if case .bool = value { true } else { false }
        guard isBool == (point.datatype == .bool), point.datatype != .string else {
            return field.fail(
                "\(name): fallback \(field.written) does not fit \(id), which is a \(point.datatype.rawValue)")
        }
        guard !isBool, let number = held(fallback: value, field, id, point)?.number else { return }
        let low = [policy.low, point.write?.low].compactMap { $0 }.max() ?? -.infinity
        let high = [policy.high, point.write?.high].compactMap { $0 }.min() ?? .infinity
        if number < low || number > high {
            field.fail("\(name): fallback \(field.written) is outside of what the policy and \(id) allow")
        }
    }
}
