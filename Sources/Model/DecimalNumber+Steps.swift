/// Division, exact in decimal.
extension DecimalNumber {
    /// How many steps of this width lie between `offset` and the number: the nearest whole number, and of two that are
    /// equally near the even one. Nil where it does not fit.
    package func steps(of width: DecimalNumber, from offset: DecimalNumber) -> Int64? {
        guard offset.mantissa != .min else { return nil }
        let negated = DecimalNumber(mantissa: -offset.mantissa, exponent: offset.exponent)
        guard let distance = adding(negated), let (top, bottom) = distance.fraction(over: width) else { return nil }
        let (whole, rest) = top.quotientAndRemainder(dividingBy: bottom)
        let double = rest.magnitude * 2
        let isUp = double > bottom.magnitude || (double == bottom.magnitude && whole % 2 != 0)
        let direction: Int128 = (top < 0) == (bottom < 0) ? 1 : -1
        return Int64(exactly: isUp ? whole + direction : whole)
    }

    /// The quotient where it has no more than six digits behind those of the numbers; nil for any other.
    package func divided(by other: DecimalNumber) -> DecimalNumber? {
        guard other.mantissa != 0 else { return nil }
        var top = Int128(mantissa)
        for digits in 0...6 {
            let (whole, rest) = top.quotientAndRemainder(dividingBy: Int128(other.mantissa))
            let exponent = Int(exponent) - Int(other.exponent) - digits
            if rest == 0 {
                guard let mantissa = Int64(exactly: whole), (-60...60).contains(exponent) else { return nil }
                return DecimalNumber(mantissa: mantissa, exponent: Int8(exponent))
            }
            top *= 10
        }
        return nil
    }

    /// Whether both are the same number, however they are written.
    package func isEqual(to other: DecimalNumber) -> Bool {
        guard mantissa != 0, other.mantissa != 0 else { return mantissa == other.mantissa }
        return fraction(over: other).map { $0.top == $0.bottom } ?? false
    }

    /// The quotient as a fraction; nil where it does not fit.
    private func fraction(over other: DecimalNumber) -> (top: Int128, bottom: Int128)? {
        let shift = Int(exponent) - Int(other.exponent)
        guard other.mantissa != 0, abs(shift) <= 18 else { return nil }
        let power = (0..<abs(shift)).reduce(Int128(1)) { power, _ in power * 10 }
        return shift >= 0
            ? (Int128(mantissa) * power, Int128(other.mantissa)) : (Int128(mantissa), Int128(other.mantissa) * power)
    }
}

extension PointValue {
    /// The number as it is written down: of a binary one the shortest decimal that names it. Nil for what is no number and
    /// for what does not fit.
    package var decimal: DecimalNumber? {
        switch self {
        case .float(let value): DecimalNumber(value.description)
        case .double(let value): DecimalNumber(value.description)
        case .null, .bool, .int, .uint, .decimal, .string: exact
        }
    }

    /// Whether both say the same: numbers by what they are, not by how they are held.
    package func says(_ other: PointValue) -> Bool {
        if self == other { return true }
        if let left = decimal, let right = other.decimal { return left.isEqual(to: right) }
        guard let left = number, let right = other.number else { return false }
        return left == right
    }
}
