/// Whether a unit is worth asking: after consecutive time-outs its breaker opens, it is left alone and probed, so that a
/// dead unit does not eat the bus.
package struct UnitHealth: Hashable, Sendable {
    /// Bounds that decide how much a dead unit may cost.
    package struct Limits: Hashable, Sendable {
        /// Consecutive time-outs that open the breaker; of a unit that has never answered, and that others
        /// wait for, the first one does.
        package var failuresToOpen: Int = 2
        /// First delay between probes; doubles up to the bound.
        package var firstProbeDelay: Duration = .seconds(1)
        package var shortestBound: Duration = .seconds(5)
        /// Share of the bus time that regular probes of all dead units together may take; ``ProbeBudget`` has a little
        /// more, which is saved for those that wait longer.
        package var probeShare: Double = 0.015

        package init() {}
    }

    package enum State: Hashable, Sendable {
        /// Never answered and never failed.
        case unknown
        case healthy
        /// Failed, but not often enough to give up asking each period.
        case failing(count: Int)
        case open(probeAt: Duration, probes: Int)
    }

    /// What an event changed, for status and log.
    package enum Change: Hashable, Sendable {
        case none
        case wentDown
        case recovered
    }

    package private(set) var state = State.unknown
    package var limits: Limits

    package init(limits: Limits = Limits()) {
        self.limits = limits
    }

    package var isOpen: Bool {
        if case .open = state { return true }
        return false
    }

    /// Whether a request may be sent now: always while closed, and when a probe is due while open.
    package func mayAsk(at now: Duration) -> Bool {
        if case .open(let probeAt, _) = state { return now >= probeAt }
        return true
    }

    /// The unit answered, even if with an exception.
    package mutating func answered() -> Change {
        defer { state = .healthy }
        return isOpen ? .recovered : .none
    }

    /// The unit did not answer.
    ///
    /// - Parameters:
    ///   - timeout: what the attempt cost the bus.
    ///   - deadUnits: units of this connection that are down, this one included; they share the budget.
    ///   - isAlone: whether no other unit could use the time.
    ///   - jitter: 0..<1, so that the probes of many units do not march in step.
    package mutating func timedOut(
        at now: Duration, timeout: Duration, deadUnits: Int, isAlone: Bool, jitter: Double
    ) -> Change {
        switch state {
        case .unknown, .healthy, .failing:
            let failures = consecutiveFailures + 1
            // Who has never answered has no credit: at a start each dead unit costs the others one time-out, not two.
            if state != .unknown || isAlone, failures < limits.failuresToOpen {
                state = .failing(count: failures)
                return .none
            }
            state = .open(probeAt: now + limits.firstProbeDelay * (1 + jitter / 5), probes: 0)
            return .wentDown
        case .open(_, let probes):
            let bound = probeBound(timeout: timeout, deadUnits: deadUnits, isAlone: isAlone)
            let delay = min(limits.firstProbeDelay * (1 << min(probes + 1, 16)), bound)
            state = .open(probeAt: now + delay * (1 + jitter / 5), probes: probes + 1)
            return .none
        }
    }

    private var consecutiveFailures: Int {
        if case .failing(let count) = state { return count }
        return 0
    }

    private func probeBound(timeout: Duration, deadUnits: Int, isAlone: Bool) -> Duration {
        if isAlone { return limits.shortestBound }
        let fair = timeout * (Double(deadUnits) / limits.probeShare)
        return max(limits.shortestBound, fair)
    }
}
