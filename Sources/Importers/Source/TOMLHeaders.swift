/// Looks at the table headers of a TOML text before the parser does: toml++ 3 takes it for its own mistake, and aborts,
/// when a header begins with a sign that no key has.
struct TOMLHeaders {
    private var bytes: ArraySlice<UInt8>
    private var line = 1
    /// Arrays and inline tables that are open.
    private var depth = 0

    init(_ text: String) {
        bytes = Array(text.utf8)[...]
    }

    /// Line of the first header that is none, nil when all are.
    mutating func firstWrongLine() -> Int? {
        var isAtStart = true
        while let byte = bytes.first {
            if isAtStart, depth == 0, byte == UInt8(ascii: "["), !beginsKey() { return line }
            switch byte {
            case UInt8(ascii: "\n"):
                line += 1
                isAtStart = true
                bytes.removeFirst()
                continue
            case UInt8(ascii: " "), UInt8(ascii: "\t"):
                bytes.removeFirst()
                continue
            case UInt8(ascii: "#"):
                bytes = bytes.drop { $0 != UInt8(ascii: "\n") }
                continue
            case UInt8(ascii: "\""), UInt8(ascii: "'"): skipString(byte)
            case UInt8(ascii: "["), UInt8(ascii: "{"):
                // The brackets of a header are closed on its line.
                depth += 1
                bytes.removeFirst()
            case UInt8(ascii: "]"), UInt8(ascii: "}"):
                depth = max(0, depth - 1)
                bytes.removeFirst()
            default: bytes.removeFirst()
            }
            isAtStart = false
        }
        return nil
    }

    /// Whether a key, or the error that the parser tells by itself, follows one or two brackets.
    private func beginsKey() -> Bool {
        var rest = bytes.dropFirst()
        if rest.first == UInt8(ascii: "[") { rest = rest.dropFirst() }
        rest = rest.drop { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }
        guard let next = rest.first else { return true }
        let isLetter = (0x41...0x5A).contains(next) || (0x61...0x7A).contains(next) || (0x30...0x39).contains(next)
        return isLetter || "_-\"']".utf8.contains(next)
    }

    private mutating func skipString(_ quote: UInt8) {
        let isLong = bytes.prefix(3).count == 3 && bytes.prefix(3).allSatisfy { $0 == quote }
        bytes = bytes.dropFirst(isLong ? 3 : 1)
        while let byte = bytes.first {
            if byte == UInt8(ascii: "\n") {
                // A short string ends with its line, rightly or not.
                guard isLong else { return }
                line += 1
            }
            if byte == UInt8(ascii: "\\"), quote == UInt8(ascii: "\"") {
                if bytes.dropFirst().first == UInt8(ascii: "\n") { line += 1 }
                bytes = bytes.dropFirst(2)
            } else if byte == quote,
                !isLong || bytes.prefix(3).count == 3 && bytes.prefix(3).allSatisfy({ $0 == quote })
            {
                bytes = bytes.dropFirst(isLong ? 3 : 1)
                return
            } else {
                bytes.removeFirst()
            }
        }
    }
}
