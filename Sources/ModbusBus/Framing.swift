import Engine

/// What a request expects, so that nothing else can become its answer.
struct Expectation: Hashable {
    let unit: UInt8
    let function: UInt8
    /// Bytes of the reply PDU when the device does as asked; nil where only the reply itself says it.
    let replyByteCount: Int?
    /// The whole reply PDU where it is known beforehand: an acknowledgement of another write is then no answer to this one.
    var reply: [UInt8]?

    /// Whether a PDU has the shape of an answer that does as asked.
    func admits(_ pdu: ArraySlice<UInt8>) -> Bool {
        guard pdu.first == function, let replyByteCount, pdu.count == replyByteCount else { return false }
        if let reply { return pdu == reply[...] }
        return !(1...4).contains(function) || Int(pdu[pdu.startIndex + 1]) == pdu.count - 2
    }
}

/// Cuts the bytes of a Modbus TCP connection into frames (Modbus Messaging on TCP/IP V1.0b, section 3.1.3).
///
/// Some devices send a few bytes too many behind an answer. What tells them from a frame is the header of an answer that is
/// waited for: where that stands further on, what is before it belongs to no frame.
struct TCPFrames {
    struct Frame: Hashable {
        var transaction: UInt16
        var unit: UInt8
        var pdu: [UInt8]
    }

    /// What the answer to a request under way begins with.
    struct Awaited: Hashable {
        var transaction: UInt16
        var unit: UInt8
        var function: UInt8
    }

    private var bytes: [UInt8] = []
    /// Bytes that were thrown away because they belong to no frame, since ``takeDropped()``.
    private var dropped: [UInt8] = []

    /// Transaction, protocol and length, two bytes each.
    private static let headerLength = 6
    /// So many bytes that are no frame may stand before an answer, a whole one at the most: more are another protocol.
    static let longestRest = 260

    static func frame(transaction: UInt16, unit: UInt8, pdu: [UInt8]) -> [UInt8] {
        let length = UInt16(pdu.count + 1)
        return [
            UInt8(transaction >> 8), UInt8(transaction & 0xFF), 0, 0, UInt8(length >> 8), UInt8(length & 0xFF), unit,
        ] + pdu
    }

    mutating func append(_ chunk: some Collection<UInt8>) {
        bytes.append(contentsOf: chunk)
    }

    var isEmpty: Bool { bytes.isEmpty }

    mutating func takeDropped() -> [UInt8] {
        defer { dropped = [] }
        return dropped
    }

    /// Nothing is waited for: what is left here can begin no answer to a later request.
    mutating func clear() {
        dropped += bytes
        bytes.removeAll(keepingCapacity: true)
    }

    /// The next complete frame, nil when more bytes are needed.
    ///
    /// - Parameters:
    ///   - isKnown: whether an answer with this transaction may come: it is waited for, or was.
    ///   - awaited: the answers that are waited for.
    /// - Throws: ``BusError/garbled(_:)`` when what comes is not Modbus TCP: the connection is then of no more use.
    mutating func next(
        isKnown: (UInt16) -> Bool, awaited: () -> [Awaited]
    ) throws(BusError) -> Frame? {
        guard bytes.count >= Self.headerLength else { return nil }
        let length = Int(bytes[4]) << 8 | Int(bytes[5])
        let transaction = UInt16(bytes[0]) << 8 | UInt16(bytes[1])
        let isHeader = bytes[2] == 0 && bytes[3] == 0 && (2...254).contains(length)
        guard isHeader, isKnown(transaction) else {
            return try resynchronised(isHeader: isHeader, isKnown: isKnown, awaited: awaited)
        }
        return taken(length: length, transaction)
    }

    private mutating func taken(length: Int, _ transaction: UInt16) -> Frame? {
        let end = Self.headerLength + length
        guard bytes.count >= end else { return nil }
        defer { bytes.removeFirst(end) }
        return Frame(transaction: transaction, unit: bytes[6], pdu: Array(bytes[7..<end]))
    }

    /// Goes on at the first header of an answer that is waited for.
    private mutating func resynchronised(
        isHeader: Bool, isKnown: (UInt16) -> Bool, awaited: () -> [Awaited]
    ) throws(BusError) -> Frame? {
        let awaited = awaited()
        if let start = bytes.indices.dropFirst().first(where: { begins(awaited, at: $0) }) {
            dropped += bytes[..<start]
            bytes.removeFirst(start)
            return try next(isKnown: isKnown, awaited: { awaited })
        }
        if isHeader, bytes.count >= Self.headerLength + Int(bytes[4]) << 8 + Int(bytes[5]) {
            return taken(length: Int(bytes[4]) << 8 | Int(bytes[5]), UInt16(bytes[0]) << 8 | UInt16(bytes[1]))
        }
        guard isHeader || bytes.count <= Self.longestRest else {
            throw .garbled("a header that is not Modbus TCP (protocol id 0, length 2 to 254)")
        }
        return nil
    }

    private func begins(_ awaited: [Awaited], at start: Int) -> Bool {
        guard start + 8 <= bytes.count, bytes[start + 2] == 0, bytes[start + 3] == 0, bytes[start + 4] == 0 else {
            return false
        }
        let transaction = UInt16(bytes[start]) << 8 | UInt16(bytes[start + 1])
        return bytes[start + 5] >= 3
            && awaited.contains {
                $0.transaction == transaction && $0.unit == bytes[start + 6]
                    && $0.function == bytes[start + 7] & 0x7F
            }
    }
}

/// Finds the reply to one request among the bytes of an RTU channel: by unit, function, length and CRC, wherever it begins.
struct RTUReply {
    private(set) var bytes: [UInt8] = []

    /// Bytes kept at most: more than the longest echo and the longest frame is noise.
    private static let longest = 1024

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
        reply(to: expected, from: 0)?.pdu
    }

    /// The first reply that begins at `first` or later, and where its frame is.
    func reply(to expected: Expectation, from first: Int) -> (pdu: [UInt8], range: Range<Int>)? {
        for start in first..<max(first, bytes.count) where bytes[start] == expected.unit {
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
            guard end + 2 <= bytes.count, isWhole(start..<end) else { continue }
            let pdu = bytes[(start + 1)..<end]
            if expected.replyByteCount != nil, pdu.first == expected.function, !expected.admits(pdu) { continue }
            return (Array(pdu), start..<(end + 2))
        }
        return nil
    }

    private func isWhole(_ content: Range<Int>) -> Bool {
        modbusCRC(bytes[content]) == UInt16(bytes[content.upperBound]) | UInt16(bytes[content.upperBound + 1]) << 8
    }

    // MARK: - Objections

    /// Why what came first is no answer.
    enum Objection: Hashable {
        /// A whole frame of another unit.
        case foreign(UInt8)
        /// A whole frame of the unit that does not fit the request.
        case mismatch(String)
        /// The frame is complete, by what it says of itself, and its CRC is wrong.
        case damaged

        func words(_ expected: Expectation) -> String {
            switch self {
            case .foreign(let unit): "a reply from unit \(unit) instead of \(expected.unit)"
            case .mismatch(let words): words
            case .damaged: "CRC wrong"
            }
        }
    }

    /// What is to be said about the frame at the beginning, nil while it is not complete or cannot be told from noise.
    ///
    /// - Parameters:
    ///   - request: the frame that was sent: what comes back of it is no answer to object to.
    ///   - isFinal: whether nothing more is waited for, so that it cannot be an echo that is still coming.
    func objection(to expected: Expectation, request: [UInt8], isFinal: Bool = false) -> Objection? {
        let start = bytes.starts(with: request) ? request.count : 0
        if start == 0, !isFinal, request.starts(with: bytes.prefix(4)) { return nil }
        guard bytes.count >= start + 3, let length = Self.pduLength(bytes[(start + 1)...]) else { return nil }
        let end = start + 1 + length
        guard bytes.count >= end + 2 else { return nil }
        let (unit, pdu) = (bytes[start], Array(bytes[(start + 1)..<end]))
        guard isWhole(start..<end) else {
            return unit == expected.unit && pdu[0] & 0x7F == expected.function ? .damaged : nil
        }
        guard unit == expected.unit else { return .foreign(unit) }
        if pdu[0] & 0x7F != expected.function {
            return .mismatch("a reply to function \(pdu[0] & 0x7F) instead of \(expected.function)")
        }
        guard let wanted = expected.replyByteCount, (1...4).contains(pdu[0]) else {
            return pdu[0] == expected.function && expected.reply != nil
                ? .mismatch("the acknowledgement of another write") : nil
        }
        return .mismatch("\(pdu.count - 2) bytes of data instead of \(wanted - 2)")
    }

    /// Bytes of the PDU that begins here as an answer, by its function and byte count.
    private static func pduLength(_ pdu: ArraySlice<UInt8>) -> Int? {
        guard let function = pdu.first, pdu.count >= 2 else { return nil }
        switch function {
        case 1...4: return 2 + Int(pdu[pdu.startIndex + 1])
        case 5, 6, 15, 16: return 5
        case 22: return 7
        case 0x81...0x96: return 2
        default: return nil
        }
    }
}
