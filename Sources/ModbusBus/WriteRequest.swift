import Engine
import Model

/// A request that changes something, without its framing (Modbus Application Protocol V1.1b3, sections 6.5, 6.6, 6.11, 6.12
/// and 6.16), and what its answer must be.
struct WriteRequest: Hashable {
    let write: RegisterWrite
    let unit: UInt8

    /// - Throws: ``WriteFailure/notSent(_:)`` for a request that no frame can carry.
    init(_ write: RegisterWrite, unit: UInt8) throws(WriteFailure) {
        let span = write.span
        guard (1...write.protocolLimit).contains(span.registerCount), span.end <= 65_536 else {
            throw .notSent("\(span) is not writable by one request: 1 to \(write.protocolLimit) addresses up to 65535")
        }
        self.write = write
        self.unit = unit
    }

    var pdu: [UInt8] {
        switch write {
        case .coil(let address, let isOn): Self.words(5, [address, isOn ? 0xFF00 : 0])
        case .register(let address, let word): Self.words(6, [address, word])
        case .mask(let address, let and, let or): Self.words(22, [address, and, or])
        case .coils(let address, let bits):
            Self.words(15, [address, UInt16(bits.count)]) + Self.counted(Self.packed(bits))
        case .registers(let address, let words):
            Self.words(16, [address, UInt16(words.count)])
                + Self.counted(words.flatMap { [UInt8($0 >> 8), UInt8($0 & 0xFF)] })
        }
    }

    /// The only reply that says "done": the request itself, or its first five bytes where it carries a list.
    var reply: [UInt8] {
        switch write {
        case .coil, .register, .mask: pdu
        case .coils, .registers: Array(pdu.prefix(5))
        }
    }

    var expectation: Expectation {
        Expectation(unit: unit, function: write.function, replyByteCount: reply.count, reply: reply)
    }

    /// What a reply to this request says.
    func check(_ answer: [UInt8]) throws(WriteFailure) {
        if answer == reply { return }
        guard answer.count == 2, answer[0] == write.function | 0x80 else {
            throw .indeterminate("the device acknowledged something else than it was told")
        }
        switch answer[1] {
        // Acknowledge: it goes on working at it. Gateway target failed to respond: the request was sent on.
        case 0x05: throw .indeterminate("the device has not finished (exception 05)")
        case 0x0B: throw .indeterminate("the gateway sent it on and heard nothing (exception 0B)")
        default: throw .refused(answer[1])
        }
    }

    private static func words(_ function: UInt8, _ words: [UInt16]) -> [UInt8] {
        [function] + words.flatMap { [UInt8($0 >> 8), UInt8($0 & 0xFF)] }
    }

    private static func counted(_ bytes: [UInt8]) -> [UInt8] {
        [UInt8(bytes.count)] + bytes
    }

    /// Eight coils a byte, the first one in the least significant bit.
    private static func packed(_ bits: [Bool]) -> [UInt8] {
        stride(from: 0, to: bits.count, by: 8).map { start in
            bits[start..<min(start + 8, bits.count)].enumerated().reduce(0) { $0 | ($1.element ? 1 << $1.offset : 0) }
        }
    }
}

extension WriteFailure {
    /// What it means for a write when a request failed in this way after it may have left.
    init(afterSending error: BusError) {
        switch error {
        case .linkDown(let reason): self = .indeterminate("the connection was lost before an answer came: \(reason)")
        case .noResponse: self = .indeterminate("no answer in time")
        case .garbled(let reason), .mismatch(let reason): self = .indeterminate("no valid answer: \(reason)")
        case .refused(let code): self = .refused(code)
        case .invalidRequest(let reason): self = .notSent(reason)
        }
    }

    /// What it means for a write when the channel could not be had.
    init(beforeSending error: BusError) {
        switch error {
        case .linkDown(let reason), .garbled(let reason), .mismatch(let reason), .invalidRequest(let reason):
            self = .notSent(reason)
        case .noResponse: self = .notSent("no answer in time")
        case .refused(let code): self = .refused(code)
        }
    }
}
