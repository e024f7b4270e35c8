import Model

/// Writing, and finding out what became of it.
extension CommandDesk {
    /// Starts the next thing that is to be done at a point, if nothing is out: persons first, then the way back, then machines.
    mutating func settle(_ point: String) {
        guard !isResting else { return }
        while let control = points[point], control.busy == nil {
            if !isUnrecorded, let id = control.waiting.first(where: { isPersons($0) }) {
                execute(id)
            } else if let restoration = control.restoration, restoration.next.isDue(at: now) {
                guard restore(point) else { return }
            } else if let id = dueReadBack(point) {
                if isConfirmed(point) { readBack(id) } else { giveUp(id) }
            } else if !isUnrecorded, control.restoration == nil, !isUnresolved(point), let id = control.waiting.first {
                execute(id)
            } else {
                return
            }
        }
    }

    /// Whether nobody knows yet what the device made of a write: it may have been a person's, so machines wait.
    private func isUnresolved(_ point: String) -> Bool {
        commands.values.contains { $0.point == point && $0.state == .indeterminate }
    }

    func isPersons(_ id: CommandID) -> Bool {
        commands[id].flatMap { site.issuers[$0.issuer]?.category.isPerson } ?? false
    }

    private mutating func execute(_ id: CommandID) {
        guard var command = commands[id], let value = command.value else { return }
        points[command.point]?.waiting.removeAll { $0 == id }
        let context = context(command, stage: .execution)
        let verdicts = Guards.verdicts(context)
        if case .refuse(let code) = verdicts.worst {
            return move(
                id, code == .expired ? .expire : .reject, code: code, note: verdicts.remark(on: code), guards: verdicts)
        }
        // The approval guard holds again where the lane was taken down in the meantime.
        guard verdicts.worst == .pass, context.mode != .shadow else {
            return move(id, .reject, code: .modeBlocked, guards: verdicts)
        }
        // Nil where nothing was ever written, and where nothing can be read.
        command.before = context.trustedValue
        command.isUnverified = !context.isConfirmable
        command.baseline =
            control(command.point).slots.occupied.compactMap(\.occupant.command).compactMap { commands[$0]?.baseline }
            .first ?? command.before
        command.home = quantised(home: home(of: command, context), at: command.point)
        commands[id] = command
        spend(command.point, isPerson: context.isPerson)
        move(id, .execute, guards: verdicts)
        points[command.point]?.busy = WriteTag(command: id)
        figures.writes += 1
        output.actions.append(.write(SetpointWrite(tag: WriteTag(command: id), point: command.point, value: value)))
    }

    /// Where the point goes after the command; nil when it stays. The sender may ask for the fallback in place of what the
    /// policy would leave, never for less.
    private func home(of command: ActiveCommand, _ context: GuardContext) -> PointValue? {
        guard let policy = context.policy else { return command.before }
        let end = command.command.lease?.onEnd == .fallback ? .fallback : policy.lease.onEnd
        switch (end, policy.fallback) {
        case (.fallback, .value(let value)): return value
        case (.fallback, .previous), (.previous, _): return command.baseline
        case (.fallback, .hold), (.hold, _): return nil
        }
    }

    private mutating func spend(_ point: String, isPerson: Bool) {
        points[point]?.budget.spend(at: now.utc, isPerson: isPerson)
        guard let entries = points[point]?.budget.entries else { return }
        let body = JSONValue.array(entries.map { .array([.integer($0.time.microseconds), .bool($0.isPerson)]) })
        output.record(LedgerRecord(kind: Self.budgetKind, key: point, body: body.bytes))
    }

    static var budgetKind: String { "budget" }

    // MARK: - What became of it

    mutating func wrote(_ tag: WriteTag, _ outcome: WriteOutcome) {
        guard let point = points.first(where: { $0.value.busy == tag })?.key else { return }
        points[point]?.busy = nil
        note(readback: outcome.readback, at: point)
        if let restoration = points[point]?.restoration, restoration.tag == tag {
            return restored(point, outcome)
        }
        guard let command = commands[tag.command], command.state == .executing else { return }
        let id = command.id
        switch outcome {
        case .verified(let readback):
            commands[id]?.readback = readback
            move(id, .acknowledge)
            tookEffect(id)
        case .unverified: tookEffect(id)
        case .differs(let readback), .clamped(let readback):
            commands[id]?.readback = readback
            move(id, .acknowledge)
            let isClamped = if case .clamped = outcome { true } else { false }
            move(
                id, .fail, code: .verifyMismatch,
                note: isClamped ? "the device clamped it" : "the device shows another value")
            demote(command, "a write was not verified")
            undo(id, cause: "partial effect")
        case .refused(let code):
            demote(command, "the device refused a write")
            fail(id, .deviceRejected, ExceptionMeaning.noted(code))
        case .notSent(let reason): fail(id, .notSent, reason)
        case .wrongDevice(let reason): fail(id, .wrongDevice, reason)
        case .indeterminate(let reason):
            if !command.isUnverified { demote(command, "a write was not verified") }
            let until = lease(of: command)
            commands[id]?.until = until
            commands[id]?.nextReadBack = Deadline(command.isUnverified ? .zero : .seconds(1), after: now)
            move(id, .loseSight, note: reason)
        }
    }

    /// Fails without an effect on the device: nothing is to be taken back.
    private mutating func fail(_ id: CommandID, _ code: RefusalCode, _ note: String) {
        move(id, .fail, code: code, note: note)
        finish(id, code: code)
    }

    /// The value is in the device: the command takes its slot, and whoever had the point gives way.
    private mutating func tookEffect(_ id: CommandID) {
        guard var command = commands[id], let value = command.value else { return }
        let until = command.until ?? lease(of: command)
        commands[id]?.until = until
        if command.isUnverified {
            move(id, .acknowledge, code: .unverified, note: shortening(of: command))
        } else {
            move(id, .verify, note: shortening(of: command))
        }
        command.state = commands[id]?.state ?? .verified
        command.until = until
        command.verified = now.utc
        command.tookEffect = command.tookEffect ?? now.utc
        command.nextReadBack = nil
        commands[id] = command
        points[command.point]?.noteSeen()
        giveWay(to: command)
        endRestoration(command.point, note: "taken over by \(id)")
        points[command.point, default: PointControl()].slots.take(
            command.slot,
            AuthoritySlots.Occupant(command: id, holder: command.issuer, value: value, until: until))
        noteConfounder(command)
        if let lockout = lockouts.covering(command.point) {
            intervene(command, with: lockout)
            takeBack(id, cause: "lockout \(lockout.scope.name)")
        } else if isEnding(command.point), until != nil {
            takeBack(id, cause: endCause)
        }
    }

    /// Same slot: superseded. Lower slots: preempted, and back when this one goes. Unknown ones are overridden.
    private mutating func giveWay(to winner: ActiveCommand) {
        for other in active where other.point == winner.point && other.id != winner.id {
            switch other.state {
            case .verified where other.slot == winner.slot, .written where other.slot == winner.slot:
                intervene(other.id, .superseded, with: winner)
                move(other.id, .supersede, note: "by \(winner.id)")
            case .verified, .written:
                intervene(other.id, .preempted, with: winner)
                move(other.id, .preempt, note: "by \(winner.id)")
            case .indeterminate:
                expectStray(other)
                intervene(other.id, .superseded, with: winner)
                move(other.id, .override, note: "by \(winner.id)")
            case .preempted where other.slot == winner.slot:
                move(other.id, .revert, note: "by \(winner.id)")
                move(other.id, .finishRevert, note: "by \(winner.id)")
            default: continue
            }
        }
        guard winner.slot == .localOperator else { return }
        clearOverride(winner.point)
    }

    /// When the command's hold on the point ends. Machines always have a lease; a person has the one that was asked for.
    func lease(of command: ActiveCommand) -> Deadline? {
        let longest = site.points[command.point]?.policy?.lease.longest ?? .zero
        let isPerson = site.issuers[command.issuer]?.category.isPerson ?? false
        let asked = command.command.lease?.duration
        if isPerson, asked == nil { return nil }
        return Deadline(min(asked ?? longest, longest), after: now)
    }

    /// Told to whoever asked for more time than the policy gives.
    private func shortening(of command: ActiveCommand) -> String? {
        guard let longest = site.points[command.point]?.policy?.lease.longest,
            let asked = command.command.lease?.duration, asked > longest
        else { return nil }
        return "for \(longest.components.seconds) s, the longest that the policy gives"
    }

    /// One step down for a machine whose write was not what it should have been.
    private mutating func demote(_ command: ActiveCommand, _ reason: String) {
        guard let issuer = site.issuers[command.issuer], !issuer.category.isPerson,
            let lower = lanes.lane(of: issuer, at: command.point).below
        else { return }
        setLane(lower, issuer: issuer.name, point: command.point, by: Sender(name: "headgate"), reason: reason)
    }

    // MARK: - Reading back what is not known

    private func dueReadBack(_ point: String) -> CommandID? {
        active.first { $0.point == point && $0.state == .indeterminate && $0.nextReadBack?.isDue(at: now) ?? true }?.id
    }

    private mutating func readBack(_ id: CommandID) {
        guard let command = commands[id], let value = command.value else { return }
        let tag = WriteTag(command: id)
        points[command.point]?.busy = tag
        output.actions.append(.readBack(SetpointWrite(tag: tag, point: command.point, value: value)))
    }

    /// Nothing can be read that tells what became of the write: the point goes back, where there is something to go back to.
    private mutating func giveUp(_ id: CommandID) {
        guard let command = commands[id] else { return }
        let cause = "no answer, and nothing can be read that tells what the device did"
        if command.home != nil { return undo(id, cause: cause) }
        fail(id, .unverified, cause)
    }

    func isConfirmed(_ point: String) -> Bool {
        site.points[point].map { $0.confirmation != .nowhere } ?? false
    }

    mutating func sawReadBack(_ tag: WriteTag, _ outcome: ReadBack) {
        guard let point = points.first(where: { $0.value.busy == tag })?.key else { return }
        points[point]?.busy = nil
        note(readback: outcome.value, at: point)
        if let restoration = points[point]?.restoration, restoration.tag == tag {
            return sawRestoration(point, outcome)
        }
        guard var command = commands[tag.command], command.state == .indeterminate,
            let wanted = command.value
        else { return }
        switch outcome {
        // Still as it was before the write, which may be on its way.
        case .unset(let value) where command.before == nil && !(value.map { agree(point, $0, wanted) } ?? false):
            showsOldValue(command.id)
        case .bad, .unreachable, .wrongDevice, .unset(nil):
            command.readBacks += 1
            command.nextReadBack = Deadline(.seconds(min(30, 1 << min(command.readBacks, 5))), after: now)
            commands[command.id] = command
        case .value(let value), .unset(let value?):
            command.readback = value
            commands[command.id] = command
            if agree(point, value, wanted) {
                tookEffect(command.id)
            } else if let before = command.before, agree(point, value, before) {
                showsOldValue(command.id)
            } else {
                undo(command.id, cause: "neither the old value nor the new one")
            }
        }
    }

    /// The write may still be on its way: one look that finds the old value proves nothing.
    private mutating func showsOldValue(_ id: CommandID) {
        guard let command = commands[id] else { return }
        let lost = command.lostFrom ?? now.uptime + site.limits.lateWrite
        guard now.uptime < lost else {
            expectStray(command)
            return fail(id, .verifyMismatch, "no answer, and the device goes on showing the old value")
        }
        commands[id]?.lostFrom = lost
        commands[id]?.nextReadBack = Deadline(min(site.limits.lateWriteLook, lost - now.uptime), after: now)
    }

    func agree(_ point: String, _ left: PointValue, _ right: PointValue) -> Bool {
        site.points[point]?.agree(left, right) ?? (left == right)
    }
}
