/// What the registers can hold of a value.
extension SetpointPlan {
    /// Why the registers hold no form of a value, in words.
    package enum Unquantisable: Error, Hashable, Sendable {
        /// It is of another kind.
        case kind(String)
        /// It is outside of what they hold.
        case range(String)
    }

    /// Whether the registers hold the number as it is: no scale makes parts of a whole of it.
    package var takesWholeNumbersOnly: Bool {
        encoding.type.isNumeric && !encoding.type.isFloat && encoding.datatype != .bool && encoding.transform == nil
            && encoding.scale.isEqual(to: .one) && encoding.offset.double.rounded() == encoding.offset.double
            && point.scaleReference == nil
    }

    /// The value that the device will hold: the nearest raw step, and of two that are equally near the even one. It is not
    /// moved to fit a limit. The value itself where the registers hold exactly that.
    ///
    /// - Parameter scale: what the scale holder says, where the point has one.
    package func quantised(_ value: PointValue, scale: PointValue?) throws(Unquantisable) -> PointValue {
        if takesWholeNumbersOnly, let number = value.number, number.rounded() != number {
            throw .kind("\(value.words) is no whole number: \(point.name) takes whole numbers only")
        }
        guard let raw = value.unscaled(by: scale ?? .null, point.scaleReference) else {
            throw .range("the scale that the device holds for \(point.name) makes no sense")
        }
        let words: [UInt16]
        do throws(EncodingError) {
            words = try encoding.encodeField(raw)
        } catch {
            if error == .wrongKind { throw .kind("\(value.words) is no value that \(point.name) takes") }
            throw .range("\(value.words) is beyond what the registers of \(point.name) hold (\(encoding.type))")
        }
        guard case .value(let held) = decode(words, encoding, point, scale: scale) else {
            throw .range("the raw pattern of \(value.words) means 'no value' to \(point.name)")
        }
        return isSame(held, value) ? value : held.tidied
    }

    /// Whether what a register holds is the value that was asked for. A double that was divided and multiplied again may be
    /// off by its last bit.
    private func isSame(_ held: PointValue, _ value: PointValue) -> Bool {
        if held.says(value) { return true }
        guard encoding.type == .float64, let left = held.number, let right = value.number else { return false }
        return abs(left - right) <= abs(right) * 1e-12
    }
}

extension PointValue {
    /// As it is written down: a float by its shortest decimal, a decimal without zeros at its end.
    fileprivate var tidied: PointValue {
        switch self {
        case .float, .decimal: decimal.flatMap { JSONValue.number($0.trimmed).pointValue } ?? self
        case .null, .bool, .int, .uint, .double, .string: self
        }
    }
}
