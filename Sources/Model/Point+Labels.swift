/// Names of codes, and of false and true.
extension Point {
    /// What a value is called (`enum`), nil where it has no name.
    package func label(of value: PointValue) -> String? {
        guard !enumeration.isEmpty, let number = value.number else { return nil }
        return enumeration.first { Double($0.code) == number }?.label
    }

    /// As people read it: `2 (auto)`, or the value alone.
    package func shown(_ value: PointValue) -> String {
        label(of: value).map { "\(value.plain) (\($0))" } ?? value.plain
    }

    /// The codes with their labels, for messages: `0 (off), 1 (on)`.
    package var labelList: String {
        enumeration.map { shown(value(ofCode: $0.code)) }.joined(separator: ", ")
    }

    private func value(ofCode code: Int64) -> PointValue {
        datatype == .bool ? .bool(code == 1) : .int(code)
    }

    /// Why a text is no value of the point, in words.
    package struct NoValue: Error, Hashable, Sendable {
        package var reason: String
    }

    /// The value that a person means by `text`: a number, true or false, a text, or a label.
    package func value(writtenAs text: String) throws(NoValue) -> PointValue {
        let named = enumeration.filter { $0.label == text }.map { value(ofCode: $0.code) }
        let literal = literal(text)
        if let first = named.first {
            guard named.count == 1 else {
                let codes = named.map(\.plain).joined(separator: " and ")
                throw NoValue(reason: "'\(text)' is the label of \(codes) of \(name); write the code")
            }
            if let literal, literal != first, label(of: literal) != nil {
                throw NoValue(
                    reason: "'\(text)' is a code of \(name), and the label of \(first.plain); write the other label")
            }
            return first
        }
        guard let literal else { throw NoValue(reason: "'\(text)' is no value of \(name), which takes \(allowed)") }
        return literal
    }

    private func literal(_ text: String) -> PointValue? {
        switch datatype {
        case .bool: text == "true" ? .bool(true) : text == "false" ? .bool(false) : nil
        case .string: .string(text)
        case .int16, .uint16, .int32, .uint32, .int64, .uint64, .float32, .float64:
            DecimalNumber(text).flatMap { JSONValue.number($0.trimmed).pointValue }
        }
    }

    private var allowed: String {
        switch datatype {
        case .bool: enumeration.isEmpty ? "true or false" : "true, false or a label: \(labelList)"
        case .string: "a text"
        case .int16, .uint16, .int32, .uint32, .int64, .uint64, .float32, .float64:
            enumeration.isEmpty ? "a number" : "a number or a label: \(labelList)"
        }
    }
}
