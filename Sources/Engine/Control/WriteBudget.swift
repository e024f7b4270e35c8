package import Model

/// The writes of one point within the last day, as far back as its policy counts. Machines are charged for all writes,
/// persons only for those of persons: an AI cannot use up an operator's right to write.
package struct WriteBudget: Hashable, Sendable {
    package struct Entry: Hashable, Sendable {
        package var time: UnixTime
        package var isPerson: Bool
    }

    /// Writes remembered; a policy cannot allow more than this in a day.
    package static let limit = 1000

    package private(set) var entries: [Entry]

    package init(entries: [Entry] = []) {
        self.entries = entries
    }

    package mutating func spend(at time: UnixTime, isPerson: Bool) {
        entries.removeAll { $0.time + .seconds(86_400) <= time }
        entries.append(Entry(time: time, isPerson: isPerson))
        if entries.count > Self.limit { entries.removeFirst() }
    }

    /// Writes that count for a person or a machine since `time`. What lies in the future was written before the clock was
    /// set back, and counts.
    package func count(since time: UnixTime, isPerson: Bool) -> Int {
        entries.count { $0.time > time && (!isPerson || $0.isPerson) }
    }

    package func last(isPerson: Bool) -> UnixTime? {
        entries.last { !isPerson || $0.isPerson }?.time
    }
}

/// Lets so many pass in a second, and so many at once.
package struct TokenBucket: Hashable, Sendable {
    private var tokens: Double
    private var filled: Duration
    private let rate: Double
    private let burst: Double

    package init(rate: Double, burst: Double, at uptime: Duration) {
        self.rate = rate
        self.burst = burst
        tokens = burst
        filled = uptime
    }

    package mutating func take(at uptime: Duration) -> Bool {
        tokens = min(burst, tokens + max(0, (uptime - filled).inSeconds) * rate)
        filled = uptime
        guard tokens >= 1 else { return false }
        tokens -= 1
        return true
    }
}
