import Model

/// Feeding the watchdogs of devices.
extension CommandDesk {
    /// Starts and stops what may or must not be fed, and asks for the beats that are due.
    mutating func feedWatchdogs() {
        for plan in site.watchdogs {
            var watchdog = watchdogs[plan.point] ?? Watchdog(plan, at: now)
            let before = watchdog.state
            if let change = watchdog.look(obstacle: reasonNotToFeed(plan), at: now) { record(change, plan) }
            if let value = watchdog.beat(at: now) { output.actions.append(.beat(point: plan.point, value)) }
            keep(watchdog, before)
        }
    }

    mutating func beaten(_ point: String, failure: String?) {
        guard var watchdog = watchdogs[point] else { return }
        let before = watchdog.state
        if let change = watchdog.beaten(failure: failure, at: now) { record(change, watchdog.plan) }
        keep(watchdog, before)
    }

    /// Whether the device itself takes a point back when the gateway dies.
    func isGuardedByDevice(_ point: String) -> Bool {
        watchdogs.values.contains { $0.isGuarding && $0.plan.covered.contains(point) }
    }

    private func reasonNotToFeed(_ plan: WatchdogPlan) -> String? {
        if site.settings.isReadOnly { return "the site is read-only" }
        if isStopping { return "the gateway stops" }
        if isUnrecorded { return "the ledger cannot be written" }
        return lockouts.covering(plan.point).map { "lockout \($0.scope.name)" }
    }

    private mutating func keep(_ watchdog: Watchdog, _ before: Watchdog.State) {
        watchdogs[watchdog.plan.point] = watchdog
        // Who holds a covered point is told anew: what enforces the lease has changed.
        if watchdog.state != before { output.touched.formUnion(watchdog.plan.covered) }
    }

    private mutating func record(_ change: Watchdog.Change, _ plan: WatchdogPlan) {
        let words: (String, String?) =
            switch change {
            case .started: ("started", nil)
            case .stopped(let reason): ("stopped", reason)
            case .fault(let reason): ("fault", reason)
            case .recovered: ("recovered", nil)
            }
        leaf(
            "watchdog",
            [
                ("point", .string(plan.point)), ("state", .string(words.0)), ("every_s", .seconds(plan.watchdog.every)),
                ("reason", .optional(words.1)),
            ])
    }
}
