/// Reads the members of one JSON object and says by name which one is wrong.
struct DocumentReader {
    /// Longest text of a member, in bytes.
    static let textLimit = 4096

    let name: String
    private let value: JSONValue

    init(_ value: JSONValue, _ name: String, keys: Set<String>) throws(CommandFormatError) {
        guard case .object(let members) = value else {
            throw CommandFormatError(code: .badFormat, message: "\(name) must be an object")
        }
        if let unknown = members.first(where: { !keys.contains($0.key) }) {
            throw CommandFormatError(
                code: .badFormat, message: "\(name) has an unknown key '\(unknown.key.prefix(40))'")
        }
        self.name = name
        self.value = value
    }

    func wrong(_ key: String, _ message: String) -> CommandFormatError {
        CommandFormatError(code: key == "unit" ? .badUnit : .badFormat, message: "\(name): \(key) \(message)")
    }

    func optional(_ key: String) -> JSONValue? { value[key] }

    func member(_ key: String) throws(CommandFormatError) -> JSONValue {
        guard let member = value[key] else { throw wrong(key, "is missing") }
        return member
    }

    func text(_ key: String) throws(CommandFormatError) -> String {
        guard let text = try member(key).text, !text.isEmpty, text.utf8.count <= Self.textLimit else {
            throw wrong(key, "must be a text of at most \(Self.textLimit) bytes")
        }
        return text
    }

    func optionalText(_ key: String) throws(CommandFormatError) -> String? {
        value[key] == nil ? nil : try text(key)
    }

    func choice<Choice>(_ key: String, _ make: (String) -> Choice?) throws(CommandFormatError) -> Choice {
        guard let choice = make(try text(key)) else { throw wrong(key, "is not one of the allowed words") }
        return choice
    }

    func number(_ key: String) throws(CommandFormatError) -> Double {
        // What cannot be written again would be missing in the ledger's record.
        guard let number = try member(key).double, JSONValue.double(number) != .null else {
            throw wrong(key, "must be a number")
        }
        return number
    }

    func optionalNumber(_ key: String) throws(CommandFormatError) -> Double? {
        value[key] == nil ? nil : try number(key)
    }

    func integer<Number: FixedWidthInteger>(
        _ key: String, in range: ClosedRange<Number>
    ) throws(CommandFormatError) -> Number {
        guard let number = try member(key).integer(in: range) else {
            throw wrong(key, "must be a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    func time(_ key: String) throws(CommandFormatError) -> UnixTime {
        guard let time = UnixTime(rfc3339: try text(key)) else {
            throw CommandFormatError(
                code: key == "expires" ? .expired : .badFormat,
                message: "\(name): \(key) must be a time in UTC such as 2026-11-20T23:40:00Z")
        }
        return time
    }

    func list(_ key: String, limit: Int) throws(CommandFormatError) -> [JSONValue] {
        guard let list = value[key] else { return [] }
        guard case .array(let elements) = list, elements.count <= limit else {
            throw wrong(key, "must be a list of at most \(limit)")
        }
        return elements
    }
}
