import Engine

/// What a request expects, so that nothing else can become its answer.
struct Expectation: Hashable {
    let unit: UInt8
    let function: UInt8
    /// Bytes of the reply PDU when the device does as asked; nil where only the reply itself says it.
    let replyByteCount: Int?
    /// The whole reply PDU where it is known beforehand: an acknowledgement of another write is then no answer to this one.
    var reply: [UInt8]?
}

/// Cuts the bytes of a Modbus TCP connection into frames (Modbus Messaging on TCP/IP V1.0b, section 3.1.3).
struct TCPFrames {
    struct Frame: Hashable {
        var transaction: UInt16
        var unit: UInt8
        var pdu: [UInt8]
    }

    private var bytes: [UInt8] = []

    /// Transaction, protocol and length, two bytes each.
    private static let headerLength = 6

    static func frame(transaction: UInt16, unit: UInt8, pdu: [UInt8]) -> [UInt8] {
        let length = UInt16(pdu.count + 1)
        return [
            UInt8(transaction >> 8), UInt8(transaction & 0xFF), 0, 0, UInt8(length >> 8), UInt8(length & 0xFF), unit,
        ] + pdu
    }

    mutating func append(_ chunk: some Collection<UInt8>) {
        bytes.append(contentsOf: chunk)
    }

    /// The next complete frame, nil when more bytes are needed.
    ///
    /// - Throws: ``BusError/garbled(_:)`` when what comes is not Modbus TCP: the connection is then of no more use.
    mutating func next() throws(BusError) -> Frame? {
        guard bytes.count >= Self.headerLength else { return nil }
        let length = Int(bytes[4]) << 8 | Int(bytes[5])
        guard bytes[2] == 0, bytes[3] == 0, (2...254).contains(length) else {
            throw .garbled("a header that is not Modbus TCP (protocol id 0, length 2 to 254)")
        }
        let end = Self.headerLength + length
        guard bytes.count >= end else { return nil }
        defer { bytes.removeFirst(end) }
        return Frame(
            transaction: UInt16(bytes[0]) << 8 | UInt16(bytes[1]), unit: bytes[6], pdu: Array(bytes[7..<end]))
    }
}

/// Finds the reply to one request among the bytes of an RTU channel: by unit, function, length and CRC, wherever it begins.
struct RTUReply {
    private(set) var bytes: [UInt8] = []

    /// Bytes kept at most: more than the longest frame is noise.
    private static let longest = 512

    static func frame(unit: UInt8, pdu: [UInt8]) -> [UInt8] {
        let content = [unit] + pdu
        let crc = modbusCRC(content)
        return content + [UInt8(crc & 0xFF), UInt8(crc >> 8)]
    }

    var isEmpty: Bool { bytes.isEmpty }

    mutating func clear() {
        bytes.removeAll(keepingCapacity: true)
    }

    mutating func append(_ chunk: some Collection<UInt8>) {
        bytes.append(contentsOf: chunk)
        if bytes.count > Self.longest { bytes.removeFirst(bytes.count - Self.longest) }
    }

    /// The reply PDU once it is complete.
    func reply(to expected: Expectation) -> [UInt8]? {
        for start in bytes.indices where bytes[start] == expected.unit {
            guard start + 1 < bytes.count else { return nil }
            let pduLength: Int
            switch bytes[start + 1] {
            case expected.function:
                guard let length = expected.replyByteCount ?? IdentityQuery.replyByteCount(bytes[(start + 1)...]) else {
                    continue
                }
                pduLength = length
            case expected.function | 0x80: pduLength = 2
            default: continue
            }
            let end = start + 1 + pduLength
            guard end + 2 <= bytes.count else { continue }
            guard modbusCRC(bytes[start..<end]) == UInt16(bytes[end]) | UInt16(bytes[end + 1]) << 8 else { continue }
            let pdu = Array(bytes[(start + 1)..<end])
            if let exact = expected.reply, pdu[0] == expected.function, pdu != exact { continue }
            return pdu
        }
        return nil
    }
}
