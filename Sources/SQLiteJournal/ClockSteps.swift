import Engine
import Model

/// When the wall clock was set, as far as the monotonic clock tells: how old a row is does not change by that. Without it, a
/// machine that starts in 1970 and is told the time later would evict what it read meanwhile. A pure value.
struct ClockSteps: Hashable, Sendable {
    private struct Step: Hashable, Sendable {
        /// The first position that was recorded by the clock as it was set.
        var position: Position
        var size: Duration
        var uptime: Duration
    }

    /// What is less is left to the clock's discipline, and to the scheduler.
    private static let smallest = Duration.seconds(60)
    /// Steps that are remembered; what falls out counts as age.
    private static let limit = 64

    private var steps: [Step] = []
    /// The wall clock at uptime zero.
    private var origin: UnixTime?

    /// Looks at both clocks.
    ///
    /// - Parameters:
    ///   - next: no row at or above it is committed yet.
    ///   - maxAge: once a step is so long ago, every row before it is older than that, whatever the clock says.
    mutating func look(_ clock: any Timekeeper, next: Position, maxAge: Duration) {
        let uptime = clock.uptime
        let now = clock.utc - uptime
        defer { origin = now }
        steps.removeAll { uptime - $0.uptime > maxAge }
        guard let size = origin.map({ now - $0 }), size >= Self.smallest || size <= .zero - Self.smallest else {
            return
        }
        if steps.count >= Self.limit { steps.removeFirst() }
        steps.append(Step(position: next, size: size, uptime: uptime))
    }

    /// What the wall clock, as it is set now, would have said when it said `time` for the row at `position`.
    func corrected(_ time: UnixTime, at position: Position) -> UnixTime {
        steps.reduce(time) { time, step in position < step.position ? time + step.size : time }
    }
}
