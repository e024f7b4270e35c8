package import Model

/// A watchdog of a device that the site's policy lets the gateway feed.
package struct WatchdogPlan: Hashable, Sendable {
    /// `device/point`.
    package var point: String
    package var device: String
    package var watchdog: DeviceWatchdog
    package var isBool: Bool
    /// Ids of the points that the device takes back by itself.
    package var covered: Set<String>

    package init(point: String, device: String, watchdog: DeviceWatchdog, isBool: Bool, covered: Set<String>) {
        self.point = point
        self.device = device
        self.watchdog = watchdog
        self.isBool = isBool
        self.covered = covered
    }
}

/// Whether a device's watchdog is fed, and with what next. The desk looks at it whenever time passes: a desk that hangs, or
/// that has lost its ledger, feeds nothing, and that is what a watchdog is for.
package struct Watchdog: Hashable, Sendable {
    package enum State: Hashable, Sendable {
        /// Not fed. Says why.
        case stopped(String)
        /// Fed from now on; the device has not taken a beat yet.
        case starting
        case fed
        /// Beats do not arrive. Says why.
        case fault(String)

        package var name: String {
            switch self {
            case .stopped: "stopped"
            case .starting: "starting"
            case .fed: "fed"
            case .fault: "fault"
            }
        }

        package var reason: String? {
            switch self {
            case .stopped(let reason), .fault(let reason): reason
            case .starting, .fed: nil
            }
        }
    }

    /// What is to be recorded: single beats are not.
    enum Change: Hashable, Sendable {
        case started
        case stopped(String)
        case fault(String)
        case recovered
    }

    /// Beats in a row that must be lost before it is a fault, and be taken before it is over.
    static let tolerance = 3

    package let plan: WatchdogPlan
    package private(set) var state = State.stopped("not started")
    package private(set) var since: UnixTime
    /// Beats that the device took since the start.
    package private(set) var beats: UInt64 = 0
    private var number: UInt64 = 0
    private var next: Duration
    private var isOut = false
    /// Results in a row that speak against the state.
    private var contrary = 0

    init(_ plan: WatchdogPlan, at now: Moment) {
        self.plan = plan
        since = now.utc
        next = now.uptime
    }

    /// Whether the device takes its points back when the gateway dies now.
    package var isGuarding: Bool { state == .fed }

    private var isFed: Bool {
        if case .stopped = state { false } else { true }
    }

    /// When the next beat is due, by ``Moment/uptime``.
    var deadline: Duration? { isFed && !isOut ? next : nil }

    /// - Parameter obstacle: why it must not be fed now; nil when it may.
    mutating func look(obstacle: String?, at now: Moment) -> Change? {
        if let obstacle {
            guard isFed else { return nil }
            enter(.stopped(obstacle), at: now)
            return .stopped(obstacle)
        }
        guard !isFed else { return nil }
        enter(.starting, at: now)
        next = now.uptime
        return .started
    }

    /// The value of a beat that is due.
    mutating func beat(at now: Moment) -> PointValue? {
        guard let deadline, deadline <= now.uptime else { return nil }
        isOut = true
        // Absolute steps; beats that were missed are not caught up.
        next = max(next + plan.watchdog.every, now.uptime)
        number += 1
        return plan.watchdog.value(number, isBool: plan.isBool)
    }

    /// What became of a beat.
    mutating func beaten(failure: String?, at now: Moment) -> Change? {
        isOut = false
        guard let failure else {
            beats += 1
            return taken(at: now)
        }
        switch state {
        case .stopped: return nil
        case .fault:
            contrary = 0
            return nil
        case .starting, .fed:
            contrary += 1
            guard contrary >= Self.tolerance else { return nil }
            enter(.fault(failure), at: now)
            return .fault(failure)
        }
    }

    private mutating func taken(at now: Moment) -> Change? {
        switch state {
        case .stopped: return nil
        case .starting: enter(.fed, at: now)
        case .fed: contrary = 0
        case .fault:
            contrary += 1
            guard contrary >= Self.tolerance else { return nil }
            enter(.fed, at: now)
            return .recovered
        }
        return nil
    }

    private mutating func enter(_ new: State, at now: Moment) {
        state = new
        since = now.utc
        contrary = 0
    }
}
