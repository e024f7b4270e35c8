import Model

/// What a value typically is on a plant, by its unit. What profiles call normal is wider, and half of what they call possible
/// is nothing that anybody has seen.
enum Typical {
    /// A range inside of those of the point.
    static func span(of point: Point) -> NumericRange {
        let allowed = point.range ?? point.limits
        let fallback = allowed ?? NumericRange(low: 0, high: point.kind == .state ? 8 : 100)
        guard let typical = typical(point) else { return fallback }
        // A profile that excludes what is typical, or a part of it, knows better.
        let fits = allowed.map { $0.low <= typical.low && typical.high <= $0.high } ?? true
        return fits ? typical : fallback
    }

    private static func typical(_ point: Point) -> NumericRange? {
        if point.kind == .state || point.kind == .setpoint && point.range != nil { return nil }
        let name = point.name
        if name.contains("power_factor") {
            return point.unit == "%" ? NumericRange(low: 90, high: 99) : NumericRange(low: 0.9, high: 0.99)
        }
        if name.contains("thd") { return NumericRange(low: 1, high: 4) }
        if name.contains("unbalance") { return NumericRange(low: 0.2, high: 2) }
        if let exact = exact[point.unit] { return exact }
        for (prefix, factor) in [("k", 1e3), ("M", 1e6), ("m", 1e-3), ("h", 100.0)] where point.unit.hasPrefix(prefix) {
            if let base = exact[String(point.unit.dropFirst(prefix.count))], isScalable(point.unit, prefix) {
                return NumericRange(low: base.low / factor, high: base.high / factor)
            }
        }
        return nil
    }

    private static func isScalable(_ unit: String, _ prefix: String) -> Bool {
        ["V", "A", "W", "V.A", "var", "Pa", "bar", "Hz"].contains(String(unit.dropFirst(prefix.count)))
    }

    /// Of a low-voltage feeder with a motor, and the pipes of its pump.
    private static let exact: [String: NumericRange] = [
        "V": NumericRange(low: 226, high: 234), "A": NumericRange(low: 8, high: 14),
        "W": NumericRange(low: 5500, high: 8500), "V.A": NumericRange(low: 6000, high: 9000),
        "var": NumericRange(low: 800, high: 2000), "Hz": NumericRange(low: 49.95, high: 50.05),
        "deg": NumericRange(low: 8, high: 25), "Cel": NumericRange(low: 18, high: 32),
        "[degF]": NumericRange(low: 65, high: 90), "K": NumericRange(low: 291, high: 305),
        "%": NumericRange(low: 40, high: 70), "/min": NumericRange(low: 1380, high: 1480),
        "Pa": NumericRange(low: 2e5, high: 4e5), "bar": NumericRange(low: 2, high: 4),
        "[psi]": NumericRange(low: 30, high: 60), "m3/h": NumericRange(low: 10, high: 16),
        "L/h": NumericRange(low: 10_000, high: 16_000), "L/min": NumericRange(low: 160, high: 260),
        "L/s": NumericRange(low: 2.8, high: 4.4), "m/s": NumericRange(low: 1, high: 2.5),
        "kg/h": NumericRange(low: 10_000, high: 16_000), "kg/s": NumericRange(low: 2.8, high: 4.4),
        "m3/s": NumericRange(low: 0.0028, high: 0.0044), "kg/m3": NumericRange(low: 996, high: 999),
        "N.m": NumericRange(low: 20, high: 50),
    ]
}
