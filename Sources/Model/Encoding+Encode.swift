extension Encoding {
    /// The registers that hold `value`, which is in the unit of the point, as a consumer sees it. A number between two
    /// raw steps goes to the nearer one: the read-back shows what the device really took.
    package func encode(_ value: PointValue) throws(EncodingError) -> [UInt16] {
        if bits != nil { throw .isBitField }
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
        case .offset16: return UInt64(try exactly(rawInteger(value) + 0x8000) as UInt16)
        case .offset32: return UInt64(try exactly(rawInteger(value) + 0x8000_0000) as UInt32)
        case .mod10k, .string, .datetime: throw .wrongKind
        }
    }

    /// The raw number before scaling, rounded to the nearest integer.
    private func rawInteger(_ value: PointValue) throws(EncodingError) -> Int64 {
        if isUnscaled, case .int(let integer) = value { return integer }
        guard let number = value.number else { throw .wrongKind }
        let raw = ((number - offset.double) / scale.double).rounded()
        guard raw.isFinite, abs(raw) < 9.2e18 else { throw .outOfRange }
        return Int64(raw)
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

    private func half(_ byte: UInt64) -> UInt64 {
        characters == .high || characters == .highFirst ? byte << 8 : byte
    }

    private func signMagnitude(_ number: Int64, signBit: UInt64) throws(EncodingError) -> UInt64 {
        guard number.magnitude < 1 << signBit else { throw .outOfRange }
        return number.magnitude | (number < 0 ? 1 << signBit : 0)
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
        let parts = text.utf8.split(whereSeparator: { "-T:.Z".utf8.contains($0) }).map { Int(Substring($0)) }
        guard text.hasSuffix("Z"), text.utf8.count >= 20, parts.count == 6 || parts.count == 7 else { return nil }
        let fields = parts.compactMap { $0 }
        guard fields.count == parts.count else { return nil }
        let civil = CivilTime(
            year: fields[0], month: fields[1], day: fields[2], hour: fields[3], minute: fields[4], second: fields[5])
        guard civil.isValid else { return nil }
        self.init(civil)
        guard fields.count == 7 else { return }
        let digits = text.utf8.count - 21
        guard (1...6).contains(digits) else { return nil }
        microseconds += Int64(fields[6]) * [100_000, 10_000, 1000, 100, 10, 1][digits - 1]
    }
}
