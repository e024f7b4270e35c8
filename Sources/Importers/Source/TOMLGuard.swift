/// Looks at a TOML text before the parser does: toml++ 3 takes some mistakes of a text for its own and aborts, where a
/// header, a value or the end of a list begins with a sign that none begins with.
struct TOMLGuard {
    private var bytes: ArraySlice<UInt8>
    private var line = 1
    /// What closes the arrays and inline tables that are open.
    private var closers: [UInt8] = []
    /// Whether a value comes next: behind `=`, or as the next element of an array.
    private var expectsValue = false
    /// Whether nothing but space was seen of this line.
    private var isAtStart = true

    private static let newline = UInt8(ascii: "\n")

    init(_ text: String) {
        bytes = Array(text.utf8)[...]
    }

    /// Line of the first mistake that is not left to the parser, nil when there is none.
    mutating func firstWrongLine() -> Int? {
        while let byte = bytes.first {
            switch byte {
            case Self.newline:
                if expectsValue, closers.isEmpty || closers.last == UInt8(ascii: "}") { return line }
                line += 1
                isAtStart = true
                bytes.removeFirst()
            case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r"): bytes.removeFirst()
            case UInt8(ascii: "#"): bytes = bytes.drop { $0 != Self.newline }
            default:
                guard take(byte) else { return line }
                isAtStart = false
            }
        }
        return expectsValue ? line : nil
    }

    /// - Returns: false for a mistake.
    private mutating func take(_ byte: UInt8) -> Bool {
        let isElement = closers.last == UInt8(ascii: "]")
        if expectsValue {
            let isEmpty = isElement && (byte == UInt8(ascii: "]") || byte == UInt8(ascii: ","))
            guard isEmpty || Self.beginsValue(byte) else { return false }
        } else if isAtStart, closers.isEmpty, byte == UInt8(ascii: "[") {
            guard beginsHeader() else { return false }
            bytes = bytes.dropFirst(bytes.dropFirst().first == byte ? 2 : 1)
            return true
        }
        expectsValue = false
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "'"):
            skipString(byte)
            return true
        case UInt8(ascii: "="): expectsValue = true
        case UInt8(ascii: ","): expectsValue = isElement
        case UInt8(ascii: "["):
            closers.append(UInt8(ascii: "]"))
            expectsValue = true
        case UInt8(ascii: "{"): closers.append(UInt8(ascii: "}"))
        case UInt8(ascii: "]"), UInt8(ascii: "}"):
            // Without one that is open it ends a header, or is told by the parser.
            if let closer = closers.popLast(), closer != byte { return false }
        default: break
        }
        bytes.removeFirst()
        return true
    }

    private static func isBare(_ byte: UInt8) -> Bool {
        (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte) || (0x30...0x39).contains(byte)
            || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_")
    }

    private static func beginsValue(_ byte: UInt8) -> Bool {
        isBare(byte) || "\"'[{+.".utf8.contains(byte)
    }

    /// Whether a key, or a mistake that the parser tells by itself, follows one or two brackets.
    private func beginsHeader() -> Bool {
        var rest = bytes.dropFirst()
        if rest.first == UInt8(ascii: "[") { rest = rest.dropFirst() }
        rest = rest.drop { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }
        guard let next = rest.first else { return true }
        return Self.isBare(next) || "\"']".utf8.contains(next)
    }

    private mutating func skipString(_ quote: UInt8) {
        let isLong = startsLong(quote)
        bytes = bytes.dropFirst(isLong ? 3 : 1)
        while let byte = bytes.first {
            // A short string ends with its line, rightly or not.
            if byte == Self.newline, !isLong { return }
            if byte == UInt8(ascii: "\\"), quote == UInt8(ascii: "\"") {
                if bytes.dropFirst().first == Self.newline { line += 1 }
                bytes = bytes.dropFirst(2)
                continue
            }
            if byte == quote, !isLong || startsLong(quote) {
                bytes = bytes.dropFirst(isLong ? 3 : 1)
                return
            }
            if byte == Self.newline { line += 1 }
            bytes.removeFirst()
        }
    }

    private func startsLong(_ quote: UInt8) -> Bool {
        let start = bytes.prefix(3)
        return start.count == 3 && start.allSatisfy { $0 == quote }
    }
}
