import Engine
import Model

/// Requests and replies without their framing (Modbus Application Protocol V1.1b3, section 6): the one codec of all channels.
struct ReadRequest: Hashable {
    let span: RegisterSpan

    /// - Throws: ``BusError/invalidRequest(_:)`` for a span that no request can ask for.
    init(_ span: RegisterSpan) throws(BusError) {
        guard (1...span.table.protocolLimit).contains(span.registerCount), span.end <= 65_536 else {
            throw .invalidRequest(
                "\(span) is not readable by one request: 1 to \(span.table.protocolLimit) addresses up to 65535")
        }
        self.span = span
    }

    /// Function code, first address, count.
    var pdu: [UInt8] {
        let count = UInt16(span.registerCount)
        return [
            span.table.readFunction, UInt8(span.start >> 8), UInt8(span.start & 0xFF), UInt8(count >> 8),
            UInt8(count & 0xFF),
        ]
    }

    /// Bytes of the data in a reply.
    var dataByteCount: Int {
        span.table.isBits ? (span.registerCount + 7) / 8 : span.registerCount * 2
    }

    /// Function code, byte count, data.
    var replyByteCount: Int { dataByteCount + 2 }

    /// The words of a reply: a register each, or a 0 or 1 for each bit.
    func words(of reply: [UInt8]) throws(BusError) -> [UInt16] {
        guard let function = reply.first else { throw .garbled("an empty reply") }
        if function == span.table.readFunction | 0x80 {
            guard reply.count == 2 else { throw .garbled("an exception of \(reply.count) bytes instead of 2") }
            throw .refused(reply[1])
        }
        guard function == span.table.readFunction else {
            throw .garbled("function \(function) instead of \(span.table.readFunction)")
        }
        guard reply.count == replyByteCount, Int(reply[1]) == dataByteCount else {
            throw .mismatch(mismatch(reply))
        }
        return span.table.isBits ? bits(of: reply) : registers(of: reply)
    }

    /// - Parameter reply: of the right function.
    private func mismatch(_ reply: [UInt8]) -> String {
        guard reply.count > 2 else { return "no data instead of \(dataByteCount) bytes" }
        let count = "\(reply.count - 2) bytes of data instead of \(dataByteCount)"
        return Int(reply[1]) == reply.count - 2 ? count : "\(count), with a byte count of \(reply[1])"
    }

    private func registers(of reply: [UInt8]) -> [UInt16] {
        [UInt16](unsafeUninitializedCapacity: span.registerCount) { words, count in
            for index in 0..<span.registerCount {
                words[index] = UInt16(reply[2 + 2 * index]) << 8 | UInt16(reply[3 + 2 * index])
            }
            count = span.registerCount
        }
    }

    private func bits(of reply: [UInt8]) -> [UInt16] {
        (0..<span.registerCount).map { UInt16(reply[2 + $0 / 8] >> UInt8($0 % 8) & 1) }
    }
}

/// CRC-16/MODBUS (Modbus over Serial Line V1.02, appendix B), least significant byte first on the wire.
func modbusCRC(_ bytes: some Sequence<UInt8>) -> UInt16 {
    var crc: UInt16 = 0xFFFF
    for byte in bytes {
        crc ^= UInt16(byte)
        for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0xA001 : crc >> 1 }
    }
    return crc
}
