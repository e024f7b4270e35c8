/// Cuts a stream of bytes into RTU requests: by function code, length and CRC, starting over after silence or junk.
struct RTURequestFrame {
    private var bytes: [UInt8] = []

    /// Bytes of the longest RTU frame.
    private static let longest = 256

    /// Nothing came for a while: what is incomplete will not be completed.
    mutating func silence() {
        bytes.removeAll(keepingCapacity: true)
    }

    /// - Returns: complete requests with a right CRC, CRC included (as libmodbus expects them).
    mutating func append(_ chunk: some Sequence<UInt8>) -> [[UInt8]] {
        bytes.append(contentsOf: chunk)
        var requests: [[UInt8]] = []
        while let length = expectedLength, bytes.count >= length {
            let candidate = Array(bytes[..<length])
            if Self.crc(candidate[..<(length - 2)]) == UInt16(candidate[length - 2]) | UInt16(candidate[length - 1])
                << 8
            {
                requests.append(candidate)
                bytes.removeFirst(length)
            } else {
                bytes.removeFirst()
            }
        }
        if bytes.count > Self.longest { bytes.removeAll(keepingCapacity: true) }
        return requests
    }

    /// Length of the request that begins here, nil while too little is there to know.
    private var expectedLength: Int? {
        guard bytes.count >= 2 else { return nil }
        switch bytes[1] {
        case 15, 16: return bytes.count >= 7 ? 9 + Int(bytes[6]) : nil
        case 22: return 10
        case 0x11: return 4
        case 0x2B: return 7
        default: return 8
        }
    }

    /// CRC-16/MODBUS (Modbus over Serial Line V1.02, appendix B).
    static func crc(_ bytes: some Sequence<UInt8>) -> UInt16 {
        var crc: UInt16 = 0xFFFF
        for byte in bytes {
            crc ^= UInt16(byte)
            for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0xA001 : crc >> 1 }
        }
        return crc
    }
}
