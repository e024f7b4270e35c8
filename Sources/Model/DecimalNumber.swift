/// `mantissa × 10^exponent`, exact. Scale factors, offsets and scaled integers live here, so that raw 2305 with scale 0.1
/// is 230.5 to the last digit on its whole way to the consumer.
package struct DecimalNumber: Hashable, Sendable {
    package var mantissa: Int64
    package var exponent: Int8

    package init(mantissa: Int64, exponent: Int8 = 0) {
        self.mantissa = mantissa
        self.exponent = exponent
    }

    package static let one = DecimalNumber(mantissa: 1)
    package static let zero = DecimalNumber(mantissa: 0)

    /// Reads plain decimal notation, also with an exponent: `-12`, `0.1`, `1e-3`, `2.50`. Nil when it is anything else, or
    /// its digits do not fit 64 bits (18 always do), or has an exponent beyond ±60. Zeros behind the last that fits are not
    /// significant, so that a large number can be read as it is written: whatever is written is read back as it was.
    package init?(_ text: some StringProtocol) {
        var digits: UInt64 = 0
        var digitCount = 0
        var exponent = 0
        var seenPoint = false
        var isNegative = false
        var isFull = false
        var bytes = Substring(text).utf8[...]
        if let sign = bytes.first, sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+") {
            isNegative = sign == UInt8(ascii: "-")
            bytes = bytes.dropFirst()
        }
        while let byte = bytes.first, byte != UInt8(ascii: "e"), byte != UInt8(ascii: "E") {
            bytes = bytes.dropFirst()
            if byte == UInt8(ascii: "."), !seenPoint {
                seenPoint = true
                continue
            }
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
            digitCount += 1
            let digit = UInt64(byte - UInt8(ascii: "0"))
            let limit = isNegative ? Int64.min.magnitude : Int64.max.magnitude
            // Looked at before it is multiplied. Once a zero is left out no other digit may follow.
            if !isFull, digits <= (limit - digit) / 10 {
                digits = digits * 10 + digit
                exponent -= seenPoint ? 1 : 0
            } else {
                guard digit == 0 else { return nil }
                isFull = true
                exponent += seenPoint ? 0 : 1
            }
        }
        guard digitCount > 0 else { return nil }
        if !bytes.isEmpty {
            bytes = bytes.dropFirst()
            if bytes.first == UInt8(ascii: "+") { bytes = bytes.dropFirst() }
            guard let power = Int(Substring(bytes), in: -1000...1000) else { return nil }
            exponent += power
        }
        guard (-60...60).contains(exponent) else { return nil }
        let mantissa = isNegative ? Int64(truncatingIfNeeded: 0 &- digits) : Int64(digits)
        self.init(mantissa: mantissa, exponent: Int8(exponent))
    }

    /// The nearest double: exact division or multiplication by a power of ten rounds once while the mantissa fits 53 bits
    /// and the power is at most 10^22.
    package var double: Double {
        let magnitude = Self.powerOfTen(abs(Int(exponent)))
        return exponent < 0 ? Double(mantissa) / magnitude : Double(mantissa) * magnitude
    }

    /// The product, or nil where it does not fit.
    package func multiplied(by other: DecimalNumber) -> DecimalNumber? {
        let (product, overflow) = mantissa.multipliedReportingOverflow(by: other.mantissa)
        let exponent = Int(exponent) + Int(other.exponent)
        guard !overflow, (-100...100).contains(exponent) else { return nil }
        return DecimalNumber(mantissa: product, exponent: Int8(exponent))
    }

    /// The sum, or nil where it does not fit.
    package func adding(_ other: DecimalNumber) -> DecimalNumber? {
        let common = min(exponent, other.exponent)
        guard let left = shifted(to: common), let right = other.shifted(to: common) else { return nil }
        let (sum, overflow) = left.addingReportingOverflow(right)
        return overflow ? nil : DecimalNumber(mantissa: sum, exponent: common)
    }

    private func shifted(to lower: Int8) -> Int64? {
        var result = mantissa
        for _ in 0..<(Int(exponent) - Int(lower)) {
            let (next, overflow) = result.multipliedReportingOverflow(by: 10)
            if overflow { return nil }
            result = next
        }
        return result
    }

    private static func powerOfTen(_ power: Int) -> Double {
        power < powers.count ? powers[power] : Double("1e\(power)") ?? .infinity
    }

    private static let powers: [Double] = [
        1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19,
        1e20,
        1e21, 1e22,
    ]
}

extension DecimalNumber: CustomStringConvertible {
    /// Plain notation, `230.5`, `-0.07`, `1200`: a JSON number.
    package var description: String {
        var bytes: [UInt8] = []
        appendText(to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Appends ``description`` as ASCII.
    package func appendText(to bytes: inout [UInt8]) {
        if mantissa < 0 { bytes.append(UInt8(ascii: "-")) }
        let digits = Array(String(mantissa.magnitude).utf8)
        let exponent = Int(exponent)
        if exponent >= 0 {
            bytes.append(contentsOf: digits)
            if mantissa != 0 { bytes.append(contentsOf: repeatElement(UInt8(ascii: "0"), count: exponent)) }
            return
        }
        let fractionDigits = -exponent
        let whole = digits.count - fractionDigits
        if whole > 0 {
            bytes.append(contentsOf: digits[..<whole])
            bytes.append(UInt8(ascii: "."))
            bytes.append(contentsOf: digits[whole...])
        } else {
            bytes.append(contentsOf: [UInt8(ascii: "0"), UInt8(ascii: ".")])
            bytes.append(contentsOf: repeatElement(UInt8(ascii: "0"), count: -whole))
            bytes.append(contentsOf: digits)
        }
    }
}
