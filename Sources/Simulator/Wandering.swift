import Model

#if canImport(Glibc)
    import Glibc
#endif

/// The way in which one point's value moves: smooth, inside its range, different for each point, the same in each run.
struct Wandering: Sendable {
    private let point: Point
    private let middle: Double
    /// Where a counter begins, what it gains a minute, and how far it gets before it begins anew: inside the limits, and
    /// what its registers hold.
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
        let span = Typical.span(of: point)
        self.point = point
        middle = span.low + (span.high - span.low) * (0.4 + 0.2 * next())
        swing = (span.high - span.low) * (0.05 + 0.1 * next())
        period = 20 + 100 * next()
        phase = 2 * Double.pi * next()
        var most = point.limits?.high ?? 1e9
        while most > 1, (try? point.encoding.encode(.double(most.rounded(.down)))) == nil { most /= 10 }
        let start = min(most / 2, 20_000 + 60_000 * next())
        counter = (start, max(0.01, min(most / 1000, 60 * next())), most - start)
    }

    func value(at seconds: Double) -> PointValue {
        switch point.encoding.type {
        case .string: return .string(String(point.name.uppercased().prefix(point.encoding.registerCount)))
        case .datetime: return .string(UnixTime(microseconds: Int64(clamping: (1_700_000_000 + seconds) * 1e6)).rfc3339)
        case .bool, .int8, .uint8, .int16, .uint16, .int24, .uint24, .int32, .uint32, .int48, .uint48, .int64, .uint64,
            .float16, .float32, .float64, .bcd16, .bcd32, .mod10k, .sm16, .sm32, .offset16, .offset32, .decade32,
            .udecade32:
            return number(at: seconds)
        }
    }

    /// What somebody could have written.
    private var setpoint: Double {
        guard point.range == nil, let low = point.write?.low, let high = point.write?.high else { return middle }
        let step = point.write?.step ?? (high - low >= 10 ? 1 : 0)
        let value = low + (high - low) * 0.3
        return step > 0 ? low + ((value - low) / step).rounded() * step : value
    }

    /// By what the device multiplies its registers.
    private var scale: Double {
        if case .exponent(let holder)? = point.scaleReference, Self.exponent(heldBy: holder) < 0 { 0.1 } else { 1 }
    }

    /// Tenths of everything but power and energy, which would not fit.
    private static func exponent(heldBy name: String) -> Int64 {
        name.contains("power") && !name.contains("power_factor") || name.contains("energy") ? 0 : -1
    }

    private func number(at seconds: Double) -> PointValue {
        if point.scaleReference == nil, point.name.hasSuffix("_sf") { return .int(Self.exponent(heldBy: point.name)) }
        if point.datatype != .bool, let first = point.enumeration.first {
            let turn = Int(clamping: seconds / (60 + period)) % point.enumeration.count
            return .int(point.kind == .state ? point.enumeration[turn].code : first.code)
        }
        if point.datatype == .bool {
            return .bool(point.kind == .alarm ? false : sin(2 * .pi * seconds / (8 * period) + phase) > -0.3)
        }
        switch point.kind {
        case .counter:
            let gained = (seconds * counter.gain / 60).truncatingRemainder(dividingBy: counter.room)
            return .double((counter.start + gained).rounded(.down))
        case .setpoint: return .double(setpoint / scale)
        case .alarm: return .int(0)
        case .state: return .double(middle.rounded(.down))
        case .measurement: return .double((middle + swing * sin(2 * .pi * seconds / period + phase)) / scale)
        }
    }
}
