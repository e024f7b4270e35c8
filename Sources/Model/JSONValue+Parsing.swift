/// Why bytes are not a JSON document that Headgate takes.
package struct JSONError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Zero-based offset of the byte where it was noticed.
    package var byteOffset: Int
    package var message: String

    package var description: String { "byte \(byteOffset): \(message)" }
}

extension JSONValue {
    /// Levels of arrays and objects that are read.
    package static let depthLimit = 16

    /// Reads one JSON document (RFC 8259) in UTF-8. Stricter than the RFC where a second meaning would be possible: a key
    /// appears once in its object, the digits of a number fit 64 bits, nothing follows the document.
    package init(parsing bytes: [UInt8]) throws(JSONError) {
        guard String(validating: bytes, as: UTF8.self) != nil else {
            throw JSONError(byteOffset: 0, message: "not UTF-8")
        }
        var scanner = JSONScanner(bytes: bytes)
        self = try scanner.document()
    }
}

private struct JSONScanner {
    let bytes: [UInt8]
    var offset = 0

    private var next: UInt8? { offset < bytes.count ? bytes[offset] : nil }

    private func error(_ message: String) -> JSONError {
        JSONError(byteOffset: offset, message: message)
    }

    mutating func document() throws(JSONError) -> JSONValue {
        let value = try value(depth: 0)
        skipSpace()
        guard next == nil else { throw error("something follows the document") }
        return value
    }

    private mutating func skipSpace() {
        while let byte = next, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { offset += 1 }
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        skipSpace()
        guard next == byte else { return false }
        offset += 1
        return true
    }

    private mutating func value(depth: Int) throws(JSONError) -> JSONValue {
        guard depth <= JSONValue.depthLimit else { throw error("more than \(JSONValue.depthLimit) levels") }
        skipSpace()
        switch next {
        case UInt8(ascii: "{"): return try object(depth: depth)
        case UInt8(ascii: "["): return try array(depth: depth)
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        case UInt8(ascii: "-"), (UInt8(ascii: "0")...UInt8(ascii: "9"))?: return try number()
        case nil: throw error("the document ends in the middle")
        default: throw error("no JSON value begins here")
        }
    }

    private mutating func word(_ word: String, _ value: JSONValue) throws(JSONError) -> JSONValue {
        guard bytes[offset...].starts(with: word.utf8) else { throw error("no JSON value begins here") }
        offset += word.utf8.count
        return value
    }

    private mutating func object(depth: Int) throws(JSONError) -> JSONValue {
        offset += 1
        var members: [JSONValue.Member] = []
        var keys: Set<String> = []
        if take(UInt8(ascii: "}")) { return .object([]) }
        repeat {
            skipSpace()
            guard next == UInt8(ascii: "\"") else { throw error("a key in quotes is missing") }
            let key = try string()
            guard keys.insert(key).inserted else { throw error("the key '\(key)' appears twice") }
            guard take(UInt8(ascii: ":")) else { throw error("a colon is missing") }
            members.append(JSONValue.Member(key, try value(depth: depth + 1)))
        } while take(UInt8(ascii: ","))
        guard take(UInt8(ascii: "}")) else { throw error("a comma or } is missing") }
        return .object(members)
    }

    private mutating func array(depth: Int) throws(JSONError) -> JSONValue {
        offset += 1
        var elements: [JSONValue] = []
        if take(UInt8(ascii: "]")) { return .array([]) }
        repeat { elements.append(try value(depth: depth + 1)) } while take(UInt8(ascii: ","))
        guard take(UInt8(ascii: "]")) else { throw error("a comma or ] is missing") }
        return .array(elements)
    }

    private mutating func digits() -> Int {
        let start = offset
        while let byte = next, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) { offset += 1 }
        return offset - start
    }

    private mutating func number() throws(JSONError) -> JSONValue {
        let start = offset
        if next == UInt8(ascii: "-") { offset += 1 }
        let hasLeadingZero = next == UInt8(ascii: "0")
        let whole = digits()
        guard whole > 0, !hasLeadingZero || whole == 1 else { throw error("not a number") }
        if next == UInt8(ascii: ".") {
            offset += 1
            guard digits() > 0 else { throw error("digits are missing after the point") }
        }
        if next == UInt8(ascii: "e") || next == UInt8(ascii: "E") {
            offset += 1
            if next == UInt8(ascii: "+") || next == UInt8(ascii: "-") { offset += 1 }
            guard digits() > 0 else { throw error("digits are missing in the exponent") }
        }
        guard let number = DecimalNumber(String(decoding: bytes[start..<offset], as: UTF8.self)) else {
            throw error(
                "the digits of a number must fit 64 bits with a sign (18 always do), its exponent be at most 60")
        }
        return .number(number)
    }

    private mutating func string() throws(JSONError) -> String {
        offset += 1
        var text: [UInt8] = []
        while let byte = next {
            offset += 1
            switch byte {
            case UInt8(ascii: "\""): return String(decoding: text, as: UTF8.self)
            case UInt8(ascii: "\\"): try escape(into: &text)
            case 0..<0x20: throw error("a control character in a string")
            default: text.append(byte)
            }
        }
        throw error("a string has no end")
    }

    private mutating func escape(into text: inout [UInt8]) throws(JSONError) {
        guard let byte = next else { throw error("a string has no end") }
        offset += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
        case UInt8(ascii: "b"): text.append(0x08)
        case UInt8(ascii: "f"): text.append(0x0C)
        case UInt8(ascii: "n"): text.append(0x0A)
        case UInt8(ascii: "r"): text.append(0x0D)
        case UInt8(ascii: "t"): text.append(0x09)
        case UInt8(ascii: "u"): text.append(contentsOf: String(Character(try scalar())).utf8)
        default: throw error("an unknown escape in a string")
        }
    }

    /// The scalar behind `\u`, two of them where the first is the high half of a pair.
    private mutating func scalar() throws(JSONError) -> Unicode.Scalar {
        let first = try unit()
        if let scalar = Unicode.Scalar(first) { return scalar }
        guard (0xD800...0xDBFF).contains(first), bytes[offset...].starts(with: "\\u".utf8) else {
            throw error("half of a surrogate pair")
        }
        offset += 2
        let second = try unit()
        guard (0xDC00...0xDFFF).contains(second),
            let scalar = Unicode.Scalar(0x10000 + (first - 0xD800) << 10 + (second - 0xDC00))
        else { throw error("half of a surrogate pair") }
        return scalar
    }

    private mutating func unit() throws(JSONError) -> UInt32 {
        let end = offset + 4
        guard end <= bytes.count, bytes[offset..<end].allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }),
            let unit = UInt32(String(decoding: bytes[offset..<end], as: UTF8.self), radix: 16, in: 0...0xFFFF)
        else { throw error("four hex digits are missing") }
        offset = end
        return unit
    }
}
