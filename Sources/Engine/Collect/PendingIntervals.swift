/// Journal positions from `low` up to but not including `high`; nil means: and everything that will come.
package struct PositionInterval: Hashable, Sendable {
    package var low: Position
    package var high: Position?

    package init(low: Position, high: Position?) {
        self.low = low
        self.high = high
    }

    package var isEmpty: Bool {
        high.map { $0 <= low } ?? false
    }
}

/// What one publisher still has to deliver: one open interval of live data, closed intervals of backlog behind it, and what
/// has been sent but not acknowledged. A position leaves only by an acknowledgement or an eviction.
package struct PendingIntervals: Hashable, Sendable {
    /// The next live position to send.
    package private(set) var live: Position
    /// Ascending, disjoint, not touching, none empty, all below `live`.
    private(set) var backlog: [PositionInterval] = []
    /// Sent, not acknowledged; the value tells whether it went out as replay.
    private(set) var inFlight: [Position: Bool] = [:]

    /// Starts with everything from `live` on still to come.
    package init(live: Position) {
        self.live = live
    }

    /// Restores a stored state: whatever lies below `next` has become backlog.
    package init(restoring intervals: [PositionInterval], next: Position) {
        live = next
        for interval in intervals {
            addBacklog(interval.low, min(interval.high ?? next, next))
        }
    }

    /// Everything not yet acknowledged, as it must be stored to survive a crash.
    package var unacknowledged: [PositionInterval] {
        var all = PendingIntervals(live: live)
        all.backlog = backlog
        for position in inFlight.keys { all.addBacklog(position, position + 1) }
        return all.backlog + [PositionInterval(low: live, high: nil)]
    }

    package var inFlightCount: Int { inFlight.count }
    package var replayInFlightCount: Int { inFlight.values.count { $0 } }

    /// Positions of the backlog that have not been sent.
    package var backlogCount: UInt64 {
        backlog.reduce(0) { $0 + ($1.high ?? live) - $1.low }
    }

    /// The first position of the backlog, nil when there is none.
    package var nextBacklog: Position? { backlog.first?.low }

    /// The closed interval that `position` lies in, for reading ahead no further than it.
    package func backlogEnd(after position: Position) -> Position? {
        backlog.first { $0.low <= position && position < $0.high ?? live }?.high
    }

    /// Live data up to and including `position` was sent.
    package mutating func sentLive(_ position: Position) {
        precondition(position == live, "live data is sent in order, without holes")
        inFlight[position] = false
        live = position + 1
    }

    package mutating func sentBacklog(_ position: Position) {
        precondition(position == nextBacklog, "backlog is sent in order")
        inFlight[position] = true
        backlog[0].low += 1
        if backlog[0].isEmpty { backlog.removeFirst() }
    }

    /// - Returns: whether it was in flight: a second acknowledgement changes nothing.
    @discardableResult
    package mutating func acknowledged(_ position: Position) -> Bool {
        inFlight.removeValue(forKey: position) != nil
    }

    /// The broker refused it: it must be sent again.
    package mutating func refused(_ position: Position) {
        if inFlight.removeValue(forKey: position) != nil { addBacklog(position, position + 1) }
    }

    /// The session is gone: nothing in flight can be acknowledged any more, and what was live is history by the time a
    /// session stands again.
    package mutating func disconnected() {
        for position in inFlight.keys { addBacklog(position, position + 1) }
        inFlight = [:]
    }

    /// A session stands: what was journaled meanwhile is backlog, live data begins at `next`.
    package mutating func connected(next: Position) {
        skipLive(to: next)
    }

    /// Live data fell too far behind: what lies before `next` becomes backlog.
    package mutating func skipLive(to next: Position) {
        guard next > live else { return }
        addBacklog(live, next)
        live = next
    }

    /// An operator wants `interval` sent again.
    package mutating func replay(_ interval: ClosedRange<Position>) {
        guard interval.lowerBound < live else { return }
        addBacklog(interval.lowerBound, min(interval.upperBound, live - 1) + 1)
    }

    /// Everything below `first` is gone from the journal.
    ///
    /// - Returns: the ranges that had not been delivered, ascending: a loss that a gap record must tell.
    package mutating func evicted(below first: Position) -> [ClosedRange<Position>] {
        var lost: [ClosedRange<Position>] = []
        if live < first { skipLive(to: first) }
        while let interval = backlog.first, interval.low < first {
            let high = min(interval.high ?? first, first)
            lost.append(interval.low...(high - 1))
            backlog[0].low = high
            if backlog[0].isEmpty { backlog.removeFirst() }
        }
        return lost
    }

    private mutating func addBacklog(_ low: Position, _ high: Position) {
        guard low < high else { return }
        var merged = PositionInterval(low: low, high: high)
        let start = backlog.firstIndex { ($0.high ?? .max) >= low } ?? backlog.count
        var end = start
        while end < backlog.count, backlog[end].low <= high {
            merged.low = min(merged.low, backlog[end].low)
            merged.high = max(merged.high ?? high, backlog[end].high ?? high)
            end += 1
        }
        backlog.replaceSubrange(start..<end, with: [merged])
    }
}
