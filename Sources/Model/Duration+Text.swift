extension Duration {
    /// `500ms`, `1s`, `15m`, `1h`, `30d`: as the files write it.
    package var text: String {
        let units: [(Int64, String)] = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s")]
        guard milliseconds > 0, let (size, unit) = units.first(where: { milliseconds % $0.0 == 0 }) else {
            return "\(milliseconds)ms"
        }
        return "\(milliseconds / size)\(unit)"
    }
}
