import Foundation
import Model
import Yams

/// One value in a file, with everything that is needed to say what is wrong with it. Numbers are read from their text, by
/// our own rules: YAML's octal, sexagesimal and yes/no readings are errors here, never values.
struct Field {
    /// What it is called in messages.
    private(set) var name: String
    private(set) var node: Node
    let file: String
    let problems: ProblemList
    /// The copy of a repeated block that it belongs to.
    private(set) var instance: RepeatInstance?
    /// Whether it stands among `defaults`: meant for the points that it suits.
    private(set) var isDefault = false

    init(name: String, node: Node, file: String, problems: ProblemList) {
        self.name = name
        self.node = node
        self.file = file
        self.problems = problems
    }

    /// The same in one copy of a repeated block.
    func repeated(_ instance: RepeatInstance?) -> Field {
        var field = self
        field.instance = instance
        return field
    }

    /// The same as something that `defaults` says.
    var asDefault: Field {
        var field = self
        field.isDefault = true
        return field
    }

    /// Something inside of it.
    private func child(_ name: String, _ node: Node) -> Field {
        var child = self
        (child.name, child.node) = (name, node)
        return child
    }

    var place: Place { Place(node.mark, in: file) }

    func fail(_ message: String) {
        problems.error(place, message)
    }

    /// The text of a scalar as written.
    private var scalar: Node.Scalar? {
        if case .scalar(let scalar) = node { return scalar }
        return nil
    }

    var isMapping: Bool {
        if case .mapping = node { return true }
        return false
    }

    private var isPlain: Bool { scalar.map { $0.style == .plain || $0.style == .any } ?? false }

    /// What was written, for messages.
    var written: String {
        switch node {
        case .scalar(let scalar): "'\(scalar.string.prefix(60))'"
        case .mapping: "a mapping"
        case .sequence: "a list"
        case .alias: "an alias"
        }
    }

    // MARK: - Text

    /// Whether it is this word, written plainly or not.
    func isText(_ word: String) -> Bool { scalar?.string == word }

    func text(_ allowed: String = "a text") -> String? {
        guard let scalar, !scalar.string.isEmpty else {
            fail("\(name) must be \(allowed), not \(written)")
            return nil
        }
        return scalar.string
    }

    func choice(_ choices: [String]) -> String? {
        guard let text = scalar?.string, choices.contains(text) else {
            let hint = scalar.flatMap { nearest($0.string, in: choices) }.map { ", did you mean '\($0)'?" } ?? ""
            fail("\(name) cannot be \(written)\(hint); allowed: \(choices.joined(separator: ", "))")
            return nil
        }
        return text
    }

    /// Names that become topics and ids: `[a-z0-9_]+`, levels separated by `/` where `levels` says so.
    func identifier(_ text: String? = nil, hyphens: Bool = false, levels: Bool = false) -> String? {
        guard let text = text ?? scalar?.string else {
            fail("\(name) must be a name, not \(written)")
            return nil
        }
        let isAllowed = text.split(separator: "/", omittingEmptySubsequences: false).allSatisfy { level in
            !level.isEmpty
                && level.utf8.allSatisfy {
                    ($0 >= 0x61 && $0 <= 0x7A) || ($0 >= 0x30 && $0 <= 0x39) || $0 == 0x5F || (hyphens && $0 == 0x2D)
                }
        }
        guard isAllowed, levels || !text.contains("/") else {
            fail(
                "\(name) cannot be '\(text)'; allowed: lower-case letters, digits, _\(hyphens ? ", -" : "")\(levels ? ", levels separated by /" : "")"
            )
            return nil
        }
        return text
    }

    /// The name of another point of the device; in a repeated block of the same copy where it has that point.
    func pointName() -> String? {
        guard let instance, let text = scalar?.string else { return identifier() }
        return identifier(instance.pointName(text))
    }

    func bool() -> Bool? {
        guard isPlain, let text = scalar?.string, text == "true" || text == "false" else {
            fail("\(name) must be true or false, not \(written)")
            return nil
        }
        return text == "true"
    }

    // MARK: - Numbers

    /// Decimal or 0x hexadecimal, nothing else.
    static func integer(_ text: some StringProtocol) -> Int? {
        let isNegative = text.hasPrefix("-")
        let digits = isNegative ? text.dropFirst() : text[...]
        let magnitude: UInt64?
        if digits.hasPrefix("0x") || digits.hasPrefix("0X") {
            magnitude = UInt64(digits.dropFirst(2), radix: 16, in: 0 ... .max)
        } else {
            let isStrict = !digits.isEmpty && digits.utf8.allSatisfy { (0x30...0x39).contains($0) }
            magnitude = isStrict && (digits.count == 1 || !digits.hasPrefix("0")) ? UInt64(digits, in: 0 ... .max) : nil
        }
        return magnitude.flatMap { Int(exactly: $0) }.map { isNegative ? -$0 : $0 }
    }

    func integer(in range: ClosedRange<Int>) -> Int? {
        guard isPlain, let text = scalar?.string, let number = Self.integer(text), range.contains(number) else {
            fail("\(name) must be a whole number from \(range.lowerBound) to \(range.upperBound), not \(written)")
            return nil
        }
        return number
    }

    /// A protocol address; in a repeated block that of the copy.
    func address() -> Int? {
        guard let first = integer(in: 0...65_535) else { return nil }
        let address = first + (instance?.shift ?? 0)
        guard address <= 65_535 else {
            fail(
                "\(name) \(first) is \(address) in \(instance?.prefix ?? ""), beyond address 65535; count is too large")
            return nil
        }
        return address
    }

    func decimal() -> DecimalNumber? {
        guard isPlain, let text = scalar?.string else {
            fail("\(name) must be a number, not \(written)")
            return nil
        }
        let number = DecimalNumber(text) ?? Self.integer(text).map { DecimalNumber(mantissa: Int64($0)) }
        if number == nil || Self.looksOctal(text) {
            fail("\(name) must be a number such as 12, 0.1 or 1e-3, not \(written)")
            return nil
        }
        return number
    }

    func number() -> Double? {
        decimal()?.double
    }

    private static func looksOctal(_ text: String) -> Bool {
        let digits = text.drop { $0 == "-" || $0 == "+" }
        return digits.count > 1 && digits.first == "0" && digits.dropFirst().first?.isNumber == true
    }

    // MARK: - Durations and sizes

    func duration(in range: ClosedRange<Duration>) -> Duration? {
        let units: [(String, Int64)] = [
            ("ms", 1), ("s", 1000), ("min", 60_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000),
        ]
        guard let text = scalar?.string, let (amount, unit) = Self.amount(text, units.map(\.0)),
            let factor = units.first(where: { $0.0 == unit })?.1,
            case let (milliseconds, overflow) = Int64(amount).multipliedReportingOverflow(by: factor), !overflow,
            range.contains(.milliseconds(milliseconds))
        else {
            fail(
                "\(name) must be a duration from \(range.lowerBound.text) to \(range.upperBound.text), such as 500ms, 1s, 15m, not \(written)"
            )
            return nil
        }
        return .milliseconds(milliseconds)
    }

    func byteCount(in range: ClosedRange<Int64>) -> Int64? {
        let units: [(String, Int64)] = [
            ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40), ("kB", 1000), ("MB", 1_000_000),
            ("GB", 1_000_000_000),
        ]
        guard let text = scalar?.string, let (amount, unit) = Self.amount(text, units.map(\.0)),
            let factor = units.first(where: { $0.0 == unit })?.1,
            case let (bytes, overflow) = Int64(amount).multipliedReportingOverflow(by: factor), !overflow,
            range.contains(bytes)
        else {
            fail(
                "\(name) must be a size from \(range.lowerBound >> 20)MiB to \(range.upperBound >> 30)GiB, such as 64MiB or 4GiB, not \(written)"
            )
            return nil
        }
        return bytes
    }

    /// A whole number with a unit behind it.
    private static func amount(_ text: String, _ units: [String]) -> (Int, String)? {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        let unit = text.dropFirst(digits.count)
        guard let amount = integer(digits), units.contains(String(unit)) else { return nil }
        return (amount, String(unit))
    }

    // MARK: - Lists and mappings

    /// The elements of a list; a single value counts as a list of one where `single` says so.
    func list(allowed: String, single: Bool = false) -> [Field]? {
        if case .sequence(let items) = node {
            return items.map { child(name, $0) }
        }
        if single { return [self] }
        fail("\(name) must be a list of \(allowed), not \(written)")
        return nil
    }

    func range() -> NumericRange? {
        guard case .sequence(let items) = node, items.count == 2 else {
            fail("\(name) must be [low, high], not \(written)")
            return nil
        }
        let numbers = items.compactMap { child(name, $0).number() }
        guard numbers.count == 2 else { return nil }
        guard numbers[0] < numbers[1] else {
            fail("\(name) must be [low, high] with low below high")
            return nil
        }
        return NumericRange(low: numbers[0], high: numbers[1])
    }

    /// The members of a mapping whose keys are names that the file chooses.
    func members(allowed: String) -> [(key: String, keyField: Field, value: Field)]? {
        guard case .mapping(let mapping) = node else {
            fail("\(name) must be a mapping of \(allowed), not \(written)")
            return nil
        }
        return mapping.compactMap { key, value in
            let keyField = child(name, key)
            guard case .scalar(let scalar) = key else {
                keyField.fail("\(name): a key must be a name")
                return nil
            }
            let member = child("\(name).\(scalar.string)", value)
            return (scalar.string, keyField, member)
        }
    }

    /// The members of a mapping whose keys are known.
    func fields(_ known: [String], required: [String] = []) -> Fields? {
        guard let members = members(allowed: known.joined(separator: ", ")) else { return nil }
        var fields: [String: Field] = [:]
        for (key, keyField, value) in members {
            guard known.contains(key) else {
                let hint = nearest(key, in: known).map { ", did you mean '\($0)'?" } ?? ""
                keyField.fail("unknown key '\(key)'\(hint); allowed in \(name): \(known.joined(separator: ", "))")
                continue
            }
            fields[key] = child(key, value.node)
        }
        for key in required where fields[key] == nil { fail("\(name): the key '\(key)' is missing") }
        return Fields(byKey: fields)
    }
}

/// The known members of one mapping.
struct Fields {
    var byKey: [String: Field]

    subscript(key: String) -> Field? { byKey[key] }
}

/// The known word that was probably meant, nil when none is near.
func nearest(_ word: String, in known: [String]) -> String? {
    let near = known.map { (word: $0, distance: editDistance($0, word)) }.min { $0.distance < $1.distance }
    guard let near, near.distance <= max(1, word.count / 3) else { return nil }
    return near.word
}

/// Insertions, deletions and replacements that turn one word into the other.
private func editDistance(_ left: String, _ right: String) -> Int {
    let (left, right) = (Array(left.utf8.prefix(64)), Array(right.utf8.prefix(64)))
    var row = Array(0...right.count)
    for (i, a) in left.enumerated() {
        var diagonal = row[0]
        row[0] = i + 1
        for (j, b) in right.enumerated() {
            let cost = a == b ? diagonal : min(diagonal, row[j], row[j + 1]) + 1
            diagonal = row[j + 1]
            row[j + 1] = cost
        }
    }
    return row[right.count]
}
