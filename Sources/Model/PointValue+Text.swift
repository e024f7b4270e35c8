extension PointValue {
    /// As people read it: `230.5`, `7`, `true`. Without zeros at the end, and without what only binary arithmetic has
    /// brought in: of a double 15 digits, the most that are the same in decimal and in binary.
    package var plain: String {
        switch self {
        case .null: "null"
        case .bool(let isOn): isOn ? "true" : "false"
        case .int(let integer): String(integer)
        case .uint(let integer): String(integer)
        case .float, .decimal: decimal?.shown ?? number?.description ?? ""
        case .double(let double): decimal?.roundedToFifteenDigits.shown ?? double.description
        case .string(let text): text
        }
    }
}

extension DecimalNumber {
    /// Without zeros at its end, as ``PointValue/plain`` of a double.
    package var plain: String { roundedToFifteenDigits.shown }

    /// Without zeros at its end; with a power of ten only where there would be more zeros than anybody counts.
    fileprivate var shown: String {
        let number = trimmed
        let digitCount = String(number.mantissa.magnitude).utf8.count
        let isLong = number.exponent > 15 || Int(number.exponent) + digitCount < -6
        return isLong ? "\(number.mantissa)e\(number.exponent)" : number.description
    }

    /// Of a fraction with 16 digits or more the nearest number with 15; integers are exact and stay so.
    fileprivate var roundedToFifteenDigits: DecimalNumber {
        guard exponent < 0 else { return self }
        var number = self
        var rest: Int64 = 0
        while number.mantissa.magnitude >= 1_000_000_000_000_000 {
            rest = number.mantissa % 10
            number.mantissa /= 10
            number.exponent += 1
        }
        if rest.magnitude >= 5 { number.mantissa += number.mantissa.signum() }
        return number
    }
}

extension Double {
    /// As people read it, see ``PointValue/plain``.
    package var plain: String { PointValue.double(self).plain }
}
