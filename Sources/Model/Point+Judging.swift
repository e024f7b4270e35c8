extension Point {
    /// The value and what is to be said about it, by `limits` and `range`.
    package func judged(_ decoded: Decoded) -> (PointValue, QualityReasons) {
        switch decoded {
        case .bad(let reason): return (.null, QualityReasons(reason))
        case .value(let value):
            guard limits != nil || range != nil, let number = value.number else { return (value, []) }
            if let limits, !limits.contains(number) { return (.null, QualityReasons(.impossible)) }
            if let range, !range.contains(number) { return (value, QualityReasons(.outOfRange)) }
            return (value, [])
        }
    }
}
