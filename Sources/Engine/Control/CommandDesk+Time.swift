import Model

/// What time and the plant do to commands that wait or are in effect.
extension CommandDesk {
    /// When something is due next, by ``Moment/uptime``; nil when nothing is.
    package var nextDeadline: Duration? {
        var deadlines: [Duration] = []
        for command in commands.values {
            let waits = [command.hold?.deadline, command.hold?.escalation].compactMap { $0?.uptime }
            switch command.state {
            case .held: deadlines += waits + [expiry(command), silence(command)].compactMap { $0 }
            case .approved: deadlines.append(expiry(command))
            case .verified, .written: deadlines += [command.until?.uptime, supervision(command)].compactMap { $0 }
            case .preempted: deadlines += [command.until?.uptime].compactMap { $0 }
            case .indeterminate:
                let isBusy = isResting || control(command.point).busy != nil
                deadlines += [command.until?.uptime, isBusy ? nil : command.nextReadBack?.uptime].compactMap { $0 }
            default: break
            }
        }
        for control in points.values where control.busy == nil && !isResting {
            if let restoration = control.restoration { deadlines.append(restoration.next.uptime) }
        }
        deadlines += lookDeadlines
        deadlines += watchdogs.values.compactMap(\.deadline)
        deadlines += outcomes.values.map { now.uptime + max(.zero, $0.horizon - now.utc) }
        return deadlines.min()
    }

    private func expiry(_ command: ActiveCommand) -> Duration {
        now.uptime + max(.zero, command.command.expires - now.utc)
    }

    /// When the issuer of a command that waits will have been silent for too long.
    private func silence(_ command: ActiveCommand) -> Duration? {
        guard command.hold?.isSilent == false, let limit = site.issuers[command.issuer]?.heartbeat else { return nil }
        return lastSign(of: command) + limit
    }

    /// Staleness comes without an event: what is guarded is looked at each second.
    private func supervision(_ command: ActiveCommand) -> Duration? {
        let policy = site.points[command.point]?.policy
        let isGuarded = !(policy?.interlocks ?? []).isEmpty || site.issuers[command.issuer]?.heartbeat != nil
        return isGuarded || (brokerLost != nil && command.until != nil) ? now.uptime + .seconds(1) : nil
    }

    mutating func advance() {
        for command in active {
            switch command.state {
            case .held: wait(command)
            case .approved where command.command.expires <= now.utc: move(command.id, .expire, code: .expired)
            case .verified, .written, .preempted: supervise(command)
            case .indeterminate where command.until?.isDue(at: now) ?? false:
                undo(command.id, cause: "the lease ended before it was known what the device did")
            case .indeterminate
            where isEnding(command.point) && command.until != nil && control(command.point).busy == nil:
                undo(command.id, cause: "\(endCause) before it is known what the device did")
            default: break
            }
        }
        collectOutcomes()
        forget()
    }

    private mutating func wait(_ command: ActiveCommand) {
        guard let hold = command.hold else { return }
        let isSilent = silence(of: command) != nil
        if command.command.expires <= now.utc {
            move(command.id, .expire, code: .expired)
        } else if hold.deadline.isDue(at: now) {
            move(command.id, .expire, code: .approvalTimeout)
        } else if hold.escalation?.isDue(at: now) ?? false {
            let others = site.points[command.point]?.policy?.approval?.escalation ?? []
            commands[command.id]?.hold?.escalation = nil
            commands[command.id]?.hold?.isEscalated = true
            commands[command.id]?.hold?.approvers += others.filter { !hold.approvers.contains($0) }
            output.changed.insert(command.id)
            leaf("escalated", [("id", .string(command.id.description)), ("to", .texts(others))])
            announceHold(command.id)
        } else if isSilent != hold.isSilent {
            commands[command.id]?.hold?.isSilent = isSilent
            announceHold(command.id)
        }
    }

    private mutating func supervise(_ command: ActiveCommand) {
        let issuer = site.issuers[command.issuer]
        let isMachine = !(issuer?.category.isPerson ?? false)
        if command.until?.isDue(at: now) ?? false {
            takeBack(command.id, cause: "lease ended")
        } else if let limit = issuer?.heartbeat, isMachine, now.uptime - lastSign(of: command) >= limit {
            takeBack(command.id, cause: "no sign of life of \(command.issuer)")
        } else if let lost = brokerLost, isMachine, now.uptime - lost >= site.settings.brokerLoss {
            takeBack(command.id, cause: "the broker is away")
        } else if let issuer, isMachine, lanes.lane(of: issuer, at: command.point) == .shadow {
            // It was being written when the lane was taken down, or the site file says so now.
            takeBack(command.id, cause: "the lane of \(command.issuer) is shadow now")
        } else if command.isInEffect {
            superviseInterlocks(command)
        }
    }

    /// Uptime of the issuer's last sign of life. After a restart it has its whole time again.
    private func lastSign(of command: ActiveCommand) -> Duration {
        heard[command.issuer] ?? .zero
    }

    mutating func superviseInterlocks(_ command: ActiveCommand) {
        let conditions = site.points[command.point]?.policy?.interlocks ?? []
        let results = conditions.map { condition in
            (condition.text, condition.expression.truth { readings.observed($0, at: now) })
        }
        switch results.map(\.1).min() {
        case .yes, nil: doubts[command.id] = nil
        case .no:
            let failed = results.first { $0.1 == .no }?.0 ?? ""
            takeBack(command.id, cause: "interlock: \(failed)")
        case .unknown:
            let since = doubts[command.id] ?? now.uptime
            doubts[command.id] = since
            guard now.uptime - since >= grace(conditions) else { return }
            takeBack(command.id, cause: "interlock unknown: \(results.first { $0.1 == .unknown }?.0 ?? "")")
        }
    }

    /// How long the interlocks may be unknown: after a restart slow points need their time to be read.
    private func grace(_ conditions: [Policy.Condition]) -> Duration {
        let points = conditions.flatMap(\.expression.points)
        return max(site.limits.interlockGrace, points.compactMap { site.points[$0]?.staleAfter }.max() ?? .zero)
    }

    /// Leases go back before the gateway stops; nothing new is taken.
    mutating func stop() {
        isStopping = true
        for command in active { end(command) }
    }

    /// Leases of some points go back before these are out of the desk's hands.
    mutating func withdraw(_ points: Set<String>) {
        withdrawn.formUnion(points)
        for command in active where points.contains(command.point) { end(command) }
    }

    var endCause: String { isStopping ? "the gateway stops" : "the site file takes the point away" }

    private mutating func end(_ command: ActiveCommand) {
        switch command.state {
        case .held: move(command.id, .cancel, note: endCause)
        case .approved: move(command.id, .reject, code: .notReady, note: endCause)
        case .verified where command.until != nil, .written where command.until != nil,
            .preempted where command.until != nil:
            takeBack(command.id, cause: endCause)
        default: break
        }
    }

    /// What a site file no longer lets anybody command is let go at a start: what is leased goes back, what a person set
    /// without an end stays as it is.
    mutating func endUncovered() {
        for command in active where site.points[command.point]?.policy == nil {
            let cause = "no policy covers the point any more"
            switch command.state {
            case .held: move(command.id, .cancel, code: .notWritable, note: cause)
            case .approved: move(command.id, .reject, code: .notWritable, note: cause)
            case .verified where command.until == nil, .written where command.until == nil:
                points[command.point]?.slots.empty(command.id)
                move(command.id, .release, note: "\(cause); the value stays")
            case .verified, .written, .preempted: takeBack(command.id, cause: cause)
            case .indeterminate where command.until == nil:
                move(command.id, .override, note: "\(cause); the value stays")
            case .indeterminate: undo(command.id, cause: cause)
            default: break
            }
        }
        for point in points.keys where site.points[point]?.policy == nil { clearOverride(point) }
    }

    /// Ids that nobody can use again are no longer remembered.
    private mutating func forget() {
        recordRefusalSummary()
        guard now.uptime - lastPrune >= .seconds(10) || now.uptime < lastPrune else { return }
        lastPrune = now.uptime
        let ids = finished.forget(at: now)
        for id in ids {
            output.record(LedgerRecord(kind: FinishedCommand.recordKind, key: id.description, body: nil))
        }
        if !ids.isEmpty { output.record(finished.bounds) }
        let digests = orders.forget(at: now)
        for digest in digests { output.record(OrderBook.record(digest, nil)) }
        if !digests.isEmpty { output.record(orders.bounds) }
    }
}
