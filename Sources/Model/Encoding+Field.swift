/// Values that share their registers with others: bit fields, half registers and the low three bytes of two.
extension Encoding {
    /// The bits of each register that belong to the value; all of them unless it shares a register.
    package var ownedBits: [UInt16] {
        guard type != .string, type != .datetime, type != .mod10k else {
            return Array(repeating: .max, count: registerCount)
        }
        let isHalf = type == .int8 || type == .uint8
        var mask: UInt64 = isHalf ? 0xFF : type == .int24 || type == .uint24 ? 0xFF_FFFF : .max
        if let bits { mask = Self.ones(bits.count) << UInt64(bits.lowerBound) }
        return order.disassemble(isHalf ? half(mask & 0xFF) : mask, registerCount: registerCount)
    }

    /// Whether writing the value must leave bits of its registers as they are.
    package var sharesRegisters: Bool {
        ownedBits.contains { $0 != .max }
    }

    /// The registers with `value` in its own bits and 0 in all others.
    package func encodeField(_ value: PointValue) throws(EncodingError) -> [UInt16] {
        guard let bits else { return try encode(value) }
        let field = try fieldBits(value, bits) << UInt64(bits.lowerBound)
        return order.disassemble(type == .uint8 ? half(field & 0xFF) : field, registerCount: registerCount)
    }

    private func fieldBits(_ value: PointValue, _ bits: ClosedRange<Int>) throws(EncodingError) -> UInt64 {
        if bits.count == 1, case .bool(let isOn) = value { return isOn ? 1 : 0 }
        let number = try rawInteger(value)
        guard number >= 0, UInt64(number) <= Self.ones(bits.count) else { throw .outOfRange }
        return UInt64(number)
    }

    /// The lowest `count` bits set.
    private static func ones(_ count: Int) -> UInt64 {
        count >= 64 ? .max : (1 << UInt64(count)) - 1
    }
}
