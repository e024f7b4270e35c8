package import Model

/// Why what a broker sent is not given to the library, in words.
package struct FrameFault: Error, Hashable, Sendable {
    package var reason: String
}

/// Checks what a broker sends before the C library reads it: whole packets only, each of a type that a broker may send, of
/// bounded size, with properties that MQTT 5 knows (docs/decisions/0017). The payload of a message above the limit is
/// dropped as it comes, so that the message can be acknowledged and refused by name. Pure: bytes in, packets out.
package struct BrokerFrames: Sendable {
    /// A packet that the library may read.
    package struct Frame: Hashable, Sendable {
        package var bytes: [UInt8]
        /// Bytes of the payload as the broker sent it, for a PUBLISH; nil for the other types.
        package var payloadByteCount: Int?
    }

    /// Bytes of a packet without a payload: the texts of a CONNACK or DISCONNECT, the answers to one SUBSCRIBE.
    package static let controlLimit = 65_536
    /// Bytes of the properties of a PUBLISH.
    static let propertyLimit = 65_536

    private let isVersion5: Bool
    private let payloadLimit: Int
    private var buffer: [UInt8] = []
    private var start = 0
    /// A message whose payload is dropped, and how much of it is still to come.
    private var dropping: (frame: Frame, byteCount: Int)?
    private var isConnected = false
    private var isEnded = false

    /// - Parameter payloadLimit: bytes of a payload that are passed on; a larger payload is dropped as a whole.
    package init(version: PublisherSettings.ProtocolVersion, payloadLimit: Int) {
        isVersion5 = version == .v5
        self.payloadLimit = payloadLimit
    }

    /// Bytes that wait for the rest of their packet, or for ``next()``.
    package var waitingByteCount: Int { buffer.count - start }

    package mutating func append(_ bytes: some Collection<UInt8>) {
        guard !isEnded else { return }
        if start > 0 {
            buffer.removeFirst(start)
            start = 0
        }
        buffer.append(contentsOf: bytes)
    }

    /// The next packet, nil while none is complete.
    package mutating func next() throws(FrameFault) -> Frame? {
        if let frame = dropped() { return frame }
        guard dropping == nil, let header = try header() else { return nil }
        guard header.type == .publish else { return try control(header) }
        let available = buffer.count - header.body
        // The topic, the packet id and the properties come before the payload.
        guard let fields = try PublishFields(buffer[header.body...].prefix(header.byteCount), header, isVersion5) else {
            guard available < header.byteCount else { throw Self.malformed(header.type) }
            return nil
        }
        let payload = header.byteCount - fields.byteCount
        if payload > payloadLimit || !fields.isReadable {
            let body = fields.isReadable ? Array(buffer[header.body...].prefix(fields.byteCount)) : fields.nameless
            let bytes = [header.first] + Self.variableLength(body.count) + body
            start = header.body + fields.byteCount
            dropping = (Frame(bytes: bytes, payloadByteCount: payload), payload)
            return dropped()
        }
        guard available >= header.byteCount else { return nil }
        return take(header, payload)
    }

    private mutating func dropped() -> Frame? {
        guard let (frame, left) = dropping else { return nil }
        let count = min(left, waitingByteCount)
        start += count
        dropping = left == count ? nil : (frame, left - count)
        return left == count ? frame : nil
    }

    private mutating func take(_ header: Header, _ payload: Int?) -> Frame {
        let end = header.body + header.byteCount
        defer { start = end }
        return Frame(bytes: Array(buffer[start..<end]), payloadByteCount: payload)
    }

    private mutating func control(_ header: Header) throws(FrameFault) -> Frame? {
        guard header.byteCount <= Self.controlLimit else {
            throw FrameFault(
                reason: "the broker announces a \(header.type) of \(header.byteCount) bytes;"
                    + " at most \(Self.controlLimit) are taken")
        }
        guard buffer.count - header.body >= header.byteCount else { return nil }
        let body = buffer[header.body..<(header.body + header.byteCount)]
        guard try ControlFields.areValid(body, header.type, isVersion5) else { throw Self.malformed(header.type) }
        if header.type == .connack { isConnected = true }
        if header.type == .disconnect { isEnded = true }
        return take(header, nil)
    }

    static func malformed(_ type: PacketType) -> FrameFault {
        FrameFault(reason: "the broker sent a malformed \(type)")
    }
}

extension BrokerFrames {
    /// Packets that a broker may send to this client, which publishes and subscribes at QoS 0 and 1 (MQTT 5, 2.1.2).
    enum PacketType: UInt8, CustomStringConvertible {
        case connack = 2, publish = 3, puback = 4, suback = 9, unsuback = 11, pingresp = 13, disconnect = 14

        var description: String {
            switch self {
            case .connack: "CONNACK"
            case .publish: "PUBLISH"
            case .puback: "PUBACK"
            case .suback: "SUBACK"
            case .unsuback: "UNSUBACK"
            case .pingresp: "PINGRESP"
            case .disconnect: "DISCONNECT"
            }
        }
    }

    /// The fixed header of a packet.
    struct Header {
        var first: UInt8
        var type: PacketType
        /// Where what follows begins in the buffer, and how long it is.
        var body: Int
        var byteCount: Int

        var qos: Int { Int(first >> 1 & 3) }
    }

    private func header() throws(FrameFault) -> Header? {
        guard !isEnded, start < buffer.count else { return nil }
        let first = buffer[start]
        guard let type = PacketType(rawValue: first >> 4) else {
            throw FrameFault(reason: "the broker sent a packet of type \(first >> 4), which is none for this client")
        }
        try checkTurn(type, flags: first & 0x0F)
        var byteCount = 0
        for index in 0..<4 {
            guard start + 1 + index < buffer.count else { return nil }
            let byte = buffer[start + 1 + index]
            byteCount |= Int(byte & 0x7F) << (7 * index)
            if byte & 0x80 == 0 {
                return Header(first: first, type: type, body: start + 2 + index, byteCount: byteCount)
            }
        }
        throw Self.malformed(type)
    }

    private func checkTurn(_ type: PacketType, flags: UInt8) throws(FrameFault) {
        guard isConnected == (type != .connack) else {
            throw FrameFault(
                reason: isConnected
                    ? "the broker accepted the same session twice"
                    : "it accepts connections, but does not answer as a broker: \(type) before CONNACK")
        }
        guard type != .disconnect || isVersion5 else { throw Self.malformed(type) }
        if type == .publish {
            guard flags & 0x06 < 0x04 else {
                throw FrameFault(reason: "the broker sent a message of QoS \(flags >> 1 & 3); 1 was asked for")
            }
        } else if flags != 0 {
            throw Self.malformed(type)
        }
    }

    private static func variableLength(_ count: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        var rest = count
        repeat {
            bytes.append(UInt8(rest & 0x7F) | (rest > 0x7F ? 0x80 : 0))
            rest >>= 7
        } while rest > 0
        return bytes
    }
}
