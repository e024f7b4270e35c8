import Crypto

/// A node of a Merkle tree over SHA-256, hashed as in RFC 6962, section 2.1: leaves and inner nodes in different domains, so
/// that neither can be passed off as the other.
package struct MerkleHash: Hashable, Sendable {
    package static let byteCount = 32

    /// Always ``byteCount`` bytes.
    package let bytes: [UInt8]

    /// Nil unless there are 32 bytes.
    package init?(_ bytes: [UInt8]) {
        guard bytes.count == Self.byteCount else { return nil }
        self.bytes = bytes
    }

    private init(digestOf input: [UInt8]) {
        bytes = Array(SHA256.hash(data: input))
    }

    /// The root of a tree without leaves: the hash of nothing.
    package static let empty = MerkleHash(digestOf: [])

    package static func leaf(_ content: [UInt8]) -> MerkleHash {
        MerkleHash(digestOf: [0x00] + content)
    }

    package static func node(_ left: MerkleHash, _ right: MerkleHash) -> MerkleHash {
        var input: [UInt8] = [0x01]
        input.reserveCapacity(1 + 2 * byteCount)
        input += left.bytes
        input += right.bytes
        return MerkleHash(digestOf: input)
    }

    /// The plain SHA-256 of `content`, for what is named by its hash and is no node.
    package static func digest(_ content: [UInt8]) -> MerkleHash {
        MerkleHash(digestOf: content)
    }

    package var hex: String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }

    /// Reads ``hex``; nil for anything else.
    package init?(hex: some StringProtocol) {
        let digits = hex.utf8.map { Character(UnicodeScalar($0)) }
        guard digits.count == 2 * Self.byteCount, digits.allSatisfy({ "0123456789abcdef".contains($0) }) else {
            return nil
        }
        self.init(
            stride(from: 0, to: digits.count, by: 2).compactMap { index in
                guard let high = digits[index].hexDigitValue, let low = digits[index + 1].hexDigitValue else {
                    return nil
                }
                return UInt8(high << 4 | low)
            })
    }
}
