/// The id of a command: a UUID (RFC 9562), version 7 preferred because it sorts by time.
package struct CommandID: Hashable, Comparable, Sendable, CustomStringConvertible {
    package var high: UInt64
    package var low: UInt64

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// Reads `0193a1c4-7d1e-7c3a-9a55-0b5f0f6f2a11` in either case; nil for everything else.
    package init?(_ text: String) {
        let groups = text.utf8.split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
        guard groups.map(\.count) == [8, 4, 4, 4, 12] else { return nil }
        var halves: [UInt64] = [0, 0]
        var digitCount = 0
        for digit in groups.joined() {
            guard let value = Character(Unicode.Scalar(digit)).hexDigitValue else { return nil }
            halves[digitCount / 16] = halves[digitCount / 16] << 4 | UInt64(value)
            digitCount += 1
        }
        self.init(high: halves[0], low: halves[1])
    }

    /// Lower case, as it is published.
    package var description: String {
        let digits = [high, low].map { half in
            let text = String(half, radix: 16)
            return String(repeating: "0", count: 16 - text.utf8.count) + text
        }
        .joined()
        var rest = digits[...]
        return [8, 4, 4, 4, 12].map { count in
            defer { rest = rest.dropFirst(count) }
            return String(rest.prefix(count))
        }
        .joined(separator: "-")
    }

    package static func < (left: CommandID, right: CommandID) -> Bool {
        (left.high, left.low) < (right.high, right.low)
    }
}
