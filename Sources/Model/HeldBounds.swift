/// Bounds of a setpoint that the device itself holds in other points, as they are just now.
package struct HeldBounds: Hashable, Sendable {
    package var low: Double?
    package var high: Double?
    /// The point whose value is not known; nothing may be written then.
    package var unknown: String?

    /// - Parameter value: the value that a point of the device has, nil where that is not known.
    package init(of rule: WriteRule, _ value: (String) -> Double?) {
        for name in rule.boundPoints where value(name) == nil { unknown = unknown ?? name }
        low = rule.lowPoint.flatMap(value)
        high = rule.highPoint.flatMap(value)
    }

    /// Why `value` of the point `name` is not to be written, in words; nil where nothing is against it.
    package func objection(to value: PointValue, of rule: WriteRule) -> String? {
        if let unknown { return "\(unknown), which holds a bound of it, is not known" }
        guard let number = value.number else { return nil }
        if let low, let point = rule.lowPoint, number < low {
            return "\(value.plain) is below \(PointValue.double(low).plain), which \(point) holds as the least"
        }
        if let high, let point = rule.highPoint, number > high {
            return "\(value.plain) is above \(PointValue.double(high).plain), which \(point) holds as the most"
        }
        return nil
    }
}
