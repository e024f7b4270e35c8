/// A number as meters hold it in two registers: a power of ten in the most significant byte, below it a mantissa of 24 bits.
struct DecadeNumber: Hashable, Sendable {
    let mantissa: Int64
    let exponent: Int8

    /// Powers that a measurement may have.
    static let exponents = -60...60

    /// The number with as many of its digits as 24 bits hold, rounded to the nearest; nil where it is too large, or negative
    /// where there is no sign.
    init?(_ number: DecimalNumber, isSigned: Bool) {
        guard isSigned || number.mantissa >= 0 else { return nil }
        let held: ClosedRange<Int64> = isSigned ? -(1 << 23)...(1 << 23) - 1 : 0...(1 << 24) - 1
        let digits = number.mantissa
        var (mantissa, exponent) = (digits, Int(number.exponent))
        var divisor: Int64 = 1
        while !held.contains(mantissa) {
            divisor *= 10
            exponent += 1
            // Rounded once, from all digits.
            let half = UInt64(divisor / 2)
            mantissa = digits / divisor + ((digits % divisor).magnitude >= half ? digits.signum() : 0)
        }
        guard Self.exponents.contains(exponent) else { return nil }
        self.mantissa = mantissa
        self.exponent = Int8(exponent)
    }

    var bits: UInt64 {
        UInt64(UInt8(bitPattern: exponent)) << 24 | UInt64(bitPattern: mantissa) & 0xFF_FFFF
    }
}
