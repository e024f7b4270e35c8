import Model

/// Taking points back.
extension CommandDesk {
    /// Ends the hold of a command on its point: at the end of its lease, when it is released, or because something says so.
    mutating func takeBack(_ id: CommandID, cause: String, releasedBy release: CommandID? = nil) {
        guard let command = commands[id] else { return }
        points[command.point]?.slots.empty(id)
        guard command.state != .preempted else {
            move(id, .revert, note: cause)
            return move(id, .finishRevert, note: "somebody else holds the point")
        }
        let hasLower = !control(command.point).slots.isEmpty
        let stays = command.home == nil && (isUnrecorded || !hasLower)
        if command.isInEffect, release != nil || stays {
            move(id, .release, note: stays ? "\(cause); the value stays" : cause)
            guard !stays else { return letStay(command.value, at: command.point) }
            return begin(command, [], tag: release ?? id, cause: cause)
        }
        undo(id, cause: cause)
    }

    /// Undoes what a command did or may have done.
    mutating func undo(_ id: CommandID, cause: String) {
        guard let command = commands[id] else { return }
        points[command.point]?.slots.empty(id)
        if command.state == .indeterminate { expectStray(command) }
        guard command.home != nil || command.before != nil || !control(command.point).slots.isEmpty else {
            return leaveAsItIs(command, cause)
        }
        move(id, .revert, note: cause)
        begin(command, [id], tag: id, cause: cause)
    }

    /// There is no value that the point could go back to: it was never written, or nothing can be read there.
    private mutating func leaveAsItIs(_ command: ActiveCommand, _ cause: String) {
        guard command.state != .failed else { return finish(command.id, code: .verifyMismatch) }
        move(command.id, .revert, note: cause)
        move(command.id, .finishRevert, note: "there is no value to go back to; the point stays as it is")
    }

    private mutating func begin(_ command: ActiveCommand, _ commands: [CommandID], tag: CommandID, cause: String) {
        let home = command.home ?? command.before ?? .null
        start(command.point, commands, tag: WriteTag(command: tag), home: home, cause: cause)
    }

    mutating func start(_ point: String, _ ids: [CommandID], tag: WriteTag, home: PointValue, cause: String) {
        var control = control(point)
        if var running = control.restoration {
            running.commands += ids
            running.home = home
            running.cause = cause
            running.next = Deadline(.zero, after: now)
            control.restoration = running
        } else {
            control.restoration = Restoration(
                commands: ids, tag: tag, home: home, cause: cause, next: Deadline(.zero, after: now))
        }
        points[point] = control
        recordRestoration(point)
    }

    /// Makes the next attempt; false when the point is left alone for now.
    mutating func restore(_ point: String) -> Bool {
        guard var restoration = points[point]?.restoration else { return true }
        if restoration.isUnknown, let value = restoration.value, isConfirmed(point) {
            points[point]?.busy = restoration.tag
            output.actions.append(.readBack(SetpointWrite(tag: restoration.tag, point: point, value: value)))
            return true
        }
        let home = quantised(home: restoration.home, at: point) ?? .null
        points[point]?.restoration?.home = home
        guard let destination = destination(of: point) else {
            endRestoration(point, note: "somebody at the plant holds the point")
            return true
        }
        restoration = points[point]?.restoration ?? restoration
        guard let known = site.points[point] else {
            orphan(point)
            return false
        }
        guard known.point.write != nil, !site.settings.isReadOnly, destination.value != .null else {
            giveUp(point, note: "the point can no longer be written")
            return false
        }
        restoration.isOrphaned = false
        restoration.tag.number += 1
        restoration.value = destination.value
        restoration.resumes = destination.resumes
        points[point]?.restoration = restoration
        points[point]?.busy = restoration.tag
        leaf(
            "revert",
            [
                ("point", .string(point)), ("id", .string(restoration.tag.command.description)),
                ("write", .integer(restoration.tag.number)), ("value", JSONValue(destination.value)),
                ("resumes", .optional(destination.resumes?.description)), ("cause", .string(restoration.cause)),
            ])
        recordRestoration(point)
        figures.writes += 1
        output.actions.append(
            .write(SetpointWrite(tag: restoration.tag, point: point, value: destination.value)))
        return true
    }

    /// What the point is to be: the highest slot that may still have it, or its fallback. Nil when somebody at the device
    /// has it.
    private mutating func destination(of point: String) -> (value: PointValue, resumes: CommandID?)? {
        let home = points[point]?.restoration?.home ?? .null
        guard !isEnding(point), lockouts.covering(point) == nil else { return (home, nil) }
        for (_, occupant) in control(point).slots.occupied {
            guard let id = occupant.command, let command = commands[id] else { return nil }
            // Without a ledger nothing comes back that is not in effect.
            let isLate = isUnrecorded && command.state == .preempted
            let verdict = Guards.verdicts(context(command, stage: .resumption)).worst
            if isLate || verdict != .pass {
                let code: RefusalCode? = if case .refuse(let code) = verdict { code } else { nil }
                points[point]?.slots.empty(id)
                points[point]?.restoration?.commands.append(id)
                if command.home != nil { points[point]?.restoration?.home = command.home ?? home }
                move(id, .revert, code: code, note: isLate ? "not without a ledger" : "may not come back")
                continue
            }
            return (occupant.value, command.state == .preempted ? id : nil)
        }
        return (points[point]?.restoration?.home ?? home, nil)
    }

    // MARK: - What became of it

    mutating func restored(_ point: String, _ outcome: WriteOutcome) {
        switch outcome {
        case .verified(let readback): succeeded(point, readback)
        case .unverified: succeeded(point, nil)
        case .differs, .clamped: failedAttempt(point, "the device shows another value")
        case .refused(let code): failedAttempt(point, ExceptionMeaning.noted(code))
        case .notSent(let reason), .wrongDevice(let reason): failedAttempt(point, reason)
        case .indeterminate(let reason):
            points[point]?.restoration?.isUnknown = true
            failedAttempt(point, reason)
        }
    }

    mutating func sawRestoration(_ point: String, _ outcome: ReadBack) {
        switch outcome {
        case .bad(let reason, _): failedAttempt(point, reason.code)
        case .unreachable(let reason), .wrongDevice(let reason): failedAttempt(point, reason)
        case .unset(nil):
            points[point]?.restoration?.isUnknown = false
            points[point]?.restoration?.next = Deadline(.zero, after: now)
        case .value(let value), .unset(let value?):
            points[point]?.restoration?.isUnknown = false
            guard let wanted = points[point]?.restoration?.value, agree(point, value, wanted) else {
                points[point]?.restoration?.next = Deadline(.zero, after: now)
                return
            }
            succeeded(point, value)
        }
    }

    /// - Parameter readback: nil where nothing can be read that confirms it.
    private mutating func succeeded(_ point: String, _ readback: PointValue?) {
        guard let restoration = points[point]?.restoration else { return }
        // While it was under way the lease of what should have come back may have ended.
        if let id = restoration.resumes, commands[id]?.state != .preempted {
            points[point]?.restoration?.resumes = nil
            points[point]?.restoration?.next = Deadline(.zero, after: now)
            return recordRestoration(point)
        }
        if restoration.resumes == nil, let value = restoration.value, !isDestination(point, value) {
            points[point]?.restoration?.next = Deadline(.zero, after: now)
            return recordRestoration(point)
        }
        for id in restoration.commands { commands[id]?.readback = readback }
        leaf("restored", [("point", .string(point)), ("readback", .value(readback))])
        endRestoration(point, note: restoration.cause, code: readback == nil ? .unverified : nil)
        guard let id = restoration.resumes, let command = commands[id] else { return }
        commands[id]?.readback = readback
        commands[id]?.verified = now.utc
        if command.isUnverified {
            move(id, .acknowledge, code: .unverified, note: "back in effect")
        } else {
            move(id, .verify, note: "back in effect")
        }
    }

    /// Whether `value` is still what the point should be.
    private func isDestination(_ point: String, _ value: PointValue) -> Bool {
        guard let home = points[point]?.restoration?.home else { return true }
        let holder = isEnding(point) || lockouts.covering(point) != nil ? nil : control(point).slots.highest?.occupant
        return value == (holder?.value ?? home)
    }

    private mutating func failedAttempt(_ point: String, _ reason: String) {
        guard var restoration = points[point]?.restoration else { return }
        restoration.attempts += 1
        if restoration.attempts >= site.limits.revertAttempts {
            points[point]?.restoration = restoration
            return giveUp(point, note: reason)
        }
        restoration.next = Deadline(.seconds(1 << min(Int(restoration.attempts), 5)), after: now)
        points[point]?.restoration = restoration
    }

    /// An alarm: the commands end here, the attempts go on, slowly.
    private mutating func giveUp(_ point: String, note: String) {
        guard var restoration = points[point]?.restoration else { return }
        for id in restoration.commands where commands[id]?.state == .reverting {
            move(id, .giveUpRevert, code: .deviceUnhealthy, note: note)
        }
        restoration.commands = []
        restoration.attempts = 0
        restoration.isAlarm = true
        restoration.trouble = note
        restoration.next = Deadline(site.limits.alarmRetry, after: now)
        points[point]?.restoration = restoration
        recordRestoration(point)
    }

    /// The site file no longer has the point: nobody can take it back from here. Recorded once, told at each start.
    private mutating func orphan(_ point: String) {
        guard var restoration = points[point]?.restoration else { return }
        guard !restoration.isOrphaned || !restoration.isAlarm else {
            points[point]?.restoration?.next = Deadline(.seconds(86_400), after: now)
            return
        }
        restoration.isOrphaned = true
        points[point]?.restoration = restoration
        leaf(
            "orphaned",
            [
                ("point", .string(point)), ("id", .string(restoration.tag.command.description)),
                ("value", JSONValue(restoration.home)), ("cause", .string(restoration.cause)),
            ])
        giveUp(point, note: "the site file no longer has the point")
    }

    /// The point is where it should be, or in somebody's hands.
    mutating func endRestoration(_ point: String, note: String, code: RefusalCode? = nil) {
        guard let restoration = points[point]?.restoration else { return }
        points[point]?.restoration = nil
        noteRestored(restoration.tag, at: point)
        for id in restoration.commands where commands[id]?.state == .reverting {
            move(id, .finishRevert, code: code, note: note)
        }
        recordRestoration(point)
    }
}
