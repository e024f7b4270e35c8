package import Model

/// Taking what comes in.
extension CommandDesk {
    mutating func take(_ request: IncomingRequest) {
        if !isAwaiting(request) { judge(request) }
    }

    /// Decides about a request by what is known now.
    mutating func judge(_ request: IncomingRequest) {
        figures.requests += 1
        output.replies.append(.acknowledge(request.token))
        if let (code, note) = objection(to: request) { return refuse(request, code, note) }
        if let known = known(request) { return answer(known, request) }
        // A copy is no sign of life: anybody at the broker can send it again.
        if request.sender.isProven { heard[request.sender.name] = now.uptime }
        guard !hasSpentLedger(request) else {
            figures.unrecorded += 1
            return refuse(request, .budget, "the issuer has put as much into the audit log today as it may")
        }
        guard hasRoom(for: request) else {
            figures.unrecorded += 1
            return refuse(request, .rateLimit, "more requests than are taken from one issuer; later again")
        }
        let verdicts = Guards.verdicts(context(request))
        receive(request)
        let id = request.command.id
        // Of an issuer without a key nothing better is to be had.
        if verdicts.worst <= .hold, site.issuers[request.sender.name]?.key == Issuer.Key.none {
            heard[request.sender.name] = now.uptime
        }
        switch verdicts.worst {
        case .refuse(let code): move(id, .reject, code: code, note: verdicts.remark(on: code), guards: verdicts)
        case .hold: hold(id, verdicts)
        case .pass:
            if isShadow(request) {
                move(id, .shadow, guards: verdicts)
            } else if let note = obstacle(id) {
                move(id, .reject, code: .expired, note: note, guards: verdicts)
            } else {
                approve(id, guards: verdicts)
            }
        }
    }

    /// What is refused before anything else is looked at. Somebody else's copies of old messages, and messages under a name
    /// that is not proven, must cost the issuer of that name nothing.
    func objection(to request: IncomingRequest) -> (RefusalCode, String)? {
        let (command, name) = (request.command, request.sender.name)
        if request.isRetained { return (.badFormat, "a retained message is nobody's request") }
        guard site.issuers[name] != nil else { return (.notAuthorised, "no issuer has this name") }
        let allowsUnsigned = site.points[command.point]?.policy?.allowsUnsigned ?? false
        guard request.sender.isProven || allowsUnsigned else { return (.badSignature, "the request is not signed") }
        // Anybody can write a person's name, and a person outranks every machine.
        guard request.sender.isProven || site.issuers[name]?.category.isPerson == false else {
            return (.badSignature, "the request of a person is signed, whatever the policy allows to machines")
        }
        let isKnown = commands[command.id] != nil || finished[command.id] != nil
        if command.expires <= now.utc, !isKnown { return (.expired, "its time is over") }
        if let forgotten = finished.forgotten, command.expires <= forgotten, !isKnown {
            return (.expired, "it ends before others that are forgotten already; is a clock wrong?")
        }
        if command.issued - now.utc > site.settings.skew { return (.timeSkew, "it is issued in the future") }
        return nil
    }

    /// Tells everybody why, and the audit, only as often as junk is answered; whoever waits for an answer always gets it.
    /// The id stays free.
    private mutating func refuse(_ request: IncomingRequest, _ code: RefusalCode, _ note: String) {
        figures.refusals[code, default: 0] += 1
        output.replies.append(.answer(request.token, refusal: DeskRefusal(code: code, message: note)))
        recordRefusal(
            code, of: request.sender,
            [
                ("what", .string("request")), ("id", .string(request.command.id.description)),
                ("point", .string(request.command.point)), ("by", .string(request.sender.name)),
                ("proven", .bool(request.sender.isProven)), request.sender.accountMember,
                ("code", .string(code.rawValue)), ("note", .string(note)),
            ])
        guard isAnswerDue(to: request.sender) else { return }
        output.messages.append(
            .event(
                CommandEvent(
                    id: isAbout(request, code) ? request.command.id : nil, point: request.command.point,
                    state: .rejected, code: code, time: now.utc,
                    actor: request.sender.isProven ? request.sender.name : nil,
                    note: note, reply: request.reply)))
    }

    /// Whether the refusal may be said under the id. A copy, or somebody else's message with the id of a command that is there,
    /// must not make its issuer believe that this command was refused.
    private func isAbout(_ request: IncomingRequest, _ code: RefusalCode) -> Bool {
        guard let known = known(request) else { return true }
        return code == .duplicateConflict && request.sender.isProven && known.issuer == request.sender.name
    }

    /// What the request would write.
    private func value(of request: IncomingRequest) -> PointValue? {
        commands[request.command.id].map(\.value) ?? quantised(request.command).value
    }

    private func asked(by request: IncomingRequest) -> PointValue? {
        guard let asked = request.command.value, let value = value(of: request), !value.says(asked) else { return nil }
        return asked
    }

    mutating func take(_ junk: IncomingJunk) {
        figures.junk += 1
        figures.refusals[junk.code, default: 0] += 1
        output.replies.append(.acknowledge(junk.token))
        let signer = junk.signer.map { Sender(name: $0) }
        recordRefusal(
            junk.code, of: signer,
            [
                ("what", .string("junk")), ("id", .optional(junk.id?.description)), ("point", .optional(junk.point)),
                ("code", .string(junk.code.rawValue)), ("note", .optional(junk.note)),
            ])
        guard isAnswerDue(to: signer) else { return }
        if let id = junk.decision {
            let refusal = DeskRefusal(code: junk.code, message: junk.note ?? "it cannot be read")
            guard let signer = junk.signer, let event = event(refusing: id, by: signer, refusal, at: now.utc) else {
                return
            }
            return output.messages.append(.event(event))
        }
        let isKnown = junk.id.map { commands[$0] != nil || finished[$0] != nil } ?? false
        output.messages.append(
            .event(
                CommandEvent(
                    id: isKnown ? nil : junk.id, point: junk.point, state: .rejected, code: junk.code, time: now.utc,
                    note: junk.note, reply: junk.reply)))
    }

    // MARK: - The same id again

    func known(_ request: IncomingRequest) -> FinishedCommand? {
        let id = request.command.id
        if let command = commands[id] {
            return FinishedCommand(
                id: id, issuer: command.issuer, digest: command.digest, point: command.point, state: command.state,
                code: nil, readback: command.readback, expires: command.command.expires,
                forget: Deadline(.zero, after: now))
        }
        return finished[id]
    }

    /// The same bytes get the state that the command has; other bytes under the same id are refused and change nothing.
    private mutating func answer(_ known: FinishedCommand, _ request: IncomingRequest) {
        figures.duplicates += 1
        guard known.digest == request.digest, known.issuer == request.sender.name else {
            return refuse(request, .duplicateConflict, "the id is taken by a request with other bytes")
        }
        guard isAnswerDue(to: request.sender) else {
            let refusal = DeskRefusal(code: .rateLimit, message: "asked for more often than is told; later again")
            return output.replies.append(.answer(request.token, refusal: refusal))
        }
        output.messages.append(
            .event(
                CommandEvent(
                    id: known.id, point: known.point, state: known.state, code: known.code, time: now.utc,
                    value: value(of: request), asked: asked(by: request), readback: known.readback,
                    reply: request.reply)))
    }

    private mutating func hasRoom(for request: IncomingRequest) -> Bool {
        let (limits, name) = (site.limits, request.sender.name)
        // Names that nobody configured share one bucket: they must not fill the memory.
        let key = site.issuers[name] == nil ? "" : name
        var bucket =
            buckets[key] ?? TokenBucket(rate: limits.requestRate, burst: limits.requestBurst, at: now.uptime)
        let hasToken = bucket.take(at: now.uptime)
        buckets[key] = bucket
        guard hasToken else { return false }
        var working: [String: Int] = [:]
        for command in commands.values { working[command.issuer, default: 0] += 1 }
        return hasRoom(for: name, working, limits.inWork, most: limits.inWorkPerIssuer)
            && hasRoom(for: name, finished.counts, limits.remembered, most: limits.rememberedPerIssuer)
    }

    /// Whether `issuer` has room for one more of what `counts` counts. Persons and machines each have a room that the others
    /// cannot use.
    func hasRoom(for issuer: String, _ counts: [String: Int], _ limit: DeskLimits.Room, most: Int) -> Bool {
        func isPerson(_ name: String) -> Bool { site.issuers[name]?.category.isPerson ?? false }
        let own = isPerson(issuer)
        return FairShare.hasRoom(
            for: issuer, counts: counts.filter { isPerson($0.key) == own },
            limit: own ? limit.persons : limit.machines, most: most,
            issuers: site.issuers.values.count { $0.category.isPerson == own })
    }

    // MARK: - Judging

    /// What the guards would say to a request now. Changes nothing.
    package func rehearse(_ request: IncomingRequest, at moment: Moment) -> [GuardVerdict] {
        var rehearsal = self
        rehearsal.now = moment
        return Guards.verdicts(rehearsal.context(request))
    }

    /// Whether nothing is to be done but a record. To give something up needs no more trust than to ask for it.
    private func isShadow(_ request: IncomingRequest) -> Bool {
        switch request.command.action {
        case .set, .renew: context(request).mode == .shadow
        case .release, .cancel: request.command.mode == .shadow
        }
    }

    func context(_ request: IncomingRequest) -> GuardContext {
        context(
            request.command, quantised(request.command), request.sender, stage: .request,
            isApproved: request.command.action == .renew && subject(of: request)?.isApproved ?? true)
    }

    /// What a `renew` is about.
    private func subject(of request: IncomingRequest) -> ActiveCommand? {
        held(by: request.sender.name, request.command, besides: request.command.id)
    }

    func context(_ command: ActiveCommand, stage: GuardContext.Stage) -> GuardContext {
        let sender = Sender(name: command.issuer, isProven: command.isSigned, account: command.account)
        return context(
            command.command, Quantised(value: command.value), sender, stage: stage, isApproved: command.isApproved)
    }

    private func context(
        _ command: Command, _ quantised: Quantised, _ sender: Sender, stage: GuardContext.Stage, isApproved: Bool
    ) -> GuardContext {
        let issuer = site.issuers[sender.name]
        let control = control(command.point)
        let names = Set(command.evidence.map(\.point) + (command.rationale?.expected ?? []).map(\.point))
        let named = names.compactMap { name in site.points[name].map { (name, $0.point) } }
        return GuardContext(
            stage: stage, command: command, issuer: issuer, isSigned: sender.isProven, isLocal: sender.account != nil,
            gateway: site.gateway, settings: site.settings, point: site.points[command.point],
            named: Dictionary(uniqueKeysWithValues: named),
            lane: issuer.map { lanes.lane(of: $0, at: command.point) } ?? .shadow, now: now, readings: readings,
            budget: control.budget, slots: control.slots, lockout: lockouts.covering(command.point),
            isRestoring: control.restoration != nil, isReady: isReady, isStopping: isEnding(command.point),
            isApproved: isApproved, quantised: quantised, finding: looks[command.point]?.finding)
    }

    private mutating func receive(_ request: IncomingRequest) {
        var command = ActiveCommand(
            command: request.command, issuer: request.sender.name, isSigned: request.sender.isProven,
            digest: request.digest, reply: request.reply, arrival: seq + 1, received: now.utc,
            slot: site.issuers[request.sender.name]?.category.slot ?? .ai, account: request.sender.account)
        command.quantised = quantised(request.command).value
        commands[command.id] = command
        announce(command, from: nil)
    }

    // MARK: - Going on

    private mutating func hold(_ id: CommandID, _ verdicts: [GuardVerdict]) {
        guard let command = commands[id] else { return }
        replaceEarlier(than: command)
        let persons = site.settings.issuers.filter(\.category.isPerson).map(\.name)
        let rule = site.points[command.point]?.policy?.approval ?? Policy.ApprovalRule(approvers: persons)
        let held = ActiveCommand.Hold(
            deadline: Deadline(rule.within, after: now),
            escalation: rule.escalateAfter.map { Deadline($0, after: now) },
            approvers: rule.approvers, needed: rule.count, from: context(command, stage: .request).trustedValue)
        commands[id]?.hold = held
        move(id, .hold, guards: verdicts)
        announceHold(id, verdicts)
    }

    mutating func announceHold(_ id: CommandID, _ verdicts: [GuardVerdict] = []) {
        guard let command = commands[id], let hold = command.hold else { return }
        output.messages.append(
            .held(
                HeldCommand(
                    command: command.command, value: command.value, asked: command.asked, issuer: command.issuer,
                    digest: command.digest, from: hold.from,
                    until: command.end ?? hold.deadline.utc, isSilent: hold.isSilent,
                    approvers: hold.approvers, needed: hold.needed, approvals: hold.approvals,
                    isEscalated: hold.isEscalated, guards: verdicts)))
    }

    mutating func approve(_ id: CommandID, actor: String? = nil, guards: [GuardVerdict] = []) {
        guard let command = commands[id] else { return }
        if command.state == .received { replaceEarlier(than: command) }
        if command.hold != nil { noteDecided(id) }
        move(id, .approve, actor: actor, guards: guards)
        switch command.command.action {
        case .set: points[command.point, default: PointControl()].waiting.append(id)
        case .release: release(command)
        case .renew: renew(command)
        case .cancel: cancel(command)
        }
    }

    /// A newer command of the same issuer for the same point takes the place of those that were not written yet.
    private mutating func replaceEarlier(than newer: ActiveCommand) {
        let action = newer.command.action
        guard action == .set || action == .renew else { return }
        for command in active where command.issuer == newer.issuer && command.point == newer.point {
            guard action == .set || command.command.action == .renew else { continue }
            guard command.id != newer.id, command.state == .held || command.state == .approved else { continue }
            move(command.id, .supersede, actor: newer.issuer, note: "by \(newer.id)")
        }
    }
}
