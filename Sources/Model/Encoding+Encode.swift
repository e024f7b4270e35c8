extension Encoding {
    /// The registers that hold `value`, which is in the unit of the point, as a consumer sees it. A number between two
    /// raw steps goes to the nearer one: the read-back shows what the device really took.
    package func encode(_ value: PointValue) throws(EncodingError) -> [UInt16] {
        if bits != nil { throw .isBitField }
        let value = try transform?.encode(value) ?? value
        switch (type, value) {
        case (.string, .string(let text)): return try encodeText(text)
        case (.datetime, .string(let text)):
            guard let time = UnixTime(rfc3339: text) else { throw .wrongKind }
            return try encodeDatetime(time)
        case (.string, _), (.datetime, _), (_, .string), (_, .null): throw .wrongKind
        case (.mod10k, _): return try encodeMod10k(rawInteger(value))
        default: return order.disassemble(try rawBits(value), registerCount: registerCount)
        }
    }

    private func rawBits(_ value: PointValue) throws(EncodingError) -> UInt64 {
        switch type {
        case .bool:
            if case .bool(let isOn) = value { return isOn ? 1 : 0 }
            let number = try rawInteger(value)
            guard number == 0 || number == 1 else { throw .outOfRange }
            return UInt64(number)
        case .int8: return try half(UInt64(UInt8(bitPattern: fitting(value))))
        case .uint8: return try half(UInt64(fitting(value) as UInt8))
        case .int16: return UInt64(UInt16(bitPattern: try fitting(value)))
        case .uint16: return UInt64(try fitting(value) as UInt16)
        case .int24, .int48: return try signed(value, bitCount: type == .int24 ? 24 : 48)
        case .uint24, .uint48: return try unsigned(value, bitCount: type == .uint24 ? 24 : 48)
        case .decade32, .udecade32: return try decade(value)
        case .int32: return UInt64(UInt32(bitPattern: try fitting(value)))
        case .uint32: return UInt64(try fitting(value) as UInt32)
        case .int64: return UInt64(bitPattern: try fitting(value))
        case .uint64: return try unsigned(value)
        case .float16: return UInt64(Float16(try rawFloat(value, limit: 65_504)).bitPattern)
        case .float32:
            return UInt64(Float(try rawFloat(value, limit: Double(Float.greatestFiniteMagnitude))).bitPattern)
        case .float64: return try rawFloat(value, limit: .greatestFiniteMagnitude).bitPattern
        case .bcd16: return try bcd(rawInteger(value), digits: 4)
        case .bcd32: return try bcd(rawInteger(value), digits: 8)
        case .sm16: return try signMagnitude(rawInteger(value), signBit: 15)
        case .sm32: return try signMagnitude(rawInteger(value), signBit: 31)
        case .offset16: return try offsetBinary(rawInteger(value), zero: 0x8000)
        case .offset32: return try offsetBinary(rawInteger(value), zero: 0x8000_0000)
        case .mod10k, .string, .datetime: throw .wrongKind
        }
    }

    /// The raw number before scaling: the nearest whole number, and of two that are equally near the even one. In decimal
    /// where that fits: 0.35 is halfway between 0.3 and 0.4, and in binary it is not.
    func rawInteger(_ value: PointValue) throws(EncodingError) -> Int64 {
        if isUnscaled, case .int(let integer) = value { return integer }
        if let raw = value.decimal?.steps(of: scale, from: offset) { return raw }
        guard let number = value.number else { throw .wrongKind }
        let raw = ((number - offset.double) / scale.double).rounded(.toNearestOrEven)
        guard raw.isFinite, abs(raw) < 9.2e18 else { throw .outOfRange }
        return Int64(clamping: raw)
    }

    private func signed(_ value: PointValue, bitCount: UInt64) throws(EncodingError) -> UInt64 {
        let number = try rawInteger(value)
        let limit: Int64 = 1 << Int64(bitCount - 1)
        guard (-limit..<limit).contains(number) else { throw .outOfRange }
        return UInt64(bitPattern: number) & ((1 << bitCount) - 1)
    }

    private func unsigned(_ value: PointValue, bitCount: UInt64) throws(EncodingError) -> UInt64 {
        let number: UInt64 = try exactly(rawInteger(value))
        guard number < 1 << bitCount else { throw .outOfRange }
        return number
    }

    private func decade(_ value: PointValue) throws(EncodingError) -> UInt64 {
        guard let number = value.number else { throw .wrongKind }
        let raw: DecimalNumber?
        if isUnscaled, let exact = value.exact {
            raw = exact
        } else {
            raw = DecimalNumber((isUnscaled ? number : (number - offset.double) / scale.double).description)?.trimmed
        }
        guard let raw, let fitting = DecadeNumber(raw, isSigned: type == .decade32) else { throw .outOfRange }
        return fitting.bits
    }

    private func unsigned(_ value: PointValue) throws(EncodingError) -> UInt64 {
        if isUnscaled, case .uint(let integer) = value { return integer }
        return try exactly(rawInteger(value))
    }

    private func rawFloat(_ value: PointValue, limit: Double) throws(EncodingError) -> Double {
        guard let number = value.number else { throw .wrongKind }
        let raw = isUnscaled ? number : (number - offset.double) / scale.double
        guard raw.isFinite, abs(raw) <= limit else { throw .outOfRange }
        return raw
    }

    private func fitting<Integer: FixedWidthInteger>(_ value: PointValue) throws(EncodingError) -> Integer {
        try exactly(rawInteger(value))
    }

    private func exactly<Integer: FixedWidthInteger>(_ number: Int64) throws(EncodingError) -> Integer {
        guard let exact = Integer(exactly: number) else { throw .outOfRange }
        return exact
    }

    func half(_ byte: UInt64) -> UInt64 {
        characters == .high || characters == .highFirst ? byte << 8 : byte
    }

    private func signMagnitude(_ number: Int64, signBit: UInt64) throws(EncodingError) -> UInt64 {
        guard number.magnitude < 1 << signBit else { throw .outOfRange }
        return number.magnitude | (number < 0 ? 1 << signBit : 0)
    }

    private func offsetBinary(_ number: Int64, zero: Int64) throws(EncodingError) -> UInt64 {
        guard (-zero..<zero).contains(number) else { throw .outOfRange }
        return UInt64(number + zero)
    }

    private func bcd(_ number: Int64, digits: Int) throws(EncodingError) -> UInt64 {
        var rest = number
        var raw: UInt64 = 0
        guard rest >= 0 else { throw .outOfRange }
        for position in 0..<digits {
            raw |= UInt64(rest % 10) << UInt64(4 * position)
            rest /= 10
        }
        guard rest == 0 else { throw .outOfRange }
        return raw
    }

    private func encodeMod10k(_ number: Int64) throws(EncodingError) -> [UInt16] {
        var rest = number
        guard rest >= 0 else { throw .outOfRange }
        var groups: [UInt16] = []
        for _ in 0..<registerCount {
            groups.append(UInt16(rest % 10_000))
            rest /= 10_000
        }
        guard rest == 0 else { throw .outOfRange }
        let words = order.wordsAreSwapped ? groups : groups.reversed()
        return order.bytesAreSwapped ? words.map(\.byteSwapped) : words
    }
}

extension UnixTime {
    /// Reads `2026-11-20T23:41:07Z` and `2026-11-20T23:41:07.105Z`, UTC only; nil for everything else.
    package init?(rfc3339 text: String) {
        guard Self.isRFC3339(Array(text.utf8)) else { return nil }
        let fields = text.utf8.split(whereSeparator: { "-T:.Z".utf8.contains($0) }).compactMap {
            Int(Substring($0), in: 0...999_999)
        }
        let civil = CivilTime(
            year: fields[0], month: fields[1], day: fields[2], hour: fields[3], minute: fields[4], second: fields[5])
        guard civil.isValid else { return nil }
        self.init(civil)
        guard fields.count == 7 else { return }
        microseconds += Int64(fields[6]) * [100_000, 10_000, 1000, 100, 10, 1][text.utf8.count - 22]
    }

    /// Whether `text` has a digit, sign or letter where RFC 3339 wants one, with no more than six fractional digits.
    private static func isRFC3339(_ text: [UInt8]) -> Bool {
        let digit = UInt8(ascii: "0")
        let pattern = Array("0000-00-00T00:00:00".utf8)
        let fraction = text.dropFirst(pattern.count).dropLast()
        guard text.count >= 20, text.last == UInt8(ascii: "Z") else { return false }
        func matches(_ byte: UInt8, _ wanted: UInt8) -> Bool {
            wanted == digit ? (digit...digit + 9).contains(byte) : byte == wanted
        }
        guard zip(text, pattern).allSatisfy({ matches($0, $1) }) else { return false }
        guard let point = fraction.first else { return true }
        return point == UInt8(ascii: ".") && (2...7).contains(fraction.count)
            && fraction.dropFirst().allSatisfy { matches($0, digit) }
    }
}
