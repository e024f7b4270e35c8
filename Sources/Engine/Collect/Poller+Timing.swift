import Model

/// How long is waited for whom, and who is worth asking.
extension Poller {
    /// That a unit is down was found out by waiting as long as is configured. Its probes wait for what it used to need, or
    /// what the others of the connection need where it never answered: that it is back is seen sooner for the same bus time.
    /// It may be slower now, so now and then a probe waits longer.
    func timeout(of slot: PollSchedule.Slot) -> Duration {
        let index = slot.device
        guard health[index].isOpen else { return timing[index].timeout(ofJob: slot.job) }
        let mayWait = !isNeededByOthers(index) || probes.affordsPatience(at: clock.uptime)
        guard let usual = usualTimeout(of: slot),
            timing[index].hastyProbes < DeviceTiming.hastyProbesInARow || !mayWait
        else {
            timing[index].hastyProbes = 0
            return timeout(ofUnit: devices[index].device.unit)
        }
        timing[index].hastyProbes += 1
        return usual
    }

    private func usualTimeout(of slot: PollSchedule.Slot) -> Duration? {
        timing[slot.device].usualTimeout(ofJob: slot.job) ?? timing.compactMap { $0.usualTimeout(ofJob: 0) }.max()
    }

    /// A unit that is down is asked when its own delay is over and the share of all that are down allows it.
    func mayAsk(_ index: Int) -> Bool {
        let now = clock.uptime
        guard health[index].mayAsk(at: now) else { return false }
        return !health[index].isOpen || !isNeededByOthers(index) || probes.mayProbe(at: now)
    }

    /// Whether there is a unit that could use the time.
    private func isNeededByOthers(_ index: Int) -> Bool {
        health.indices.contains { $0 != index && !health[$0].isOpen }
    }

    /// - Parameter cost: how long the bus was taken by the request that failed; as long as is configured where it is left out.
    func noteFailure(_ error: BusError, of index: Int, cost: Duration? = nil) {
        let longest = timeout(ofUnit: devices[index].device.unit)
        let cost = cost ?? longest
        switch error {
        case .noResponse, .refused(0x0A), .refused(0x0B):
            let now = clock.uptime
            if error == .noResponse { timing[index].timedOut() }
            if error == .noResponse, !connection.hasTransactions {
                timing[index].quietUntil = now + longest
            }
            if health[index].isOpen, isNeededByOthers(index) { probes.spent(cost, at: now) }
            downReasons[index] = PollFault(error).reason
            let others = health.indices.count { $0 != index && health[$0].isOpen }
            // A patient probe was saved for: the next one need not wait for what it cost.
            let regular = usualTimeout(of: PollSchedule.Slot(device: index, job: 0)) ?? cost
            let change = health[index].timedOut(
                at: now, timeout: min(cost, regular), deadUnits: others + 1, isAlone: !isNeededByOthers(index),
                jitter: chance())
            note(change, of: index)
        case .refused, .garbled, .mismatch: note(health[index].answered(), of: index)
        case .linkDown, .invalidRequest: break
        }
    }
}
