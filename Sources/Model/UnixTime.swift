/// A moment in UTC as microseconds since 1970-01-01T00:00:00Z. The only wall-clock time in Headgate; where it comes from
/// is decided by whoever holds the clock, never here.
package struct UnixTime: Hashable, Comparable, Sendable {
    package var microseconds: Int64

    package init(microseconds: Int64) {
        self.microseconds = microseconds
    }

    package init(milliseconds: Int64) {
        self.microseconds = milliseconds * 1000
    }

    package static func < (left: UnixTime, right: UnixTime) -> Bool {
        left.microseconds < right.microseconds
    }

    package static func + (time: UnixTime, duration: Duration) -> UnixTime {
        UnixTime(microseconds: time.microseconds + duration.microseconds)
    }

    package static func - (time: UnixTime, duration: Duration) -> UnixTime {
        UnixTime(microseconds: time.microseconds - duration.microseconds)
    }

    package static func - (later: UnixTime, earlier: UnixTime) -> Duration {
        .microseconds(later.microseconds - earlier.microseconds)
    }
}

extension Duration {
    /// Whole microseconds, rounded towards zero.
    package var microseconds: Int64 {
        let (seconds, attoseconds) = components
        return seconds * 1_000_000 + attoseconds / 1_000_000_000_000
    }

    /// Whole milliseconds, rounded towards zero.
    package var milliseconds: Int64 {
        microseconds / 1000
    }

    /// Seconds as a floating-point number, for ratios and metrics.
    package var inSeconds: Double {
        let (seconds, attoseconds) = components
        return Double(seconds) + Double(attoseconds) * 1e-18
    }
}
