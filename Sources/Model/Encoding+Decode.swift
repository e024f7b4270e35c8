extension Encoding {
    /// Decodes the registers of one value; for coils and discrete inputs one word that is 0 or 1.
    ///
    /// - Precondition: `words.count == registerCount`.
    package func decode(_ words: Span<UInt16>) -> Decoded {
        precondition(words.count == registerCount, "a value is decoded from exactly its own registers")
        let decoded = decodeUntransformed(words)
        guard let transform, case .value(let value) = decoded else { return decoded }
        return transform.decode(value)
    }

    private func decodeUntransformed(_ words: Span<UInt16>) -> Decoded {
        switch type {
        case .string: return decodeText(words)
        case .datetime: return decodeDatetime(words)
        case .mod10k: return decodeMod10k(words)
        case .bool, .int8, .uint8, .int16, .uint16, .int24, .uint24, .int32, .uint32, .int48, .uint48, .int64, .uint64,
            .float16, .float32, .float64, .bcd16, .bcd32, .sm16, .sm32, .offset16, .offset32, .decade32, .udecade32:
            let assembled = order.assemble(words)
            let raw = ownPart(of: assembled)
            if !sentinels.isEmpty, sentinels.contains(raw) || sentinels.contains(assembled) {
                return .bad(sentinelReason)
            }
            if let bits { return decodeBits(raw, bits) }
            return decodeNumber(raw)
        }
    }

    /// The byte of an int8 or uint8, the low three of an int24 or uint24; everything else as it is.
    private func ownPart(of assembled: UInt64) -> UInt64 {
        if type == .int24 || type == .uint24 { return assembled & 0xFF_FFFF }
        guard type == .int8 || type == .uint8 else { return assembled }
        return (characters == .high || characters == .highFirst ? assembled >> 8 : assembled) & 0xFF
    }

    private func decodeBits(_ raw: UInt64, _ bits: ClosedRange<Int>) -> Decoded {
        let field = raw >> UInt64(bits.lowerBound) & (bits.count >= 64 ? .max : (1 << UInt64(bits.count)) - 1)
        return bits.count == 1 ? .value(.bool(field == 1)) : scaled(PointValue(unsigned: field))
    }

    private func decodeNumber(_ raw: UInt64) -> Decoded {
        switch type {
        case .bool: .value(.bool(raw != 0))
        case .int8: scaled(.int(Int64(Int8(truncatingIfNeeded: raw))))
        case .int16: scaled(.int(Int64(Int16(truncatingIfNeeded: raw))))
        case .int32: scaled(.int(Int64(Int32(truncatingIfNeeded: raw))))
        case .int64: scaled(.int(Int64(bitPattern: raw)))
        case .int24: scaled(.int(signExtended(raw, bitCount: 24)))
        case .int48: scaled(.int(signExtended(raw, bitCount: 48)))
        case .decade32: scaledDecade(signExtended(raw, bitCount: 24), raw)
        case .udecade32: scaledDecade(Int64(raw & 0xFF_FFFF), raw)
        case .uint8, .uint16, .uint24, .uint32, .uint48, .uint64: scaled(PointValue(unsigned: raw))
        case .float16: scaledFloat(Float(Float16(bitPattern: UInt16(truncatingIfNeeded: raw))))
        case .float32: scaledFloat(Float(bitPattern: UInt32(truncatingIfNeeded: raw)))
        case .float64: scaledDouble(Double(bitPattern: raw))
        case .bcd16: decodeBCD(raw, digits: 4)
        case .bcd32: decodeBCD(raw, digits: 8)
        case .sm16: scaled(.int(signMagnitude(raw, signBit: 15)))
        case .sm32: scaled(.int(signMagnitude(raw, signBit: 31)))
        case .offset16: scaled(.int(Int64(raw) - 0x8000))
        case .offset32: scaled(.int(Int64(raw) - 0x8000_0000))
        case .mod10k, .string, .datetime: preconditionFailure("decoded from words, not from an assembled number")
        }
    }

    /// The low `bitCount` bits as a number in two's complement.
    private func signExtended(_ raw: UInt64, bitCount: UInt64) -> Int64 {
        Int64(bitPattern: raw << (64 - bitCount)) >> Int64(64 - bitCount)
    }

    private func scaledDecade(_ mantissa: Int64, _ raw: UInt64) -> Decoded {
        let exponent = Int8(truncatingIfNeeded: raw >> 24)
        // Beyond, nothing that is measured: the registers hold something else.
        guard DecadeNumber.exponents.contains(Int(exponent)) else { return .bad(.decodeError) }
        return scaled(.decimal(DecimalNumber(mantissa: mantissa, exponent: exponent)))
    }

    private func signMagnitude(_ raw: UInt64, signBit: UInt64) -> Int64 {
        let magnitude = Int64(raw & ((1 << signBit) - 1))
        return raw >> signBit & 1 == 1 ? -magnitude : magnitude
    }

    private func decodeBCD(_ raw: UInt64, digits: Int) -> Decoded {
        var number: Int64 = 0
        for position in stride(from: digits - 1, through: 0, by: -1) {
            let digit = Int64(raw >> UInt64(4 * position) & 0xF)
            if digit > 9 { return .bad(.decodeError) }
            number = number * 10 + digit
        }
        return scaled(.int(number))
    }

    private func decodeMod10k(_ words: Span<UInt16>) -> Decoded {
        if words.count <= 4, sentinels.contains(order.assemble(words)) { return .bad(sentinelReason) }
        var number: Int64 = 0
        for index in words.indices {
            let word = words[order.wordsAreSwapped ? words.count - 1 - index : index]
            let group = order.bytesAreSwapped ? word.byteSwapped : word
            if group > 9999 { return .bad(.decodeError) }
            number = number * 10_000 + Int64(group)
        }
        return scaled(.int(number))
    }

    /// Applies scale and offset exactly in decimal; only where that does not fit 64 bits, in binary floating point.
    func scaled(_ raw: PointValue) -> Decoded {
        if isUnscaled { return .value(raw) }
        if let product = raw.exact?.multiplied(by: scale),
            let sum = offset.mantissa == 0 ? product : product.adding(offset)
        {
            return .value(.decimal(sum))
        }
        return .value(.double((raw.number ?? 0) * scale.double + offset.double))
    }

    private func scaledFloat(_ raw: Float) -> Decoded {
        guard raw.isFinite else { return .bad(sentinelReason) }
        if isUnscaled { return .value(.float(raw)) }
        let value = Float(scaledExactly(raw.description) ?? Double(raw) * scale.double + offset.double)
        return value.isFinite ? .value(.float(value)) : .bad(.decodeError)
    }

    /// The shortest decimal of a floating-point number, scaled as it is read: 230.2 × 0.1 is 23.02 and not 23.019999.
    private func scaledExactly(_ raw: String) -> Double? {
        DecimalNumber(raw)?.multiplied(by: scale)?.adding(offset)?.double
    }

    private func scaledDouble(_ raw: Double) -> Decoded {
        guard raw.isFinite else { return .bad(sentinelReason) }
        if isUnscaled { return .value(.double(raw)) }
        let value = scaledExactly(raw.description) ?? raw * scale.double + offset.double
        return value.isFinite ? .value(.double(value)) : .bad(.decodeError)
    }
}
