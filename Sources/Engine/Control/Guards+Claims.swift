package import Model

/// What a command says about the plant: readings that it rests on, and changes that it foretells.
extension Guards {
    /// What is given as evidence are readings that were published; where the policy asks a machine for some, also recent
    /// enough and good enough.
    package static func evidence(_ context: GuardContext) -> GuardVerdict {
        var inputs: [(String, JSONValue)] = []
        var finding = GuardVerdict.Finding.pass
        for item in context.command.evidence {
            guard let objection = objection(to: item, context) else { continue }
            inputs.append((item.point, .string(objection)))
            finding = .refuse(.evidenceBad)
        }
        guard let rule = context.policy?.evidence, !context.isPerson else {
            return verdict("evidence", finding, inputs)
        }
        let relevant = context.command.evidence.filter { item in
            rule.points.contains { PointPattern.matches($0, item.point) }
        }
        inputs = [("needed", .integer(rule.count)), ("max_age_s", .seconds(rule.maxAge))] + inputs
        finding = max(finding, refusing(relevant.count < rule.count, .evidenceStale))
        for item in relevant {
            guard case .found(let sample) = context.readings.claim(item) else {
                finding = max(finding, .refuse(.evidenceStale))
                continue
            }
            let age = context.now.utc - sample.time
            inputs.append((item.point, .seconds(age)))
            finding = max(finding, refusing(age > rule.maxAge, .evidenceStale))
            finding = max(finding, refusing(sample.reasons.quality > rule.quality, .evidenceBad))
        }
        return verdict("evidence", finding, inputs)
    }

    /// Why a piece of evidence is made up; nil where it is not, or too old to be told.
    private static func objection(to item: Command.Evidence, _ context: GuardContext) -> String? {
        guard let point = context.named[item.point] else { return "no such point" }
        switch context.readings.claim(item) {
        case .unknown: return nil
        case .never: return "no such reading: epoch \(item.epoch), n \(item.number)"
        case .found(let sample):
            guard let claimed = item.value, !isPublished(claimed, sample.value, deadband: point.deadband ?? 0) else {
                return nil
            }
            let shown = String(decoding: JSONValue(sample.value).bytes, as: UTF8.self)
            return "n \(item.number) was \(shown)"
        }
    }

    /// Whether `claimed` is what was published as `value`. Within the deadband the first value under a number is not always
    /// known.
    private static func isPublished(_ claimed: PointValue, _ value: PointValue, deadband: Double) -> Bool {
        let (left, right) = (JSONValue(claimed), JSONValue(value))
        if left == right || claimed == value { return true }
        if claimed.isInteger, value.isInteger, deadband < 1 { return false }
        guard let first = left.double, let second = right.double else { return false }
        return abs(first - second) <= max(deadband, max(abs(first), abs(second)) * 1e-6)
    }

    /// A change is foretold of a point that is here, in its unit: nothing is converted, and an outcome in two units is none.
    package static func expected(_ context: GuardContext) -> GuardVerdict {
        var inputs: [(String, JSONValue)] = []
        var finding = GuardVerdict.Finding.pass
        for change in context.command.rationale?.expected ?? [] {
            guard let point = context.named[change.point] else {
                inputs.append((change.point, .string("no such point")))
                finding = max(finding, .refuse(.unknownPoint))
                continue
            }
            guard let unit = change.unit, unit != point.unit else { continue }
            inputs.append((change.point, .string("is in \(point.unit), not in \(unit)")))
            finding = max(finding, .refuse(.badUnit))
        }
        return verdict("expected", finding, inputs)
    }
}
