import Crypto
package import Model

/// `point/1`: what a point is, named by the hash of its own canonical JSON (keys sorted, no white space).
package struct PointDescriptor: Sendable {
    /// First 16 hex digits of the SHA-256 of the canonical JSON without `hash`.
    package let hash: String
    /// The document with its hash.
    package let json: [UInt8]

    package init(_ point: Point, of device: Device) {
        let content = Self.canonical(point, device, hash: nil)
        let digest = SHA256.hash(data: content)
        hash = digest.prefix(8).map { Self.twoDigits($0) }.joined()
        json = Self.canonical(point, device, hash: hash)
    }

    private static func twoDigits(_ byte: UInt8) -> String {
        String(decoding: [JSONWriter.hex[Int(byte >> 4)], JSONWriter.hex[Int(byte & 15)]], as: UTF8.self)
    }

    /// Keys in ascending order of their bytes, at every level.
    private static func canonical(_ point: Point, _ device: Device, hash: String?) -> [UInt8] {
        var json = JSONWriter(capacity: 512)
        json.object { json in
            json.member("datatype") { $0.string(point.datatype.rawValue) }
            json.optional("deadband", point.deadband) { $0.number($1) }
            json.optional("description", point.summary) { $0.string($1) }
            json.member("device") { $0.string(device.id) }
            if !point.enumeration.isEmpty { json.member("enum") { $0.enumeration(point.enumeration) } }
            json.member("expected_silence_ms") { $0.integer(point.expectedSilence.milliseconds) }
            json.optional("hash", hash) { $0.string($1) }
            json.member("id") { $0.string("\(device.id)/\(point.name)") }
            json.member("kind") { $0.string(point.kind.rawValue) }
            if !device.labels.isEmpty { json.member("labels") { $0.labels(device.labels) } }
            json.optional("limits", point.limits) { $0.range($1) }
            json.member("owner") { $0.string(device.owner) }
            json.member("period_ms") { $0.integer(point.every.milliseconds) }
            json.optional("range", point.range) { $0.range($1) }
            json.optional("resolution", point.resolution) { $0.value(.decimal($1)) }
            json.member("schema") { $0.string("point/1") }
            json.member("source") { $0.source(point, device) }
            json.member("unit") { $0.string(point.unit) }
        }
        return json.bytes
    }
}

extension Point {
    /// One step of a scaled integer in the unit of the point; nil for floats and unscaled values.
    fileprivate var resolution: DecimalNumber? {
        encoding.type.isNumeric && !encoding.type.isFloat && !encoding.type.isDecade && parts == nil
            && !encoding.isUnscaled ? encoding.scale : nil
    }
}

extension JSONWriter {
    package mutating func member(_ name: String, _ value: (inout JSONWriter) -> Void) {
        key(name)
        value(&self)
    }

    package mutating func optional<Value>(_ name: String, _ value: Value?, _ write: (inout JSONWriter, Value) -> Void) {
        guard let value else { return }
        key(name)
        write(&self, value)
    }

    /// Labels as an object with sorted keys.
    mutating func labels(_ labels: [Label]) {
        object { json in
            for label in labels.sorted(by: { $0.key < $1.key }) { json.member(label.key) { $0.string(label.value) } }
        }
    }

    fileprivate mutating func enumeration(_ labels: [EnumerationLabel]) {
        object { json in
            for label in labels.sorted(by: { String($0.code) < String($1.code) }) {
                json.member(String(label.code)) { $0.string(label.label) }
            }
        }
    }

    fileprivate mutating func range(_ range: NumericRange) {
        object { json in
            json.member("high") { $0.number(range.high) }
            json.member("low") { $0.number(range.low) }
        }
    }

    fileprivate mutating func source(_ point: Point, _ device: Device) {
        let encoding = point.encoding
        object { json in
            json.member("address") { $0.integer(point.protocolAddress) }
            json.member("codec") { $0.string(encoding.codecName) }
            json.member("connection") { $0.string(device.connection) }
            json.member("count") { $0.integer(point.span.registerCount) }
            if encoding.offset.mantissa != 0 { json.member("offset") { $0.value(.decimal(encoding.offset)) } }
            json.optional("parts", point.parts) { json, parts in
                json.array { list in parts.items.forEach { list.part($0, isSum: parts.isSum) } }
            }
            if encoding.scale != .one { json.member("scale") { $0.value(.decimal(encoding.scale)) } }
            if !encoding.sentinels.isEmpty {
                json.member("sentinels") {
                    $0.array { list in encoding.sentinels.forEach { list.value(.init(unsigned: $0)) } }
                }
            }
            json.member("table") { $0.string(point.table.rawValue) }
            json.member("unit_id") { $0.integer(device.unit) }
        }
    }

    private mutating func part(_ part: ValueParts.Item, isSum: Bool) {
        object { json in
            json.member("address") { $0.integer(part.span.start) }
            if isSum { json.member("codec") { $0.string(part.encoding.codecName) } }
            json.member("count") { $0.integer(part.span.registerCount) }
            if part.scale != .one { json.member("scale") { $0.value(.decimal(part.scale)) } }
            json.member("table") { $0.string(part.span.table.rawValue) }
        }
    }
}

extension Encoding {
    /// `float32:ABCD`, `uint16[4..7]`, `string:AB`, `float32:ABCD|folded_power_factor`: type, order where there is a
    /// choice, bit field, what is done to the number.
    fileprivate var codecName: String {
        var name = type.rawValue
        switch type {
        case .string where charset != .any: name += ":\(characters.rawValue):\(charset.rawValue)"
        case .string, .int8, .uint8: name += ":\(characters.rawValue)"
        case .datetime: name += ":\(datetime.rawValue)"
        case .bool: break
        case .int16, .uint16, .float16, .bcd16, .sm16, .offset16:
            if order.bytesAreSwapped { name += ":BA" }
        case .int24, .uint24, .int32, .uint32, .int48, .uint48, .int64, .uint64, .float32, .float64, .bcd32, .mod10k,
            .sm32, .offset32, .decade32, .udecade32:
            name += ":\(order.name)"
        }
        if let bits { name += bits.count == 1 ? "[\(bits.lowerBound)]" : "[\(bits.lowerBound)..\(bits.upperBound)]" }
        if let transform { name += "|\(transform.rawValue)" }
        return name
    }
}
