extension PointValue {
    /// The value times a scale that the device holds. A scale that makes no sense is a decoding error.
    package func scaled(by holder: PointValue, _ reference: ScaleReference?) -> Decoded {
        switch reference {
        case nil: return .value(self)
        case .exponent:
            guard let exponent = holder.number.flatMap({ Int8($0, in: -30...30) }) else {
                return .bad(.decodeError)
            }
            return times(DecimalNumber(mantissa: 1, exponent: exponent))
        case .factor:
            switch holder {
            case .int(let factor): return times(DecimalNumber(mantissa: factor))
            case .decimal(let factor): return times(factor)
            case .null, .bool, .uint, .float, .double, .string:
                guard let factor = holder.number, let number else { return .bad(.decodeError) }
                guard let left = decimal, let right = holder.decimal, let exact = left.multiplied(by: right) else {
                    return .value(.double(number * factor))
                }
                return .value(.double(exact.double))
            }
        }
    }

    private func times(_ factor: DecimalNumber) -> Decoded {
        switch self {
        case .null, .bool, .string: return .value(self)
        case .int(let value):
            return product(DecimalNumber(mantissa: value), factor)
        case .decimal(let value): return product(value, factor)
        case .float(let value):
            let result = Float(decimal?.multiplied(by: factor)?.double ?? Double(value) * factor.double)
            return result.isFinite ? .value(.float(result)) : .bad(.decodeError)
        case .uint, .double:
            let result = decimal?.multiplied(by: factor)?.double ?? (number ?? 0) * factor.double
            return result.isFinite ? .value(.double(result)) : .bad(.decodeError)
        }
    }

    private func product(_ left: DecimalNumber, _ right: DecimalNumber) -> Decoded {
        if let exact = left.multiplied(by: right) { return .value(.decimal(exact)) }
        let result = left.double * right.double
        return result.isFinite ? .value(.double(result)) : .bad(.decodeError)
    }
}

extension PointValue {
    /// What times a scale that the device holds gives this value: the inverse of ``scaled(by:_:)``. Nil for a scale that
    /// makes no sense.
    package func unscaled(by holder: PointValue, _ reference: ScaleReference?) -> PointValue? {
        guard let reference else { return self }
        guard let number else { return self }
        guard let held = holder.number, case .value(let one) = PointValue.int(1).scaled(by: holder, reference),
            let factor = one.number, factor != 0, held.isFinite
        else { return nil }
        if let exact = one.decimal.flatMap({ decimal?.divided(by: $0) }) { return .decimal(exact) }
        return .double(number / factor)
    }
}
