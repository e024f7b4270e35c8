/// Appends numbers in the compact forms of the journal.
struct ByteWriter {
    var bytes: [UInt8] = []

    /// Seven bits a byte, least significant first, the high bit says that more follow (LEB128).
    mutating func varint(_ number: UInt64) {
        var rest = number
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }

    /// Small magnitudes of both signs take few bytes.
    mutating func zigzag(_ number: Int64) {
        varint(UInt64(bitPattern: number << 1 ^ number >> 63))
    }

    mutating func fixed(_ number: some FixedWidthInteger) {
        withUnsafeBytes(of: number.littleEndian) { bytes.append(contentsOf: $0) }
    }

    mutating func text(_ text: String) {
        varint(UInt64(text.utf8.count))
        bytes.append(contentsOf: text.utf8)
    }

    mutating func optional(_ text: String?) {
        self.text(text ?? "")
    }
}

/// Reads what ``ByteWriter`` wrote. Every read is checked: arbitrary bytes give an error, never a crash.
struct ByteReader {
    /// The bytes are not what a journal writes.
    struct Malformed: Error, Hashable {}

    private let bytes: [UInt8]
    private var position = 0

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    var isAtEnd: Bool { position == bytes.count }
    var remaining: Int { bytes.count - position }

    mutating func byte() throws(Malformed) -> UInt8 {
        guard position < bytes.count else { throw Malformed() }
        defer { position += 1 }
        return bytes[position]
    }

    mutating func varint() throws(Malformed) -> UInt64 {
        var number: UInt64 = 0
        var shift: UInt64 = 0
        while true {
            let next = try byte()
            guard shift < 63 || next <= 1 else { throw Malformed() }
            number |= UInt64(next & 0x7F) << shift
            if next < 0x80 { return number }
            shift += 7
        }
    }

    mutating func zigzag() throws(Malformed) -> Int64 {
        let number = try varint()
        return Int64(bitPattern: number >> 1) ^ -Int64(bitPattern: number & 1)
    }

    /// A number of things that is at most `limit`.
    mutating func count(limit: Int) throws(Malformed) -> Int {
        let number = try varint()
        guard number <= UInt64(limit) else { throw Malformed() }
        return Int(number)
    }

    mutating func fixed<Integer: FixedWidthInteger>(_: Integer.Type) throws(Malformed) -> Integer {
        let size = MemoryLayout<Integer>.size
        guard remaining >= size else { throw Malformed() }
        var number: Integer = 0
        for index in 0..<size { number |= Integer(truncatingIfNeeded: bytes[position + index]) << (8 * index) }
        position += size
        return number
    }

    mutating func text() throws(Malformed) -> String {
        let length = try count(limit: Int(Int32.max))
        guard length <= remaining, let text = String(validating: bytes[position..<(position + length)], as: UTF8.self)
        else {
            throw Malformed()
        }
        position += length
        return text
    }
}
