/// Base64 (RFC 4648) without tolerance: one text for each sequence of bytes, everything else is refused.
package enum Base64: Sendable {
    /// Section 4, with padding: checkpoints and signed notes.
    case standard
    /// Section 5, without padding: JWS and keys.
    case url

    private static let standardDigits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    private static let urlDigits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
    private static let padding = UInt8(ascii: "=")

    private var digits: [UInt8] { self == .standard ? Self.standardDigits : Self.urlDigits }

    package func encode(_ bytes: [UInt8]) -> String {
        let digits = digits
        var text: [UInt8] = []
        text.reserveCapacity((bytes.count + 2) / 3 * 4)
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            var word: UInt32 = 0
            for (index, byte) in group.enumerated() { word |= UInt32(byte) << (16 - 8 * UInt32(index)) }
            for index in 0...group.count { text.append(digits[Int(word >> (18 - 6 * UInt32(index)) & 63)]) }
            if self == .standard { text.append(contentsOf: repeatElement(Self.padding, count: 3 - group.count)) }
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// Nil for anything that ``encode(_:)`` does not produce: foreign characters, missing or extra padding, bits behind
    /// the last byte.
    package func decode(_ text: some Collection<UInt8>) -> [UInt8]? {
        var text = text[...]
        if self == .standard {
            guard text.count % 4 == 0 else { return nil }
            let padded = text.suffix(2).count { $0 == Self.padding }
            text = text.dropLast(padded)
        }
        guard text.count % 4 != 1 else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.count / 4 * 3 + 2)
        var word: UInt32 = 0
        var bitCount: UInt32 = 0
        for character in text {
            guard let digit = value(of: character) else { return nil }
            word = word << 6 | UInt32(digit)
            bitCount += 6
            if bitCount >= 8 {
                bitCount -= 8
                bytes.append(UInt8(truncatingIfNeeded: word >> bitCount))
                word &= (1 << bitCount) - 1
            }
        }
        return word == 0 ? bytes : nil
    }

    package func decode(_ text: some StringProtocol) -> [UInt8]? {
        decode(Array(text.utf8))
    }

    private func value(of character: UInt8) -> UInt8? {
        switch character {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): character - UInt8(ascii: "A")
        case UInt8(ascii: "a")...UInt8(ascii: "z"): character - UInt8(ascii: "a") + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): character - UInt8(ascii: "0") + 52
        case digits[62]: 62
        case digits[63]: 63
        default: nil
        }
    }
}
