/// A part of the day on some days of the week, in UTC.
package struct HoursWindow: Hashable, Sendable {
    package static let dayNames = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]

    /// Days on which the window begins, 0 Monday to 6 Sunday.
    package var days: Set<Int>
    /// Minutes since midnight; an end at or before the start lies on the next day.
    package var start: Int
    package var end: Int

    package init(days: Set<Int> = Set(0..<7), start: Int, end: Int) {
        self.days = days
        self.start = start
        self.end = end
    }

    /// Reads `06:00-22:00` and `mon-fri 06:00-22:00`; nil for everything else.
    package init?(_ text: String) {
        let words = text.split(separator: " ").map(String.init)
        guard let last = words.last, words.count <= 2 else { return nil }
        let times = last.split(separator: "-", omittingEmptySubsequences: false).map(Self.minutes)
        guard times.count == 2, let start = times[0], let end = times[1] else { return nil }
        self.init(start: start, end: end)
        guard words.count == 2 else { return }
        let ends = words[0].split(separator: "-").map { Self.dayNames.firstIndex(of: String($0)) }
        guard let first = ends.first ?? nil, let last = ends.last ?? nil, ends.count <= 2 else { return nil }
        days = first <= last ? Set(first...last) : Set(first...6).union(0...last)
    }

    private static func minutes(_ text: Substring) -> Int? {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2,
            parts.allSatisfy({ $0.utf8.count == 2 && $0.utf8.allSatisfy { $0 < 0x3A && $0 > 0x2F } }),
            let hour = Int(parts[0], in: 0...24), let minute = Int(parts[1], in: 0...59), hour < 24 || minute == 0
        else { return nil }
        return hour * 60 + minute
    }

    package func contains(_ time: UnixTime) -> Bool {
        let minutes = time.microseconds.flooredDivision(by: 60_000_000)
        let day = minutes.flooredDivision(by: 1440)
        let minute = Int(minutes - day * 1440)
        // 1970-01-01 was a Thursday.
        let weekday = Int((day + 3) % 7 + 7) % 7
        if start < end { return days.contains(weekday) && minute >= start && minute < end }
        return (days.contains(weekday) && minute >= start) || (days.contains((weekday + 6) % 7) && minute < end)
    }
}

/// Matches `device/point` ids against patterns in which `*` stands for any characters within one level.
package enum PointPattern {
    package static func matches(_ pattern: String, _ id: String) -> Bool {
        matches(Array(pattern.utf8)[...], Array(id.utf8)[...])
    }

    private static func matches(_ pattern: ArraySlice<UInt8>, _ text: ArraySlice<UInt8>) -> Bool {
        var (pattern, text) = (pattern, text)
        // Where to go on when the last star has to take one character more.
        var retry: (pattern: ArraySlice<UInt8>, text: ArraySlice<UInt8>)?
        while !text.isEmpty || !pattern.isEmpty {
            if let first = pattern.first, first == UInt8(ascii: "*") {
                pattern = pattern.dropFirst()
                retry = (pattern, text)
            } else if let first = pattern.first, first == text.first {
                (pattern, text) = (pattern.dropFirst(), text.dropFirst())
            } else if let last = retry, let skipped = last.text.first, skipped != UInt8(ascii: "/") {
                (pattern, text) = (last.pattern, last.text.dropFirst())
                retry = (pattern, text)
            } else {
                return false
            }
        }
        return true
    }
}
