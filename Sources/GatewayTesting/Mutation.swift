/// What a fuzzer does to bytes.
package enum Mutation {
    /// Characters that mean something to the formats under test.
    private static let telling =
        Array(#"{}[]",:.\-+eE0123456789_=ntuf /"#.utf8) + [0x00, 0x0A, 0x1F, 0x7F, 0x80, 0xC3, 0xED, 0xFF]

    /// Makes one to six changes: a byte flipped, replaced, removed, doubled, or a piece moved.
    package static func change(_ bytes: inout [UInt8], using random: inout some RandomNumberGenerator) {
        for _ in 0..<Int.random(in: 1...6, using: &random) {
            guard !bytes.isEmpty else { return bytes.append(0x7B) }
            let index = Int.random(in: 0..<bytes.count, using: &random)
            switch Int.random(in: 0..<6, using: &random) {
            case 0: bytes[index] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            case 1: bytes[index] = telling[Int.random(in: 0..<telling.count, using: &random)]
            case 2: bytes.remove(at: index)
            case 3: bytes.insert(telling[Int.random(in: 0..<telling.count, using: &random)], at: index)
            case 4:
                let end = min(bytes.count, index + Int.random(in: 1...12, using: &random))
                bytes.insert(contentsOf: bytes[index..<end], at: Int.random(in: 0...bytes.count, using: &random))
            case _: bytes.removeSubrange(index..<min(bytes.count, index + Int.random(in: 1...12, using: &random)))
            }
        }
    }
}
