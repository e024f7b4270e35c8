/// What one publisher still has to deliver: one open interval of live data, closed intervals of backlog behind it, and what
/// has been sent but not acknowledged. A position leaves only by an acknowledgement or an eviction.
package struct PendingIntervals: Hashable, Sendable {
    /// The next live position to send.
    package private(set) var live: Position
    /// Ascending, disjoint, not touching, none empty, all below `live`.
    private(set) var backlog: [PositionInterval] = []
    /// Sent, not acknowledged; the value tells whether it went out as replay.
    private(set) var inFlight: [Position: Bool] = [:]
    /// Set aside because the broker does not take them now, so that the others go on. Like `backlog`.
    private(set) var parked: [PositionInterval] = []
    /// Which of the parked is tried next.
    private var probe = 0

    /// Intervals kept apart. Beyond, neighbours become one: rows between them are delivered twice, but memory is bounded.
    static let intervalLimit = 8192

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
        for interval in parked { all.addBacklog(interval.low, interval.high ?? live) }
        for position in inFlight.keys { all.addBacklog(position, position + 1) }
        return all.backlog + [PositionInterval(low: live, high: nil)]
    }

    /// The oldest position that is not delivered, ``live`` where all before it are.
    package var oldest: Position {
        min(live, backlog.first?.low ?? live, parked.first?.low ?? live, inFlight.keys.min() ?? live)
    }

    package var inFlightCount: Int { inFlight.count }
    package var replayInFlightCount: Int { inFlight.values.count { $0 } }

    /// Positions of the backlog that have not been sent.
    package var backlogCount: UInt64 {
        backlog.reduce(0) { $0 + ($1.high ?? live) - $1.low }
    }

    /// Positions that are set aside.
    package var parkedCount: UInt64 {
        parked.reduce(0) { $0 + ($1.high ?? live) - $1.low }
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

    /// It could not be sent after all.
    package mutating func unsent(_ position: Position) {
        if inFlight.removeValue(forKey: position) != nil { addBacklog(position, position + 1) }
    }

    /// The broker does not take it now: it is set aside until ``unpark()`` or ``unparkOne()``.
    package mutating func park(_ position: Position) {
        guard inFlight.removeValue(forKey: position) != nil else { return }
        Self.add(PositionInterval(low: position, high: position + 1), to: &parked)
        if parked.count > Self.intervalLimit { Self.uniteNeighbours(&parked) }
    }

    /// Everything that was set aside is backlog again.
    package mutating func unpark() {
        for interval in parked { addBacklog(interval.low, interval.high ?? live) }
        parked = []
    }

    /// One row that was set aside is backlog again, each time from another place.
    ///
    /// - Returns: which one.
    package mutating func unparkOne() -> Position? {
        guard !parked.isEmpty else { return nil }
        probe = (probe + 1) % parked.count
        let position = parked[probe].low
        parked = parked.removing(position...position)
        addBacklog(position, position + 1)
        return position
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

    /// Rows that the journal no longer has.
    package mutating func gone(_ positions: ClosedRange<Position>) {
        if positions.contains(live) { skipLive(to: positions.upperBound + 1) }
        backlog = backlog.removing(positions)
        parked = parked.removing(positions)
    }

    /// What lies below `first` is no longer in the journal.
    ///
    /// - Returns: how many rows had not been delivered and where: a loss that must be told.
    package mutating func evicted(below first: Position) -> (positions: ClosedRange<Position>, count: UInt64)? {
        guard first > 0 else { return nil }
        let lost = (backlog + parked + [PositionInterval(low: live, high: nil)]).overlap(with: 0...(first - 1))
        gone(0...(first - 1))
        guard let low = lost.first?.lowerBound, let high = lost.last?.upperBound else { return nil }
        return (low...high, lost.reduce(0) { $0 + $1.upperBound - $1.lowerBound + 1 })
    }

    private mutating func addBacklog(_ low: Position, _ high: Position) {
        guard low < high else { return }
        Self.add(PositionInterval(low: low, high: high), to: &backlog)
        if backlog.count > Self.intervalLimit { Self.uniteNeighbours(&backlog) }
    }

    /// Inserts where it belongs and unites what overlaps or touches.
    private static func add(_ added: PositionInterval, to intervals: inout [PositionInterval]) {
        var merged = added
        let start = intervals.firstIndex { ($0.high ?? .max) >= added.low } ?? intervals.count
        var end = start
        while end < intervals.count, intervals[end].low <= added.high ?? .max {
            merged.low = min(merged.low, intervals[end].low)
            merged.high = max(merged.high ?? .max, intervals[end].high ?? .max)
            end += 1
        }
        intervals.replaceSubrange(start..<end, with: [merged])
    }

    private static func uniteNeighbours(_ intervals: inout [PositionInterval]) {
        intervals = stride(from: 0, to: intervals.count, by: 2).map { index in
            let last = intervals[min(index + 1, intervals.count - 1)]
            return PositionInterval(low: intervals[index].low, high: last.high)
        }
    }
}
