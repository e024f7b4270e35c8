import Model

#if canImport(Glibc)
    import Glibc
#endif

/// The way in which one point's value moves: smooth, inside its range, different for each point, the same in each run.
struct Wandering: Sendable {
    private let point: Point
    private let middle: Double
    /// Where a counter begins, what it gains a minute, and how far it gets before it begins anew: inside the limits, which
    /// are wide for counters.
    private let counter: (start: Double, gain: Double, room: Double)
    private let swing: Double
    private let period: Double
    private let phase: Double

    init(point: Point, seed: UInt64) {
        var state = seed &+ 0x9E37_79B9_7F4A_7C15
        func next() -> Double {
            state = (state ^ (state >> 30)) &* 0xBF58_476D_1CE4_E5B9
            state = (state ^ (state >> 27)) &* 0x94D0_49BB_1331_11EB
            state ^= state >> 31
            return Double(state >> 11) / Double(1 << 53)
        }
        let declared = point.range ?? point.limits
        let span = declared ?? NumericRange(low: 0, high: 100)
        self.point = point
        middle = span.low + (span.high - span.low) * (0.4 + 0.2 * next())
        swing = (span.high - span.low) * (0.05 + 0.1 * next())
        period = 20 + 100 * next()
        phase = 2 * Double.pi * next()
        let start = declared == nil ? middle * 10 : min(middle, max(span.low, 80_000))
        counter = (start, max(0.01, min(swing, 60)), declared == nil ? .infinity : span.high - start)
    }

    func value(at seconds: Double) -> PointValue {
        switch point.encoding.type {
        case .string: return .string(String(point.name.uppercased().prefix(point.encoding.registerCount)))
        case .datetime: return .string(UnixTime(microseconds: Int64((1_700_000_000 + seconds) * 1e6)).rfc3339)
        case .bool, .int8, .uint8, .int16, .uint16, .int32, .uint32, .int64, .uint64, .float16, .float32, .float64,
            .bcd16,
            .bcd32, .mod10k, .sm16, .sm32, .offset16, .offset32:
            return number(at: seconds)
        }
    }

    private func number(at seconds: Double) -> PointValue {
        if point.scaleReference == nil, point.name.hasSuffix("_sf") { return .int(-1) }
        if let first = point.enumeration.first {
            let turn = Int(seconds / (60 + period)) % point.enumeration.count
            return .int(point.kind == .state ? point.enumeration[turn].code : first.code)
        }
        if point.datatype == .bool {
            return .bool(point.kind == .alarm ? false : sin(2 * .pi * seconds / (8 * period) + phase) > -0.3)
        }
        switch point.kind {
        case .counter:
            let gained = (seconds * counter.gain / 60).truncatingRemainder(dividingBy: counter.room)
            return .double((counter.start + gained).rounded(.down))
        case .setpoint: return .double(middle)
        case .alarm: return .int(0)
        case .measurement, .state: return .double(middle + swing * sin(2 * .pi * seconds / period + phase))
        }
    }
}
