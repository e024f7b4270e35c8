/// One value of one point, in the form in which it was read: integers stay integers, scaled integers stay exact decimals,
/// a float32 is not widened (so that it prints as `230.2` and not as `230.1999969482422`). NaN and infinity do not exist here.
package enum PointValue: Hashable, Sendable {
    case null
    case bool(Bool)
    case int(Int64)
    /// Only for values above `Int64.max`; everything smaller is ``int(_:)``.
    case uint(UInt64)
    case float(Float)
    case double(Double)
    case decimal(DecimalNumber)
    case string(String)

    /// The value as a number, nil for null and strings; true is 1.
    package var number: Double? {
        switch self {
        case .null, .string: nil
        case .bool(let value): value ? 1 : 0
        case .int(let value): Double(value)
        case .uint(let value): Double(value)
        case .float(let value): Double(value)
        case .double(let value): value
        case .decimal(let value): value.double
        }
    }

    /// Whether it is a whole number that is held as such, to the last bit.
    package var isInteger: Bool {
        switch self {
        case .int, .uint: true
        case .null, .bool, .float, .double, .decimal, .string: false
        }
    }

    /// The number as an exact decimal, where it is held as one.
    package var exact: DecimalNumber? {
        switch self {
        case .int(let value): DecimalNumber(mantissa: value)
        case .decimal(let value): value
        case .null, .bool, .uint, .float, .double, .string: nil
        }
    }

    package init(unsigned value: UInt64) {
        self = value <= UInt64(Int64.max) ? .int(Int64(value)) : .uint(value)
    }
}
