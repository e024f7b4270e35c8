/// Numbers that come from outside: texts of files, requests and arguments, numbers of documents, and what is computed from
/// them as `Double`. Each reader of one declares the range that it allows, so that no sum, product or conversion behind it can
/// leave its type, which would end the process. The readers without a range do not compile, see the end of this file.
extension FixedWidthInteger {
    /// The whole number that `text` writes in digits of `radix`, `-` in front of it where it is negative; nil where it writes
    /// anything else, or a number outside of `range`.
    package init?(_ text: some StringProtocol, radix: Int = 10, in range: ClosedRange<Self>) {
        let isNegative = text.utf8.first == UInt8(ascii: "-")
        let digits = text.utf8.dropFirst(isNegative ? 1 : 0)
        guard !digits.isEmpty else { return nil }
        var number: Self = 0
        for byte in digits {
            guard let digit = Self.digit(byte), digit < radix else { return nil }
            let (product, isTooLarge) = number.multipliedReportingOverflow(by: Self(radix))
            let (next, isOver) =
                isNegative
                ? product.subtractingReportingOverflow(Self(digit)) : product.addingReportingOverflow(Self(digit))
            guard !isTooLarge, !isOver else { return nil }
            number = next
        }
        guard range.contains(number) else { return nil }
        self = number
    }

    private static func digit(_ byte: UInt8) -> Int? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): Int(byte - UInt8(ascii: "0"))
        case UInt8(ascii: "a")...UInt8(ascii: "z"): Int(byte - UInt8(ascii: "a")) + 10
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): Int(byte - UInt8(ascii: "A")) + 10
        default: nil
        }
    }

    /// The whole part of `number`, the nearest bound where that does not fit, 0 for NaN.
    package init(clamping number: Double) {
        let whole = number.rounded(.towardZero)
        if let exact = Self(exactly: whole) {
            self = exact
        } else if whole.isNaN {
            self = 0
        } else {
            self = whole < 0 ? .min : .max
        }
    }

    /// `number` where it is whole and in `range`.
    package init?(_ number: Double, in range: ClosedRange<Self>) {
        guard let whole = Self(exactly: number), range.contains(whole) else { return nil }
        self = whole
    }
}

extension Duration {
    /// `number` seconds, to the microsecond; the nearest that is short enough to calculate with where it is beyond
    /// ±``longest``, zero for NaN.
    package init(clampingSeconds number: Double) {
        let limit = Double(Self.longest.components.seconds)
        self = .microseconds(Int64(clamping: (max(-limit, min(limit, number)) * 1e6).rounded()))
    }

    /// A hundred years: no duration of a file, a request or an argument is longer, and sums of some thousand are exact.
    package static let longest = Duration.seconds(36_525 * 86_400)
}

// MARK: - Readers without a range

// These take the place of the standard library's in every file that imports Model; warnings are errors.

extension FixedWidthInteger {
    @available(*, deprecated, message: "a number from outside needs a range: init?(_:radix:in:)")
    package init?(_ text: String) { self.init(text, in: .min ... .max) }

    @available(*, deprecated, message: "a number from outside needs a range: init?(_:radix:in:)")
    package init?(_ text: some StringProtocol, radix: Int = 10) { self.init(text, radix: radix, in: .min ... .max) }
}

extension Int {
    @available(*, deprecated, message: "ends the process where it does not fit: init(clamping:), init?(_:in:)")
    package init(_ number: Double) { self.init(clamping: number) }

    @available(*, deprecated, message: "ends the process where it does not fit: init(clamping:), init?(_:in:)")
    package init(_ number: Float) { self.init(clamping: Double(number)) }
}

extension Int8 {
    @available(*, deprecated, message: "ends the process where it does not fit: init(clamping:), init?(_:in:)")
    package init(_ number: Double) { self.init(clamping: number) }

    @available(*, deprecated, message: "ends the process where it does not fit: init(clamping:), init?(_:in:)")
    package init(_ number: Float) { self.init(clamping: Double(number)) }
}

extension Int16 {
    @available(*, deprecated, message: "ends the process where it does not fit: init(clamping:), init?(_:in:)")
    package init(_ number: Double) { self.init(clamping: number) }

    @available(*, deprecated, message: "ends the process where it does not fit: init(clamping:), init?(_:in:)")
    package init(_ number: Float) { self.init(clamping: Double(number)) }
}

extension Int32 {
    @available(*, deprecated, message: "ends the process where it does not fit: init(clamping:), init?(_:in:)")
    package init(_ number: Double) { self.init(clamping: number) }

    @available(*, deprecated, message: "ends the process where it does not fit: init(clamping:), init?(_:in:)")
    package init(_ number: Float) { self.init(clamping: Double(number)) }
}

extension Int64 {
    @available(*, deprecated, message: "ends the process where it does not fit: init(clamping:), init?(_:in:)")
    package init(_ number: Double) { self.init(clamping: number) }

    @available(*, deprecated, message: "ends the process where it does not fit: init(clamping:), init?(_:in:)")
    package init(_ number: Float) { self.init(clamping: Double(number)) }
}

extension UInt {
    @available(*, deprecated, message: "ends the process where it does not fit: init(clamping:), init?(_:in:)")
    package init(_ number: Double) { self.init(clamping: number) }

    @available(*, deprecated, message: "ends the process where it does not fit: init(clamping:), init?(_:in:)")
    package init(_ number: Float) { self.init(clamping: Double(number)) }
}

extension UInt8 {
    @available(*, deprecated, message: "ends the process where it does not fit: init(clamping:), init?(_:in:)")
    package init(_ number: Double) { self.init(clamping: number) }

    @available(*, deprecated, message: "ends the process where it does not fit: init(clamping:), init?(_:in:)")
    package init(_ number: Float) { self.init(clamping: Double(number)) }
}

extension UInt16 {
    @available(*, deprecated, message: "ends the process where it does not fit: init(clamping:), init?(_:in:)")
    package init(_ number: Double) { self.init(clamping: number) }

    @available(*, deprecated, message: "ends the process where it does not fit: init(clamping:), init?(_:in:)")
    package init(_ number: Float) { self.init(clamping: Double(number)) }
}

extension UInt32 {
    @available(*, deprecated, message: "ends the process where it does not fit: init(clamping:), init?(_:in:)")
    package init(_ number: Double) { self.init(clamping: number) }

    @available(*, deprecated, message: "ends the process where it does not fit: init(clamping:), init?(_:in:)")
    package init(_ number: Float) { self.init(clamping: Double(number)) }
}

extension UInt64 {
    @available(*, deprecated, message: "ends the process where it does not fit: init(clamping:), init?(_:in:)")
    package init(_ number: Double) { self.init(clamping: number) }

    @available(*, deprecated, message: "ends the process where it does not fit: init(clamping:), init?(_:in:)")
    package init(_ number: Float) { self.init(clamping: Double(number)) }
}
