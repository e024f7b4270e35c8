/// A moment in UTC as microseconds since 1970-01-01T00:00:00Z. The only wall-clock time in Headgate; where it comes from
/// is decided by whoever holds the clock, never here.
package struct UnixTime: Hashable, Comparable, Sendable {
    package var microseconds: Int64

    package init(microseconds: Int64) {
        self.microseconds = microseconds
    }

    package init(milliseconds: Int64) {
        self.microseconds =
            milliseconds.multipliedReportingOverflow(by: 1000).overflow
            ? (milliseconds < 0 ? .min : .max) : milliseconds * 1000
    }

    /// What a document or a record may say: the years 1 to 9999, those that RFC 3339 can write.
    package static let microsecondRange: ClosedRange<Int64> = -62_135_596_800_000_000...253_402_300_799_999_999

    /// The nearest time that RFC 3339 can tell.
    package var inCalendar: UnixTime {
        UnixTime(
            microseconds: min(max(microseconds, Self.microsecondRange.lowerBound), Self.microsecondRange.upperBound))
    }

    /// A clock that shows less has not been set: no gateway ran this software before 2025.
    package static let earliestPlausible = UnixTime(milliseconds: 1_735_689_600_000)

    /// False for the time of a board that starts in 1970, or in the year of its system's image, until it is told the time.
    package var isPlausible: Bool { self >= Self.earliestPlausible }

    package static func < (left: UnixTime, right: UnixTime) -> Bool {
        left.microseconds < right.microseconds
    }

    package static func + (time: UnixTime, duration: Duration) -> UnixTime {
        let (sum, isTooLarge) = time.microseconds.addingReportingOverflow(duration.microseconds)
        return UnixTime(microseconds: isTooLarge ? (duration < .zero ? .min : .max) : sum)
    }

    package static func - (time: UnixTime, duration: Duration) -> UnixTime {
        let (rest, isTooLarge) = time.microseconds.subtractingReportingOverflow(duration.microseconds)
        return UnixTime(microseconds: isTooLarge ? (duration < .zero ? .max : .min) : rest)
    }

    package static func - (later: UnixTime, earlier: UnixTime) -> Duration {
        let (rest, isTooLarge) = later.microseconds.subtractingReportingOverflow(earlier.microseconds)
        return .microseconds(isTooLarge ? (later < earlier ? .min : .max) : rest)
    }
}

extension Duration {
    /// Whole microseconds, rounded towards zero; the largest that 64 bits hold where it is longer.
    package var microseconds: Int64 {
        let (seconds, attoseconds) = components
        let (whole, isTooLarge) = seconds.multipliedReportingOverflow(by: 1_000_000)
        let (sum, isOver) = whole.addingReportingOverflow(attoseconds / 1_000_000_000_000)
        return isTooLarge || isOver ? (seconds < 0 ? .min : .max) : sum
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
