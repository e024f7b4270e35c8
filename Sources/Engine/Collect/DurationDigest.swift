import Model

/// How the last few hundred of something that takes time were distributed: counts in logarithmic buckets, four an octave
/// from 16 µs to a minute, so that a quantile is right to a quarter. Older than two generations is forgotten.
package struct DurationDigest: Hashable, Sendable {
    /// Samples of one generation; the figures are about one to two of them.
    package static let generation = 256
    private static let bucketCount = 93

    private var current = [UInt32](repeating: 0, count: bucketCount)
    private var previous: [UInt32] = []
    private var currentCount = 0
    private var previousCount = 0

    package init() {}

    package var count: Int { currentCount + previousCount }

    package mutating func add(_ duration: Duration) {
        if currentCount >= Self.generation {
            previous = current
            previousCount = currentCount
            current = [UInt32](repeating: 0, count: Self.bucketCount)
            currentCount = 0
        }
        current[Self.bucket(of: duration)] += 1
        currentCount += 1
    }

    /// Takes over the samples of another, to look at several together.
    package mutating func merge(_ other: DurationDigest) {
        if previous.isEmpty { previous = [UInt32](repeating: 0, count: Self.bucketCount) }
        for bucket in previous.indices {
            let sum = Int(previous[bucket]) + other.total(bucket)
            previous[bucket] = UInt32(clamping: sum)
        }
        previousCount = previous.reduce(0) { $0 + Int($1) }
    }

    /// What a share of the samples did not exceed, up to the width of a bucket; nil before the first.
    ///
    /// - Parameter share: 0...1.
    package func quantile(_ share: Double) -> Duration? {
        guard count > 0 else { return nil }
        let wanted = max(1, Int(clamping: (Double(count) * share).rounded(.up)))
        var seen = 0
        for bucket in 0..<Self.bucketCount {
            seen += total(bucket)
            if seen >= wanted { return Self.upperEdge(of: bucket) }
        }
        return Self.upperEdge(of: Self.bucketCount - 1)
    }

    private func total(_ bucket: Int) -> Int {
        Int(current[bucket]) + (previous.isEmpty ? 0 : Int(previous[bucket]))
    }

    private static func bucket(of duration: Duration) -> Int {
        let microseconds = duration.microseconds
        guard microseconds >= 16 else { return 0 }
        let octave = Int64.bitWidth - 1 - microseconds.leadingZeroBitCount
        let quarter = Int(microseconds >> Int64(octave - 2)) & 3
        return min((octave - 4) * 4 + quarter + 1, bucketCount - 1)
    }

    private static func upperEdge(of bucket: Int) -> Duration {
        guard bucket > 0 else { return .microseconds(16) }
        let octave = (bucket - 1) / 4 + 4
        return .microseconds(Int64((bucket - 1) % 4 + 5) << Int64(octave - 2))
    }
}
