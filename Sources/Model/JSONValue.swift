/// A JSON document as a value: numbers stay exact decimals, members keep their order, so the same value is always written
/// as the same bytes. What is governed (commands, ledger records, audit leaves) goes through it in both directions.
package indirect enum JSONValue: Hashable, Sendable {
    case null
    case bool(Bool)
    case number(DecimalNumber)
    case string(String)
    case array([JSONValue])
    case object([Member])

    package struct Member: Hashable, Sendable {
        package var key: String
        package var value: JSONValue

        package init(_ key: String, _ value: JSONValue) {
            self.key = key
            self.value = value
        }
    }

    /// The member with this key of an object; nil for everything else. An explicit `null` counts as absent.
    package subscript(key: String) -> JSONValue? {
        guard case .object(let members) = self, let value = members.first(where: { $0.key == key })?.value,
            value != .null
        else { return nil }
        return value
    }

    package var text: String? {
        if case .string(let text) = self { return text }
        return nil
    }

    package var isTrue: Bool { self == .bool(true) }

    package var decimal: DecimalNumber? {
        if case .number(let number) = self { return number }
        return nil
    }

    package var double: Double? { decimal?.double }

    /// The number where it is whole and in `range`.
    package func integer<Number: FixedWidthInteger>(in range: ClosedRange<Number>) -> Number? {
        integer.flatMap { Number(exactly: $0) }.flatMap { range.contains($0) ? $0 : nil }
    }

    /// The number where it is whole and fits. Without a range, so for this file only.
    private var integer: Int64? {
        guard var number = decimal else { return nil }
        while number.exponent < 0, number.mantissa % 10 == 0 {
            number.mantissa /= 10
            number.exponent += 1
        }
        guard number.exponent >= 0 else { return number.mantissa == 0 ? 0 : nil }
        for _ in 0..<number.exponent {
            let (next, overflow) = number.mantissa.multipliedReportingOverflow(by: 10)
            if overflow { return nil }
            number.mantissa = next
        }
        return number.mantissa
    }

    package var elements: [JSONValue] {
        if case .array(let elements) = self { return elements }
        return []
    }

    package var members: [Member] {
        if case .object(let members) = self { return members }
        return []
    }
}

// MARK: - Making

extension JSONValue {
    package static func integer(_ number: some BinaryInteger) -> JSONValue {
        guard let small = Int64(exactly: number) else { return .string(number.description) }
        return .number(DecimalNumber(mantissa: small))
    }

    /// The shortest decimal that reads back as the same double; null for what JSON has no number for.
    package static func double(_ number: Double) -> JSONValue {
        DecimalNumber(number.description).map { .number($0.trimmed) } ?? .null
    }

    package static func optional(_ text: String?) -> JSONValue {
        text.map { .string($0) } ?? .null
    }

    /// An object without the members that are null.
    package static func compact(_ members: [(String, JSONValue)]) -> JSONValue {
        .object(members.filter { $0.1 != .null }.map { Member($0.0, $0.1) })
    }

    package init(_ value: PointValue) {
        switch value {
        case .null: self = .null
        case .bool(let value): self = .bool(value)
        case .int(let value): self = .integer(value)
        case .uint(let value): self = .string(value.description)
        case .float(let value): self = DecimalNumber(value.description).map { .number($0.trimmed) } ?? .null
        case .double(let value): self = .double(value)
        case .decimal(let value): self = .number(value)
        case .string(let value): self = .string(value)
        }
    }

    /// The value of a point; nil for arrays and objects. Whole numbers become integers.
    package var pointValue: PointValue? {
        switch self {
        case .null: .null
        case .bool(let value): .bool(value)
        case .number(let value): integer.map { .int($0) } ?? .decimal(value)
        case .string(let value): .string(value)
        case .array, .object: nil
        }
    }
}

extension DecimalNumber {
    /// Without zeros at its end: 7.50 becomes 7.5, and 7.0 becomes 7.
    package var trimmed: DecimalNumber {
        var number = self
        while number.exponent < 0, number.mantissa % 10 == 0 {
            number.mantissa /= 10
            number.exponent += 1
        }
        return number
    }
}

// MARK: - Writing

extension JSONValue {
    /// Compact JSON in UTF-8.
    package var bytes: [UInt8] {
        var bytes: [UInt8] = []
        append(to: &bytes)
        return bytes
    }

    private func append(to bytes: inout [UInt8]) {
        switch self {
        case .null: bytes.append(contentsOf: "null".utf8)
        case .bool(let value): bytes.append(contentsOf: (value ? "true" : "false").utf8)
        case .number(let number): number.appendText(to: &bytes)
        case .string(let text): Self.append(text, to: &bytes)
        case .array(let elements):
            bytes.append(UInt8(ascii: "["))
            for (index, element) in elements.enumerated() {
                if index > 0 { bytes.append(UInt8(ascii: ",")) }
                element.append(to: &bytes)
            }
            bytes.append(UInt8(ascii: "]"))
        case .object(let members):
            bytes.append(UInt8(ascii: "{"))
            for (index, member) in members.enumerated() {
                if index > 0 { bytes.append(UInt8(ascii: ",")) }
                Self.append(member.key, to: &bytes)
                bytes.append(UInt8(ascii: ":"))
                member.value.append(to: &bytes)
            }
            bytes.append(UInt8(ascii: "}"))
        }
    }

    private static func append(_ text: String, to bytes: inout [UInt8]) {
        let digits = Array("0123456789abcdef".utf8)
        bytes.append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                bytes.append(UInt8(ascii: "\\"))
                bytes.append(byte)
            case 0x0A: bytes.append(contentsOf: "\\n".utf8)
            case 0..<0x20, 0x7F:
                bytes.append(contentsOf: "\\u00".utf8)
                bytes.append(digits[Int(byte >> 4)])
                bytes.append(digits[Int(byte & 15)])
            default: bytes.append(byte)
            }
        }
        bytes.append(UInt8(ascii: "\""))
    }
}
