/// What is done to a number after scale and offset (profile key `transform`).
package enum ValueTransform: String, Sendable, CaseIterable {
    /// A power factor of four quadrants in one number from −2 to 2: up to ±1 it is the power factor, lagging; beyond, the
    /// power factor is what is missing to ±2, leading. Published is the power factor with its sign, from −1 to 1; which
    /// of the two it was is not.
    case foldedPowerFactor = "folded_power_factor"

    /// The published value; what the device cannot have meant is a decoding error.
    func decode(_ value: PointValue) -> Decoded {
        switch self {
        case .foldedPowerFactor: Self.unfolded(value)
        }
    }

    private static func unfolded(_ value: PointValue) -> Decoded {
        guard let number = value.number, abs(number) <= 2 else { return .bad(.decodeError) }
        if abs(number) <= 1 { return .value(value) }
        let whole: Int64 = number > 0 ? 2 : -2
        switch value {
        case .int(let integer): return .value(.int(whole - integer))
        case .decimal(let decimal):
            let negated = DecimalNumber(mantissa: -1).multiplied(by: decimal)
            guard let rest = negated.flatMap({ DecimalNumber(mantissa: whole).adding($0) }) else {
                return .value(.double(Double(whole) - number))
            }
            return .value(.decimal(rest))
        case .float:
            // A float32 knows a number above 1 to seven digits: without this, 1.063 becomes 0.93700004.
            return .value(.float(Float(((Double(whole) - number) * 1e6).rounded() / 1e6)))
        case .double, .uint: return .value(.double(Double(whole) - number))
        case .null, .bool, .string: return .bad(.decodeError)
        }
    }

    /// What the registers of `value` hold: of the two that mean it the one that needs no folding.
    func encode(_ value: PointValue) throws(EncodingError) -> PointValue {
        switch self {
        case .foldedPowerFactor:
            guard let number = value.number else { throw .wrongKind }
            guard abs(number) <= 1 else { throw .outOfRange }
            return value
        }
    }
}
