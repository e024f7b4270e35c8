import Model

/// Polls of one device that gave nothing, gathered so that a week of them is not a million gap records: one that goes on is
/// told now and then, one that comes and goes at most once a minute.
struct LossTally: Sendable {
    /// Least time between two records.
    static let shortestPause = Duration.seconds(60)

    let reason: GapReason
    /// A loss that goes on is told at least this often.
    let longestSilence: Duration
    private(set) var count: UInt64 = 0
    private var span: (from: UnixTime, to: UnixTime)?
    private var since = Duration.zero
    private var toldAt: Duration?

    init(_ reason: GapReason, longestSilence: Duration) {
        self.reason = reason
        self.longestSilence = longestSilence
    }

    /// Counts polls that were lost in `span`.
    mutating func add(_ polls: Int, from: UnixTime, to: UnixTime, at uptime: Duration) {
        guard polls > 0 else { return }
        if count == 0 { since = uptime }
        count += UInt64(polls)
        span = (span?.from ?? from, to)
    }

    /// The record to journal now, nil while there is nothing to tell or it is too early.
    ///
    /// - Parameters:
    ///   - isOver: whether polls give something again.
    ///   - isLast: whether nobody will ask again.
    mutating func record(device: String, at uptime: Duration, isOver: Bool, isLast: Bool = false) -> GapRecord? {
        guard let span else { return nil }
        let isDue = isOver && uptime - (toldAt ?? uptime - Self.shortestPause) >= Self.shortestPause
        guard isLast || isDue || uptime - since >= longestSilence else { return nil }
        defer { (count, self.span, toldAt) = (0, nil, uptime) }
        // A clock that was set back in between must not turn the times around.
        return GapRecord(
            device: device, from: min(span.from, span.to), to: max(span.from, span.to), reason: reason, count: count)
    }
}
