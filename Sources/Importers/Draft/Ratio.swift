import Model

/// Division of decimals, for scales that are written as a divisor or as two ranges.
enum Ratio {
    /// The exact quotient, or one of 9 digits: a raw number times more of them is longer than consumers read. Nil for
    /// division by zero and for what does not fit.
    static func quotient(_ dividend: DecimalNumber, _ divisor: DecimalNumber) -> (value: DecimalNumber, isExact: Bool)?
    {
        guard divisor.mantissa != 0 else { return nil }
        var rest = dividend.mantissa.magnitude
        var overflow = false
        let by = divisor.mantissa.magnitude
        var quotient: UInt64 = 0
        var exponent = Int(dividend.exponent) - Int(divisor.exponent)
        (quotient, rest) = rest.quotientAndRemainder(dividingBy: by)
        while rest != 0, !overflow, quotient < 100_000_000 {
            let (next, tooLarge) = rest.multipliedReportingOverflow(by: 10)
            overflow = tooLarge
            guard !overflow else { break }
            quotient = quotient * 10 + next / by
            rest = next % by
            exponent -= 1
        }
        guard quotient < 1_000_000_000_000_000_000, (-60...60).contains(exponent) else { return nil }
        let isNegative = (dividend.mantissa < 0) != (divisor.mantissa < 0)
        let mantissa = Int64(quotient)
        let value = DecimalNumber(mantissa: isNegative ? -mantissa : mantissa, exponent: Int8(exponent))
        return (value.trimmed, rest == 0)
    }

    /// Scale and offset that take `raw` to `scaled`; nil where the raw range is empty.
    static func line(
        raw: (low: DecimalNumber, high: DecimalNumber), scaled: (low: DecimalNumber, high: DecimalNumber)
    ) -> (scale: DecimalNumber, offset: DecimalNumber, isExact: Bool)? {
        guard let rawSpan = raw.high.adding(raw.low.negated), let span = scaled.high.adding(scaled.low.negated),
            let (scale, isExact) = quotient(span, rawSpan), let shift = raw.low.multiplied(by: scale),
            let offset = scaled.low.adding(shift.negated)
        else { return nil }
        return (scale, offset.trimmed, isExact)
    }
}

extension DecimalNumber {
    /// The smallest mantissa has no opposite; the nearest is taken.
    var negated: DecimalNumber {
        DecimalNumber(mantissa: mantissa == .min ? .max : -mantissa, exponent: exponent)
    }
}
