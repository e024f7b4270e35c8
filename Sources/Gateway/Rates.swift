import Engine
import Model

/// What the buffer does a second, measured over the last minute: what a person wants to know of it besides its depth.
struct Rates: Sendable {
    /// The counters at one moment.
    struct Sample: Sendable {
        var uptime: Duration
        var readings: UInt64
        var rows: UInt64
        var commits: UInt64
        var syncs: UInt64
        /// Bytes that this process gave to the disk; nil where the system does not say.
        var bytesWritten: UInt64?
        var pending: [String: UInt64]
    }

    /// Samples kept: a minute, at one a second.
    private static let length = 61
    private var samples: [Sample] = []

    mutating func add(_ sample: Sample) {
        if samples.count == Self.length { samples.removeFirst() }
        samples.append(sample)
    }

    /// Seconds that the figures below are taken over; 0 before there are two samples.
    var seconds: Double {
        guard let first = samples.first, let last = samples.last else { return 0 }
        return (last.uptime - first.uptime) / .seconds(1)
    }

    /// Increase a second of a counter.
    func perSecond(_ counter: (Sample) -> UInt64?) -> Double? {
        guard seconds > 0, let first = samples.first.flatMap(counter), let last = samples.last.flatMap(counter) else {
            return nil
        }
        return (Double(last) - Double(first)) / seconds
    }

    /// Seconds until a publisher has delivered everything, at the pace of the last minute; nil while it does not catch up.
    func drainSeconds(_ publisher: String) -> Double? {
        guard let pending = samples.last?.pending[publisher], pending > 0 else { return 0 }
        guard let change = perSecond({ $0.pending[publisher] }), change < 0 else { return nil }
        return Double(pending) / -change
    }
}

/// What the kernel says this process gave to the disk since its start: what wears flash.
enum DiskWrites {
    static func byteCount(of status: String) -> UInt64? {
        status.split(separator: "\n").first { $0.hasPrefix("write_bytes:") }
            .flatMap { UInt64($0.dropFirst(12).trimmingPrefix(while: \.isWhitespace), in: 0...UInt64(Int64.max)) }
    }
}
