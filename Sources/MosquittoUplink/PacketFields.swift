/// Reads the fields of one packet, in order.
struct FieldReader {
    private let bytes: ArraySlice<UInt8>
    private(set) var position: Int

    init(_ bytes: ArraySlice<UInt8>) {
        self.bytes = bytes
        position = bytes.startIndex
    }

    var isAtEnd: Bool { position == bytes.endIndex }
    var readCount: Int { position - bytes.startIndex }
    var leftCount: Int { bytes.endIndex - position }

    mutating func byte() -> UInt8? { take(1)?.first }

    mutating func uint16() -> Int? { take(2).map { $0.reduce(0) { $0 << 8 | Int($1) } } }

    /// A text or binary data behind its length (MQTT 5, 1.5.4).
    mutating func text() -> ArraySlice<UInt8>? {
        guard let count = uint16() else { return nil }
        return take(count)
    }

    /// MQTT 5, 1.5.5.
    mutating func variableLength() -> Int? {
        var value = 0
        for index in 0..<4 {
            guard let byte = byte() else { return nil }
            value |= Int(byte & 0x7F) << (7 * index)
            if byte & 0x80 == 0 { return value }
        }
        return nil
    }

    mutating func take(_ count: Int) -> ArraySlice<UInt8>? {
        guard leftCount >= count else { return nil }
        defer { position += count }
        return bytes[position..<(position + count)]
    }
}

/// What stands before the payload of a PUBLISH.
struct PublishFields {
    private(set) var byteCount: Int
    /// Whether the library would read its texts: it ends the session over some that a broker may pass on, and a message that
    /// anybody sent would end every session that it is delivered to.
    private(set) var isReadable: Bool
    /// The same packet with a topic that means nothing, without properties.
    private(set) var nameless: [UInt8]

    /// The library takes no deeper topic.
    private static let topicDepthLimit = 200

    /// Nil where more bytes are needed.
    init?(_ bytes: ArraySlice<UInt8>, _ header: BrokerFrames.Header, _ isVersion5: Bool) throws(FrameFault) {
        var reader = FieldReader(bytes)
        guard let topic = reader.text() else { return nil }
        guard !topic.isEmpty else { throw BrokerFrames.malformed(.publish) }
        isReadable = Self.isTopic(topic)
        nameless = [0, 1, UInt8(ascii: "?")]
        if header.qos > 0 {
            guard let id = reader.uint16() else { return nil }
            guard id != 0 else { throw BrokerFrames.malformed(.publish) }
            nameless += [UInt8(id >> 8), UInt8(id & 0xFF)]
        }
        if isVersion5 {
            guard let properties = try Self.properties(&reader) else { return nil }
            guard Properties.areValid(properties, of: .publish) else { throw BrokerFrames.malformed(.publish) }
            isReadable = isReadable && Properties.areReadable(properties)
            nameless.append(0)
        }
        byteCount = reader.readCount
    }

    private static func properties(_ reader: inout FieldReader) throws(FrameFault) -> ArraySlice<UInt8>? {
        let left = reader.leftCount
        guard let count = reader.variableLength() else {
            guard left < 4 else { throw BrokerFrames.malformed(.publish) }
            return nil
        }
        guard count <= BrokerFrames.propertyLimit else {
            throw FrameFault(reason: "the broker sent a PUBLISH with \(count) bytes of properties")
        }
        return reader.take(count)
    }

    private static func isTopic(_ topic: ArraySlice<UInt8>) -> Bool {
        topic.count { $0 == UInt8(ascii: "/") } < topicDepthLimit
            && !topic.contains { $0 == UInt8(ascii: "+") || $0 == UInt8(ascii: "#") } && PlainText.isReadable(topic)
    }
}

/// Texts as the library takes them.
enum PlainText {
    /// UTF-8 without control characters and without what Unicode calls noncharacters.
    static func isReadable(_ bytes: ArraySlice<UInt8>) -> Bool {
        if bytes.allSatisfy({ (0x20...0x7E).contains($0) }) { return true }
        guard let text = String(validating: bytes, as: UTF8.self) else { return false }
        return text.unicodeScalars.allSatisfy { scalar in
            scalar.value >= 0x20 && !(0x7F...0x9F).contains(scalar.value) && scalar.value & 0xFFFE != 0xFFFE
                && !(0xFDD0...0xFDEF).contains(scalar.value)
        }
    }
}

/// The packets that carry no payload.
enum ControlFields {
    static func areValid(
        _ body: ArraySlice<UInt8>, _ type: BrokerFrames.PacketType, _ isVersion5: Bool
    ) throws(FrameFault) -> Bool {
        var reader = FieldReader(body)
        switch type {
        case .connack: return try connack(&reader, isVersion5)
        case .puback:
            guard let id = reader.uint16(), id != 0 else { return false }
            return reader.isAtEnd || (isVersion5 && reason(&reader, type))
        case .suback:
            guard let id = reader.uint16(), id != 0 else { return false }
            // One filter is asked for at a time. The library reads a code that is not there (CVE-2024-10525).
            return (!isVersion5 || properties(&reader, type)) && reader.leftCount == 1
        case .unsuback:
            guard let id = reader.uint16(), id != 0 else { return false }
            return isVersion5 ? properties(&reader, type) && reader.leftCount <= 1 : reader.isAtEnd
        case .pingresp: return reader.isAtEnd
        case .disconnect: return reader.isAtEnd || reason(&reader, type)
        case .publish: return false
        }
    }

    private static func connack(_ reader: inout FieldReader, _ isVersion5: Bool) throws(FrameFault) -> Bool {
        guard let flags = reader.byte(), flags <= 1, let code = reader.byte() else { return false }
        guard isVersion5 else { return reader.isAtEnd }
        // A broker that knows 3.1.1 only refuses in the form of 3.1.1.
        if reader.isAtEnd, code == 1 {
            throw FrameFault(reason: "the broker does not know MQTT 5; write version: 3.1.1 in the site file")
        }
        return properties(&reader, .connack) && reader.isAtEnd
    }

    /// A reason code, and properties where the packet is that long.
    private static func reason(_ reader: inout FieldReader, _ type: BrokerFrames.PacketType) -> Bool {
        guard reader.byte() != nil else { return false }
        return reader.isAtEnd || (properties(&reader, type) && reader.isAtEnd)
    }

    private static func properties(_ reader: inout FieldReader, _ type: BrokerFrames.PacketType) -> Bool {
        guard let count = reader.variableLength(), let bytes = reader.take(count) else { return false }
        return Properties.areValid(bytes, of: type)
    }
}

/// The properties of MQTT 5 (2.2.2.2) that a broker may send.
enum Properties {
    private enum Kind {
        case flag, two, twoNotZero, four, fourNotZero, variable, text, pair
    }

    static func areValid(_ bytes: ArraySlice<UInt8>, of type: BrokerFrames.PacketType) -> Bool {
        var reader = FieldReader(bytes)
        var seen: Set<UInt8> = []
        while !reader.isAtEnd {
            guard let id = reader.byte(), let kind = kind(id, in: type), skip(kind, &reader) else { return false }
            // User properties and subscription identifiers may stand there several times.
            guard id == 0x26 || id == 0x0B || seen.insert(id).inserted else { return false }
        }
        return true
    }

    /// Whether every text of a PUBLISH's properties, which are valid, is one that the library takes.
    static func areReadable(_ bytes: ArraySlice<UInt8>) -> Bool {
        var reader = FieldReader(bytes)
        while let id = reader.byte(), let kind = kind(id, in: .publish) {
            let value = FieldReader(bytes[reader.position...])
            guard skip(kind, &reader) else { return false }
            // Correlation data is binary.
            guard kind == .pair || (kind == .text && id != 0x09) else { continue }
            var texts = value
            for _ in 0..<(kind == .pair ? 2 : 1) {
                guard let text = texts.text(), PlainText.isReadable(text) else { return false }
            }
        }
        return true
    }

    private static func kind(_ id: UInt8, in type: BrokerFrames.PacketType) -> Kind? {
        switch (type, id) {
        case (_, 0x26): .pair
        case (.connack, 0x11), (.disconnect, 0x11), (.publish, 0x02): .four
        case (.connack, 0x27): .fourNotZero
        case (.connack, 0x21): .twoNotZero
        case (.connack, 0x22), (.connack, 0x13): .two
        case (.connack, 0x24), (.connack, 0x25), (.connack, 0x28), (.connack, 0x29), (.connack, 0x2A): .flag
        case (.publish, 0x01): .flag
        case (.publish, 0x0B): .variable
        case (.connack, 0x12), (.connack, 0x1A), (.connack, 0x1C), (.connack, 0x15), (.connack, 0x16): .text
        case (.publish, 0x03), (.publish, 0x08), (.publish, 0x09), (.disconnect, 0x1C): .text
        case (.connack, 0x1F), (.puback, 0x1F), (.suback, 0x1F), (.unsuback, 0x1F), (.disconnect, 0x1F): .text
        // A topic alias (0x23) would need our permission, which the gateway never gives.
        case _: nil
        }
    }

    private static func skip(_ kind: Kind, _ reader: inout FieldReader) -> Bool {
        switch kind {
        case .flag: reader.byte().map { $0 <= 1 } ?? false
        case .two: reader.take(2) != nil
        case .twoNotZero: reader.take(2).map { $0.contains { $0 != 0 } } ?? false
        case .four: reader.take(4) != nil
        case .fourNotZero: reader.take(4).map { $0.contains { $0 != 0 } } ?? false
        case .variable: reader.variableLength() != nil
        case .text: reader.text() != nil
        case .pair: reader.text() != nil && reader.text() != nil
        }
    }
}
