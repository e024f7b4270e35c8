/// What is wrong with the text of an expression, and where.
package struct ExpressionError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Zero-based offset of the byte.
    package var byteOffset: Int
    package var message: String

    package var description: String { "at character \(byteOffset + 1): \(message)" }
}

/// Cuts the text of an expression into words.
struct ExpressionLexer {
    enum Token: Hashable {
        case number(Double), duration(Double)
        /// A word, or a point id where it has a `/` or stood in quotes.
        case word(String), point(String)
        case symbol(String)
        case end
    }

    static let byteLimit = 1000

    private let bytes: [UInt8]
    private var offset = 0

    init(_ text: String) {
        bytes = Array(text.utf8)
    }

    static func tokens(_ text: String) throws(ExpressionError) -> [(token: Token, byteOffset: Int)] {
        var lexer = ExpressionLexer(text)
        guard lexer.bytes.count <= byteLimit else {
            throw ExpressionError(byteOffset: byteLimit, message: "longer than \(byteLimit) characters")
        }
        var tokens: [(Token, Int)] = []
        repeat {
            while lexer.next == 0x20 || lexer.next == 0x09 { lexer.offset += 1 }
            let start = lexer.offset
            tokens.append((try lexer.token(), start))
        } while tokens.last?.0 != .end
        return tokens
    }

    private var next: UInt8? { offset < bytes.count ? bytes[offset] : nil }

    private mutating func token() throws(ExpressionError) -> Token {
        guard let byte = next else { return .end }
        if Self.isDigit(byte) { return try number() }
        if Self.isName(byte) { return name() }
        if byte == UInt8(ascii: "'") { return try quoted() }
        for symbol in ["==", "!=", "<=", ">=", "<", ">", "+", "-", "*", "/", "(", ")"]
        where bytes[offset...].starts(with: symbol.utf8) {
            offset += symbol.utf8.count
            return .symbol(symbol)
        }
        throw ExpressionError(
            byteOffset: offset,
            message:
                "'\(String(decoding: [byte], as: UTF8.self))' means nothing here; allowed: numbers, durations such "
                + "as 10s, true, false, device/point, age(…), quality(…), == != < <= > >= + - * / and or not ( )")
    }

    private mutating func run(_ isMember: (UInt8) -> Bool) -> String {
        let start = offset
        while let byte = next, isMember(byte) { offset += 1 }
        return String(decoding: bytes[start..<offset], as: UTF8.self)
    }

    private mutating func number() throws(ExpressionError) -> Token {
        let start = offset
        let text = run { Self.isDigit($0) || $0 == UInt8(ascii: ".") }
        guard let number = DecimalNumber(text)?.double else {
            throw ExpressionError(byteOffset: start, message: "'\(text)' is not a number")
        }
        let unitStart = offset
        let unit = run(Self.isName)
        if unit.isEmpty { return .number(number) }
        let units = ["ms": 0.001, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400]
        guard let seconds = units[unit] else {
            throw ExpressionError(
                byteOffset: unitStart,
                message: "'\(unit)' is not a unit of time; allowed: ms, s, m, h, d (a point whose name begins with a "
                    + "digit is written in single quotes)")
        }
        return .duration(number * seconds)
    }

    /// A `/` between two names without a space belongs to a point id; a division has spaces around it.
    private mutating func name() -> Token {
        let start = offset
        while let byte = next {
            let isSlash = byte == UInt8(ascii: "/") && offset + 1 < bytes.count && Self.isName(bytes[offset + 1])
            guard Self.isName(byte) || isSlash else { break }
            offset += 1
        }
        let text = String(decoding: bytes[start..<offset], as: UTF8.self)
        return text.contains("/") ? .point(text) : .word(text)
    }

    private mutating func quoted() throws(ExpressionError) -> Token {
        let start = offset
        offset += 1
        let text = run { Self.isName($0) || $0 == UInt8(ascii: "/") }
        guard next == UInt8(ascii: "'"), !text.isEmpty else {
            throw ExpressionError(byteOffset: start, message: "a point in quotes is written 'device/point'")
        }
        offset += 1
        return .point(text)
    }

    private static func isDigit(_ byte: UInt8) -> Bool { byte >= 0x30 && byte <= 0x39 }

    private static func isName(_ byte: UInt8) -> Bool {
        (byte >= 0x61 && byte <= 0x7A) || isDigit(byte) || byte == 0x5F
    }
}
