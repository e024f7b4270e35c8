import Model

/// One value of a document, whatever notation it is written in, with the place that messages name.
struct SourceNode {
    enum Content {
        case null
        /// A number, a truth value or a text, as it is written. `isQuoted`: certainly a text.
        case scalar(String, isQuoted: Bool)
        case list([SourceNode])
        case map([(key: String, value: SourceNode)])
    }

    /// Levels of nesting that are read.
    static let depthLimit = 32
    /// Values that are read; aliases count as often as they are used.
    static let countLimit = 500_000

    var content: Content
    var file: String
    /// From 1; nil where the reader does not tell lines.
    var line: Int?
    var path: String
    /// An application's tag that was not followed, such as `!secret`.
    var tag: String?

    subscript(key: String) -> SourceNode? {
        guard case .map(let members) = content, let value = members.first(where: { $0.key == key })?.value else {
            return nil
        }
        return value.isNull ? nil : value
    }

    var isNull: Bool {
        if case .null = content { return true }
        return false
    }

    var isMap: Bool {
        if case .map = content { return true }
        return false
    }

    var isList: Bool {
        if case .list = content { return true }
        return false
    }

    var members: [(key: String, value: SourceNode)] {
        if case .map(let members) = content { return members }
        return []
    }

    var items: [SourceNode] {
        if case .list(let items) = content { return items }
        return []
    }

    /// The elements of a list; anything else that is there counts as a list of one.
    var itemsOrSelf: [SourceNode] {
        if case .list(let items) = content { return items }
        return isNull ? [] : [self]
    }

    /// What a scalar says; nil for everything else and for what only another program can look up.
    var text: String? {
        guard tag == nil, case .scalar(let text, _) = content else { return nil }
        return text
    }

    /// A text with something in it.
    var words: String? {
        text.map(Words.trimmed).flatMap { $0.isEmpty ? nil : $0 }
    }

    /// Numbers in quotes count: many programs take them.
    var decimal: DecimalNumber? {
        guard let text = words else { return nil }
        if let number = Words.integer(text) { return DecimalNumber(mantissa: Int64(number)) }
        return DecimalNumber(text).map(\.trimmed)
    }

    /// Addresses, counts, codes, milliseconds: in ``integerRange``, so that what is calculated with them fits.
    var integer: Int? { integer(in: Self.integerRange) }

    /// What an importer may take for an address, a count, a code or a number of milliseconds.
    private static let integerRange = Int(Int32.min)...Int(UInt32.max)

    func integer(in range: ClosedRange<Int>) -> Int? {
        guard let text = words else { return nil }
        if let number = Words.integer(text) { return range.contains(number) ? number : nil }
        return DecimalNumber(text).flatMap { JSONValue.number($0).integer(in: range) }
    }

    /// As YAML 1.1, TOML and JSON write it.
    var bool: Bool? {
        switch text?.lowercased() {
        case "true", "yes", "on", "1": true
        case "false", "no", "off", "0": false
        default: nil
        }
    }

    /// A number of seconds, perhaps with decimals; nil for what is no time to wait.
    var seconds: Duration? {
        guard let number = decimal?.double, (0...1_000_000).contains(number) else { return nil }
        return .milliseconds(Int64(clamping: (number * 1000).rounded()))
    }

    /// What was written, for messages.
    var written: String {
        if let tag { return "\(tag) …" }
        switch content {
        case .null: return "nothing"
        case .scalar(let text, _): return "'\(text.prefix(60))'"
        case .list: return "a list"
        case .map: return "a mapping"
        }
    }
}

/// Small readings of text that several formats share.
enum Words {
    static func trimmed(_ text: some StringProtocol) -> String {
        var rest = Substring(text)
        while let first = rest.first, first.isWhitespace { rest.removeFirst() }
        while let last = rest.last, last.isWhitespace { rest.removeLast() }
        return String(rest)
    }

    /// Decimal or 0x hexadecimal, with a sign.
    static func integer(_ text: some StringProtocol) -> Int? {
        let isNegative = text.hasPrefix("-")
        let digits = isNegative ? text.dropFirst() : text[...]
        let isHexadecimal = digits.hasPrefix("0x") || digits.hasPrefix("0X")
        let body = isHexadecimal ? digits.dropFirst(2) : digits
        guard !body.isEmpty, body.utf8.allSatisfy({ $0 != UInt8(ascii: "+") && $0 != UInt8(ascii: "-") }),
            let magnitude = Int(body, radix: isHexadecimal ? 16 : 10, in: 0 ... .max)
        else { return nil }
        return isNegative ? -magnitude : magnitude
    }

    /// `500ms`, `10s`, `1m30s`, `1h`: as Go programs write it; nil for anything else and for nothing.
    static func duration(_ text: some StringProtocol) -> Duration? {
        let units: [(String, Double)] = [("ms", 1), ("us", 0.001), ("s", 1000), ("m", 60_000), ("h", 3_600_000)]
        var rest = trimmed(text)[...]
        var milliseconds = 0.0
        guard !rest.isEmpty else { return nil }
        while !rest.isEmpty {
            let digits = rest.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
            rest = rest.dropFirst(digits.count)
            guard let amount = Double(digits), let (unit, factor) = units.first(where: { rest.hasPrefix($0.0) }) else {
                return nil
            }
            rest = rest.dropFirst(unit.count)
            milliseconds += amount * factor
        }
        guard milliseconds.isFinite, milliseconds < 1e12 else { return nil }
        return .milliseconds(Int64(clamping: milliseconds.rounded()))
    }
}
