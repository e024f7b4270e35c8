package import Model

/// Reads the `tests` of a profile.
struct GoldenTestParser {
    let problems: ProblemList
    /// The names of all copies of each repeated point, by its name with `{n}`.
    var copies: [String: [String]] = [:]

    func parse(_ field: Field?) -> [GoldenTest] {
        (field?.list(allowed: "{registers, expect}") ?? []).compactMap { item in
            guard let fields = item.fields(["registers", "expect", "title"], required: ["registers", "expect"]),
                let registers = fields["registers"], let expect = fields["expect"]
            else { return nil }
            return GoldenTest(
                registers: self.registers(registers), expectations: expectations(expect), line: item.place.line)
        }
    }

    private func registers(_ field: Field) -> [RegisterTable: [UInt16: UInt16]] {
        var tables: [RegisterTable: [UInt16: UInt16]] = [:]
        guard let fields = field.fields(RegisterTable.allCases.map(\.rawValue)) else { return tables }
        for (name, runs) in fields.byKey {
            guard let table = RegisterTable(rawValue: name) else { continue }
            for (key, keyField, words) in runs.members(allowed: "address: [words]") ?? [] {
                guard let start = Field.integer(key), (0...65_535).contains(start) else {
                    keyField.fail("an address from 0 to 65535 is needed, not '\(key)'")
                    continue
                }
                for (offset, word) in (words.list(allowed: "words", single: true) ?? []).enumerated() {
                    guard start + offset <= 65_535, let value = word.integer(in: 0...65_535) else { continue }
                    tables[table, default: [:]][UInt16(start + offset)] = UInt16(value)
                }
            }
        }
        return tables
    }

    private func expectations(_ field: Field) -> [GoldenExpectation] {
        (field.members(allowed: "point: value") ?? []).flatMap { key, keyField, value in
            guard key.contains(RepeatInstance.placeholder) else { return expectation(key, value).map { [$0] } ?? [] }
            guard let names = copies[key] else {
                keyField.fail(
                    "'\(key)' is not a repeated point; allowed: \(copies.keys.sorted().joined(separator: ", "))")
                return []
            }
            guard let values = value.list(allowed: "\(names.count) values") else { return [] }
            if values.count != names.count {
                value.fail("\(key): \(values.count) values for \(names.count) copies, \(names[0]) and so on")
            }
            return zip(names, values).compactMap { expectation($0, $1) }
        }
    }

    private func expectation(_ key: String, _ value: Field) -> GoldenExpectation? {
        guard value.isMapping else { return Self.value(value).map { GoldenExpectation(point: key, value: $0) } }
        guard let fields = value.fields(["bad", "uncertain", "value"]) else { return nil }
        if let bad = fields["bad"], let other = fields["uncertain"] ?? fields["value"] {
            other.fail("\(key): what is bad (\(bad.written)) has no value and no other quality")
        }
        guard let reasonField = fields["bad"] ?? fields["uncertain"],
            let reason = reasonField.choice(QualityReason.allCases.map(\.code)).flatMap(QualityReason.init(code:))
        else {
            value.fail("\(key): expect a value, {bad: reason} or {uncertain: reason, value: …}")
            return nil
        }
        let expected = fields["value"].flatMap(Self.value) ?? .null
        return GoldenExpectation(point: key, value: expected, reasons: QualityReasons(reason))
    }

    /// A number, true or false, or a text.
    static func value(_ field: Field) -> PointValue? {
        guard let text = field.text("a value") else { return nil }
        if field.written == "'true'" || field.written == "'false'" { return .bool(text == "true") }
        if let integer = Field.integer(text) { return .int(Int64(integer)) }
        if let decimal = DecimalNumber(text) { return .decimal(decimal) }
        return .string(text)
    }
}

/// A golden test that did not hold, or a point that none covers.
package struct GoldenFailure: Hashable, Sendable {
    package var line: Int
    package var message: String
}

extension DeviceProfile {
    /// Decodes the registers of every golden test and compares.
    package func goldenFailures() -> [GoldenFailure] {
        tests.flatMap { test in
            test.expectations.compactMap { expectation in
                failure(of: expectation, in: test).map { GoldenFailure(line: test.line, message: $0) }
            }
        }
    }

    /// Points that no golden test mentions.
    package var untestedPoints: [String] {
        let tested = Set(tests.flatMap { $0.expectations.map(\.point) })
        return points.map(\.name).filter { !tested.contains($0) }
    }

    private func failure(of expectation: GoldenExpectation, in test: GoldenTest) -> String? {
        let points: [Point]
        switch self.points(in: test) {
        case .success(let found): points = found
        case .failure(let failure): return failure.message
        }
        guard let point = points.first(where: { $0.name == expectation.point }) else {
            return "\(expectation.point) is not a point of the profile"
        }
        guard let decoded = decoded(point, of: points, in: test) else {
            let places = (point.spans + (holder(of: point, points)?.spans ?? [])).map(\.description)
            return "\(point.name): the test has no registers at \(places.joined(separator: " or "))"
        }
        let (value, reasons) = point.judged(decoded)
        if reasons == expectation.reasons, value.isSame(as: expectation.value) { return nil }
        return "\(point.name) is \(value.words(reasons)), expected \(expectation.value.words(expectation.reasons))"
    }

    /// The points of the profile, with those of the models that the registers of the test hold.
    private func points(in test: GoldenTest) -> Result<[Point], NoModels> {
        guard let sunSpec else { return .success(points) }
        var walk = SunSpecWalk()
        while case .read(let span) = walk.step { walk.received(test.words(of: span).map { .words($0) } ?? .refused) }
        guard case .found(let chain) = walk.step else {
            if case .failed(let words) = walk.step { return .failure(NoModels(message: words)) }
            return .success(points)
        }
        let assumed = Set(sunSpec.points(of: sunSpec.nominal).map(\.name))
        return .success(points.filter { !assumed.contains($0.name) } + sunSpec.points(of: chain))
    }

    private struct NoModels: Error {
        var message: String
    }

    private func holder(of point: Point, _ points: [Point]) -> Point? {
        points.first { $0.name == point.scaleReference?.point }
    }

    private func decoded(_ point: Point, of points: [Point], in test: GoldenTest) -> Decoded? {
        let words = point.spans.compactMap { test.words(of: $0) }
        guard words.count == point.spans.count else { return nil }
        let decoded = point.decode(words)
        guard let reference = point.scaleReference, case .value(let value) = decoded else { return decoded }
        guard let holder = holder(of: point, points), let held = test.words(of: holder.span),
            case .value(let scale) = holder.encoding.decode(held.span)
        else { return nil }
        return value.scaled(by: scale, reference)
    }
}

extension GoldenTest {
    fileprivate func words(of span: RegisterSpan) -> [UInt16]? {
        var words: [UInt16] = []
        for address in Int(span.start)..<span.end {
            guard let word = registers[span.table]?[UInt16(truncatingIfNeeded: address)] else { return nil }
            words.append(word)
        }
        return words
    }
}

extension PointValue {
    /// Equal as a person reads it: a float32 by its shortest decimal, integers and decimals by their number.
    fileprivate func isSame(as other: PointValue) -> Bool {
        switch (self, other) {
        case (.null, .null): true
        case (.bool(let left), .bool(let right)): left == right
        case (.string(let left), .string(let right)): left == right
        case (.string(let text), .int(let number)): text == String(number)
        case (.string(let text), .decimal(let number)): text == number.description
        case (.bool(let isOn), .int(let number)): number == (isOn ? 1 : 0)
        case (.float(let float), _): other.number.map { Float($0) == float } ?? false
        default: number != nil && number == other.number
        }
    }

    fileprivate func words(_ reasons: QualityReasons) -> String {
        let value =
            switch self {
            case .null: "null"
            case .bool(let isOn): isOn ? "true" : "false"
            case .int(let integer): String(integer)
            case .uint(let integer): String(integer)
            case .float(let float): float.description
            case .double(let double): double.description
            case .decimal(let decimal): decimal.description
            case .string(let text): "'\(text)'"
            }
        return reasons.isEmpty ? value : "\(value) (\(reasons.reasons.map(\.code).joined(separator: ", ")))"
    }
}
