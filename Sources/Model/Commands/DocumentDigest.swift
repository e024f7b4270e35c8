/// The SHA-256 of a document's bytes as other documents name it: `sha256:` and 64 lower-case hexadecimal digits.
package enum DocumentDigest {
    private static let prefix = "sha256:"
    private static let digits = Array("0123456789abcdef".utf8)

    package static func text(_ bytes: [UInt8]) -> String {
        prefix + hex(bytes)
    }

    /// Two lower-case hexadecimal digits a byte.
    package static func hex(_ bytes: [UInt8]) -> String {
        String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }

    /// The bytes that `text` names; nil for everything but the one form above.
    package static func bytes(_ text: String) -> [UInt8]? {
        let hex = Array(text.utf8.dropFirst(prefix.utf8.count))
        guard text.hasPrefix(prefix), hex.count == 64 else { return nil }
        let nibbles = hex.compactMap { digit in digits.firstIndex(of: digit).map { UInt8($0) } }
        guard nibbles.count == 64 else { return nil }
        return stride(from: 0, to: 64, by: 2).map { nibbles[$0] << 4 | nibbles[$0 + 1] }
    }
}
