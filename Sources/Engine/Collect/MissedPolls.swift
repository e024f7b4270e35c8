import Model

/// Polls that a slow bus or disk made impossible, gathered so that a week of them is not a million gap records.
struct MissedPolls: Sendable {
    /// A gap that goes on is told at least this often.
    static let longestSilence = Duration.seconds(60)

    private(set) var count: UInt64 = 0
    private var from: UnixTime?

    mutating func add(_ polls: Int, since: UnixTime) {
        guard polls > 0 else { return }
        count += UInt64(polls)
        if from == nil { from = since }
    }

    /// The record to journal now, nil while there is nothing to tell or more of the same may follow.
    mutating func record(device: String, at now: UnixTime, isLast: Bool) -> GapRecord? {
        guard let start = from, isLast || now - start >= Self.longestSilence else { return nil }
        defer { self = MissedPolls() }
        return GapRecord(device: device, from: start, to: now, reason: .notPolled, count: count)
    }
}
