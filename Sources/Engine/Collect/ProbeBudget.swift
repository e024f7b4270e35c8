/// Bus time for asking units that are down: all of them together get a fiftieth of it, whatever each of them would like.
/// What is not spent is saved up to a limit, so that a unit that has just died is looked at again soon, and many units
/// that are back at the same time are all found at once: an answer costs next to nothing.
package struct ProbeBudget: Hashable, Sendable {
    /// Share of the bus time.
    package static let share = 0.02

    /// The most that is saved: bus time that probes may take in a row.
    private let longestCredit: Duration
    /// What may be spent, as of `time`; negative after a probe that cost more than there was.
    private var credit: Duration
    private var time: Duration

    /// - Parameters:
    ///   - now: uptime.
    ///   - longest: how long the longest probe waits.
    package init(at now: Duration, longest: Duration) {
        longestCredit = max(.seconds(1), longest)
        credit = longestCredit
        time = now
    }

    package func mayProbe(at now: Duration) -> Bool {
        credit(at: now) >= .zero
    }

    /// Whether enough is saved for a probe that waits as long as is configured without keeping others waiting for theirs.
    package func affordsPatience(at now: Duration) -> Bool {
        credit(at: now) >= longestCredit
    }

    /// - Parameter cost: how long the bus was taken by a request that gave nothing.
    package mutating func spent(_ cost: Duration, at now: Duration) {
        credit = credit(at: now) - cost
        time = now
    }

    private func credit(at now: Duration) -> Duration {
        min(longestCredit, credit + (now - time) * Self.share)
    }
}
