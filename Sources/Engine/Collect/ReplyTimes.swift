/// How long the replies to the requests of one job take, and how long it is therefore worth waiting for the next one.
///
/// A time-out far above what a unit ever needs makes each lost frame and each death cost the whole bus that time. A
/// narrowed one must never be the reason for time-outs: it keeps three times the slowest of the last replies, a time-out
/// ends it at once, and each time that it may have been wrong more replies must be seen before it is tried again.
package struct ReplyTimes: Hashable, Sendable {
    /// Replies in a row after which they are believed to show what is usual.
    package static let repliesToTrust = 32
    /// The most of them that are asked for, of a unit with which a narrowed time-out was wrong again and again.
    package static let mostRepliesToTrust = 1024
    /// How much longer than the slowest of the last replies is waited for.
    package static let margin = 3

    /// From the narrowest time-out to the configured one.
    private let bounds: ClosedRange<Duration>
    package private(set) var digest = DurationDigest()
    private var repliesInARow = 0
    private var repliesNeeded = repliesToTrust

    package init(bounds: ClosedRange<Duration>) {
        self.bounds = bounds
    }

    /// How long the next reply may take.
    package var timeout: Duration {
        guard repliesInARow >= repliesNeeded else { return bounds.upperBound }
        return usual ?? bounds.upperBound
    }

    /// What would do for the replies that were seen, whatever has happened since; nil where they were too few.
    package var usual: Duration? {
        guard digest.count >= Self.repliesToTrust, let slowest = digest.quantile(1) else { return nil }
        return min(max(slowest * Self.margin, bounds.lowerBound), bounds.upperBound)
    }

    /// - Parameter duration: what the unit took for it, without what the request waited for before it was sent.
    package mutating func answered(after duration: Duration) {
        digest.add(duration)
        repliesInARow += 1
        if repliesInARow.isMultiple(of: Self.mostRepliesToTrust) {
            repliesNeeded = max(Self.repliesToTrust, repliesNeeded / 2)
        }
    }

    /// No reply came within ``timeout``: the next ones may take as long as is configured.
    package mutating func timedOut() {
        if timeout < bounds.upperBound { repliesNeeded = min(repliesNeeded * 2, Self.mostRepliesToTrust) }
        repliesInARow = 0
    }
}
