import Engine
import Model

/// A checksum over a stored row, its position, epoch and time included: a flipped bit must not become another value.
enum RowCheck {
    /// Begins a body with a checksum; bodies of older versions begin with their format.
    static let marker: UInt8 = 0xC1
    /// Marker and checksum.
    static let byteCount = 5

    static func sealed(_ row: StoredRow) -> [UInt8] {
        let sum = sum(row.body[...], Int64(row.position), Int64(row.epoch), row.recorded.microseconds)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(byteCount + row.body.count)
        bytes.append(marker)
        for shift in [0, 8, 16, 24] as [UInt32] { bytes.append(UInt8(truncatingIfNeeded: sum >> shift)) }
        bytes += row.body
        return bytes
    }

    /// Nil where the row is not what was stored.
    static func opened(_ bytes: [UInt8], _ seq: Int64, _ epoch: Int64, _ recorded: Int64) -> [UInt8]? {
        guard bytes.first == marker else { return bytes }
        guard bytes.count >= byteCount else { return nil }
        let sum = bytes[1..<byteCount].reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        let body = bytes[byteCount...]
        return self.sum(body, seq, epoch, recorded) == sum ? Array(body) : nil
    }

    /// FNV-1a, 32 bits: never the same where a single byte differs.
    private static func sum(_ body: ArraySlice<UInt8>, _ numbers: Int64...) -> UInt32 {
        var sum: UInt32 = 0x811C_9DC5
        for number in numbers {
            for shift in stride(from: 0, to: 64, by: 8) {
                sum = (sum ^ UInt32(UInt8(truncatingIfNeeded: number >> Int64(shift)))) &* 0x0100_0193
            }
        }
        for byte in body { sum = (sum ^ UInt32(byte)) &* 0x0100_0193 }
        return sum
    }
}
