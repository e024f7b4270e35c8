/// How the registers of one point become its value and back: the codec of bus.md, complete for one point. One encoding
/// decodes and encodes, so what was written can be read back.
package struct Encoding: Hashable, Sendable {
    package var type: ValueType
    package var order: ByteOrder
    package var characters: CharacterLayout
    package var charset = TextCharset.any
    package var datetime: DatetimeLayout
    /// Registers of one value, or 1 for a coil or discrete input.
    package var registerCount: Int
    /// Inclusive bit positions, 0 the least significant, of the assembled value.
    package var bits: ClosedRange<Int>?
    package var scale: DecimalNumber
    package var offset: DecimalNumber
    /// Raw patterns, assembled in the byte order of the point, that mean "not available". Tested before scaling.
    package var sentinels: [UInt64]
    /// What a sentinel, or a floating-point number that is none, says: that there is no value just now (``QualityReason/sentinel``),
    /// or that this device never has one (``QualityReason/notImplemented``).
    package var sentinelReason = QualityReason.sentinel
    package var transform: ValueTransform?

    package init(
        type: ValueType, order: ByteOrder = .bigEndian, characters: CharacterLayout? = nil,
        datetime: DatetimeLayout = .unix32, registerCount: Int? = nil, bits: ClosedRange<Int>? = nil,
        scale: DecimalNumber = .one, offset: DecimalNumber = .zero, sentinels: [UInt64] = [],
        transform: ValueTransform? = nil
    ) {
        self.type = type
        self.order = order
        self.characters = characters ?? (type == .string ? .highFirst : .low)
        self.datetime = datetime
        let typical = type.fixedRegisterCount ?? (type == .datetime ? datetime.registerCount : 1)
        self.registerCount = registerCount ?? typical
        self.bits = bits
        self.scale = scale
        self.offset = offset
        self.sentinels = sentinels
        self.transform = transform
    }

    /// Whether scale and offset leave the raw number as it is.
    package var isUnscaled: Bool {
        scale == .one && offset.mantissa == 0
    }

    /// Whether the registers are one number, so that it matters which comes first.
    package var takesWordOrder: Bool {
        registerCount > 1 && type != .string && (type != .datetime || datetime.isNumber)
    }

    /// The published type.
    package var datatype: Datatype {
        if let bits { return bits.count == 1 ? .bool : isUnscaled ? (bits.count <= 16 ? .uint16 : .uint32) : .float64 }
        if isUnscaled || !type.isNumeric { return type.datatype }
        return type == .float16 || type == .float32 ? .float32 : .float64
    }
}

/// What decoding one point gave: a value, or the reason why there is none.
package enum Decoded: Hashable, Sendable {
    case value(PointValue)
    case bad(QualityReason)
}

/// Why a value cannot be written into registers.
package enum EncodingError: Error, Hashable, Sendable {
    /// The value is of another kind (a text for a number, say).
    case wrongKind
    /// The raw number does not fit the registers.
    case outOfRange
    /// A bit field shares its register with others and needs a mask write.
    case isBitField
}
