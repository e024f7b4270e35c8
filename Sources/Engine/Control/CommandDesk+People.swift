import Model

/// Decisions, orders, and the actions that write nothing themselves.
extension CommandDesk {
    // MARK: - Decisions

    mutating func take(_ decision: IncomingDecision) {
        output.replies.append(.acknowledge(decision.token))
        let refusal = objection(to: decision)
        output.replies.append(.answer(decision.token, refusal: refusal))
        guard refusal == nil, var hold = commands[decision.id]?.hold else {
            guard let refusal else { return }
            if refusal.code == .notAuthorised { recordRefused("decision", decision.sender, refusal) }
            return tell(decision, refusal)
        }
        leaf(
            "decision",
            [
                ("id", .string(decision.id.description)), ("by", .string(decision.sender.name)),
                decision.sender.accountMember,
                ("verdict", .string(decision.isApproval ? "approve" : "deny")),
                ("digest", .string(DocumentDigest.text(decision.digest))),
                ("reason", .optional(decision.reason?.rawValue)), ("note", .optional(decision.note)),
            ])
        commands[decision.id]?.deciders.append(decision.sender.name)
        commands[decision.id]?.decided = now.utc
        guard decision.isApproval else {
            intervene(
                decision.id, .denied, by: decision.sender.name, reason: decision.reason, note: decision.note)
            return move(
                decision.id, .deny, code: .approvalDenied, actor: decision.sender.name,
                note: decision.reason?.rawValue ?? decision.note)
        }
        hold.approvals.append(decision.sender.name)
        if let account = decision.sender.account { hold.accounts.append(account.userID) }
        commands[decision.id]?.hold = hold
        output.changed.insert(decision.id)
        if hold.approvals.count >= hold.needed {
            commands[decision.id]?.isApproved = true
            approve(decision.id, actor: decision.sender.name)
        } else {
            announceHold(decision.id)
        }
    }

    /// Who decides over a broker hears of a refusal where everything about the command is told; at the local socket it is the
    /// answer. Says the state that the command has.
    private mutating func tell(_ decision: IncomingDecision, _ refusal: DeskRefusal) {
        guard let event = event(refusing: decision, refusal, at: now.utc), isAnswerDue(to: decision.sender) else {
            return
        }
        output.messages.append(.event(event))
    }

    func event(refusing decision: IncomingDecision, _ refusal: DeskRefusal, at time: UnixTime) -> CommandEvent? {
        guard decision.sender.isProven, decision.sender.account == nil else { return nil }
        return event(refusing: decision.id, by: decision.sender.name, refusal, at: time)
    }

    /// Nil where the command is not known.
    func event(
        refusing id: CommandID, by name: String, _ refusal: DeskRefusal, at time: UnixTime
    ) -> CommandEvent? {
        let known = commands[id].map { ($0.point, $0.state) } ?? finished[id].map { ($0.point, $0.state) }
        guard let (point, state) = known else { return nil }
        return CommandEvent(
            id: id, point: point, state: state, code: refusal.code, time: time, actor: name,
            note: "decision not taken: \(refusal.message)")
    }

    private func objection(to decision: IncomingDecision) -> DeskRefusal? {
        guard decision.gateway == site.gateway else {
            return DeskRefusal(
                code: .unknownPoint, message: "the decision is for \(decision.gateway), this is \(site.gateway)")
        }
        guard let command = commands[decision.id], command.state == .held, let hold = command.hold else {
            return DeskRefusal(code: .expired, message: "no command \(decision.id) waits for a decision")
        }
        let name = decision.sender.name
        guard decision.sender.isProven else {
            return DeskRefusal(code: .badSignature, message: "a decision must be signed")
        }
        guard decision.expires > now.utc else {
            return DeskRefusal(code: .expired, message: "the decision has expired")
        }
        guard decision.digest == command.digest else {
            return DeskRefusal(
                code: .duplicateConflict,
                message: """
                    the decision is about a request with the digest \(DocumentDigest.text(decision.digest)); the one that \
                    waits has \(DocumentDigest.text(command.digest))
                    """)
        }
        guard site.issuers[name]?.category.isPerson == true, hold.approvers.contains(name) else {
            return DeskRefusal(
                code: .notAuthorised,
                message: "\(name) may not decide; allowed: \(hold.approvers.joined(separator: ", "))")
        }
        guard name != command.issuer else {
            return DeskRefusal(code: .notAuthorised, message: "\(name) asked for it and cannot decide about it")
        }
        guard !decision.isApproval || !hold.approvals.contains(name) else {
            return DeskRefusal(code: .notAuthorised, message: "\(name) has approved already; another person is needed")
        }
        if decision.isApproval, let silence = silence(of: command) { return silence }
        return objection(to: decision, account: command, hold)
    }

    /// Why a command cannot be approved now: its issuer has been silent for longer than its heartbeat, so that the gateway
    /// would revert the value at once. Nil while the issuer is alive.
    func silence(of command: ActiveCommand) -> DeskRefusal? {
        guard let issuer = site.issuers[command.issuer], !issuer.category.isPerson, let limit = issuer.heartbeat else {
            return nil
        }
        let silent = now.uptime - (heard[issuer.name] ?? .zero)
        guard silent >= limit else { return nil }
        return DeskRefusal(
            code: .notReady,
            message: """
                \(issuer.name) has been silent for \(silent.components.seconds) s, longer than its heartbeat of \
                \(limit.components.seconds) s; its commands can be approved once it is heard again
                """)
    }

    /// A name at the local socket is a claim, the account is not: one account is one person, whatever it calls itself. But
    /// the superuser, who could be every account, and whose commands several people give.
    private func objection(
        to decision: IncomingDecision, account command: ActiveCommand, _ hold: ActiveCommand.Hold
    ) -> DeskRefusal? {
        guard decision.isApproval, let account = decision.sender.account, account.userID != 0 else { return nil }
        let word = account.userName ?? "uid \(account.userID)"
        let way = "another account, or a signed decision, is needed"
        if command.account?.userID == account.userID {
            return DeskRefusal(code: .notAuthorised, message: "the account \(word) asked for it; \(way)")
        }
        guard hold.accounts.contains(account.userID) else { return nil }
        return DeskRefusal(code: .notAuthorised, message: "the account \(word) has approved already; \(way)")
    }

    private mutating func recordRefused(_ what: String, _ sender: Sender, _ refusal: DeskRefusal) {
        recordRefusal(
            refusal.code, of: sender,
            [
                ("what", .string(what)), ("by", .string(sender.name)), sender.accountMember,
                ("code", .string(refusal.code.rawValue)),
                ("note", .string(refusal.message)),
            ])
    }

    // MARK: - Orders

    mutating func take(_ order: IncomingOrder) {
        output.replies.append(.acknowledge(order.token))
        // Delivered again, or copied: it has been followed, and what came after it counts.
        if let copy = order.copy, orders.contains(copy.digest) { return }
        let isNews = changesSomething(order)
        let refusal = objection(to: order) ?? remember(order, isNews: isNews)
        output.replies.append(.answer(order.token, refusal: refusal))
        if let refusal {
            recordRefused("order", order.sender, refusal)
            return tell(order, refusal)
        }
        guard isNews else { return }
        switch order.order {
        case .lockout(let scope, let isOn): setLockout(scope, isOn: isOn, order)
        case .lane(let issuer, let point, let lane):
            setLane(lane, issuer: issuer, point: point, by: order.sender, reason: order.reason)
        case .acknowledge(let point): acknowledge(point, order)
        case .explain(let id, let reason, let note): explain(id, by: order.sender, reason: reason, note: note)
        }
    }

    /// Who orders over a broker hears of a refusal where the point's events are told, if the order is about a point that is
    /// here, and on the response topic.
    private mutating func tell(_ order: IncomingOrder, _ refusal: DeskRefusal) {
        guard let event = event(refusing: order, refusal, at: now.utc), isAnswerDue(to: order.sender) else { return }
        output.messages.append(.event(event))
    }

    func event(refusing order: IncomingOrder, _ refusal: DeskRefusal, at time: UnixTime) -> CommandEvent? {
        guard order.copy != nil, order.sender.isProven else { return nil }
        return CommandEvent(
            id: nil, point: order.order.point.flatMap { site.points[$0]?.id }, state: .rejected, code: refusal.code,
            time: time, actor: order.sender.name, note: "order not followed: \(refusal.message)", reply: order.reply)
    }

    private func objection(to order: IncomingOrder) -> DeskRefusal? {
        let name = order.sender.name
        guard order.sender.isProven else { return DeskRefusal(code: .badSignature, message: "an order must be signed") }
        if let gateway = order.gateway, gateway != site.gateway {
            return DeskRefusal(code: .unknownPoint, message: "the order is for \(gateway), this is \(site.gateway)")
        }
        guard order.gateway != nil || order.copy == nil || order.order.isStop else {
            return DeskRefusal(code: .badFormat, message: "an order that can be copied must name its gateway")
        }
        if let refusal = objectionToCopy(order) { return refusal }
        if case .lockout(let scope, _) = order.order, !isKnown(scope) {
            return DeskRefusal(code: .unknownPoint, message: "there is nothing here that \(scope.name) names")
        }
        if order.sender == .lockoutFile { return objectionToLockoutFile(order.order) }
        guard let by = site.issuers[name], by.category.isPerson else {
            // Each issuer that may command may stop; only a person may let go.
            if order.order.isStop, site.issuers[name]?.category.mayCommand ?? false { return nil }
            return DeskRefusal(code: .notAuthorised, message: "\(name) is not a person that the site file names")
        }
        switch order.order {
        case .lockout: return nil
        case .lane(let issuer, let point, let lane): return objection(by: name, issuer, point, lane)
        case .acknowledge(let point): return objectionToAcknowledging(point)
        case .explain(let id, _, _): return objectionToExplaining(id)
        }
    }

    private func objection(by name: String, _ issuer: String, _ point: String, _ lane: Lane) -> DeskRefusal? {
        guard let issuer = site.issuers[issuer], !issuer.category.isPerson, issuer.name != name else {
            return DeskRefusal(code: .notAuthorised, message: "lanes are for machines that the site file names")
        }
        guard let policy = site.points[point]?.policy, policy.permissions.contains(where: { $0.issuer == issuer.name })
        else { return DeskRefusal(code: .notWritable, message: "no policy lets \(issuer.name) command \(point)") }
        guard lane.ceiling <= issuer.category.ceiling else {
            return DeskRefusal(
                code: .notAuthorised, message: "an issuer of category \(issuer.category.rawValue) never gets that far")
        }
        let objection = LaneBook.objection(
            from: lanes.lane(of: issuer, at: point), to: lane, isReady: isReady || !policy.needsReadiness)
        return objection.map { DeskRefusal(code: .notReady, message: $0) }
    }

    /// Whether a lockout is about something that is here, or is on: what else a sender writes must neither fill the ledger
    /// nor name a record that it cannot keep.
    private func isKnown(_ scope: LockoutScope) -> Bool {
        switch scope {
        case _ where lockouts.entries.contains { $0.scope == scope }: true
        case .site: true
        case .device: site.points.ids.contains(where: scope.covers)
        case .point(let point): site.points[point] != nil
        }
    }

    /// Whoever may write to the state folder may stop everything, and let go of what that file stopped.
    private func objectionToLockoutFile(_ order: IncomingOrder.Order) -> DeskRefusal? {
        guard case .lockout(.site, let isOn) = order else {
            return DeskRefusal(code: .notAuthorised, message: "a file can only lock the site")
        }
        let entry = lockouts.entries.first { $0.scope == .site }
        if isOn ? entry == nil : entry?.by == Sender.lockoutFile.name { return nil }
        return DeskRefusal(code: .lockedOut, message: "the site is locked by \(entry?.by ?? "nobody")")
    }

    mutating func setLane(_ lane: Lane, issuer: String, point: String, by: Sender, reason: String?) {
        let old = site.issuers[issuer].map { lanes.lane(of: $0, at: point) }
        lanes.record(lane, LaneBook.Key(issuer: issuer, point: point))
        leaf(
            "lane",
            [
                ("issuer", .string(issuer)), ("point", .string(point)), ("from", .optional(old?.rawValue)),
                ("to", .string(lane.rawValue)), ("by", .string(by.name)), by.accountMember,
                ("reason", .optional(reason)),
            ])
        let body = JSONValue.compact([
            ("issuer", .string(issuer)), ("point", .string(point)), ("lane", .string(lane.rawValue)),
        ])
        output.record(LedgerRecord(kind: Self.laneKind, key: "\(issuer)/\(point)", body: body.bytes))
        if lane == .shadow { silence(issuer, at: point, by: by, reason: reason) }
    }

    /// In the lane `shadow` nothing of a machine is in effect, and nothing waits to be.
    private mutating func silence(_ issuer: String, at point: String, by: Sender, reason: String?) {
        let cause = "the lane of \(issuer) is shadow now"
        for command in active where command.issuer == issuer && command.point == point {
            let isPerson = site.issuers[by.name]?.category.isPerson ?? false
            func note(_ kind: Intervention.Kind, _ desk: inout CommandDesk) {
                guard isPerson else { return }
                desk.intervene(
                    command.id, kind, by: by.name, reason: reason.flatMap(HumanReason.init(rawValue:)), note: reason)
            }
            switch command.state {
            case .held:
                note(.cancelled, &self)
                move(command.id, .cancel, code: .modeBlocked, note: cause)
            case .approved:
                note(.cancelled, &self)
                move(command.id, .reject, code: .modeBlocked, note: cause)
            case .verified, .written, .preempted:
                note(.released, &self)
                takeBack(command.id, cause: cause)
            default: continue
            }
        }
    }

    static var laneKind: String { "lane" }
    static var lockoutKind: String { "lockout" }
    static var overrideKind: String { "override" }

    private mutating func setLockout(_ scope: LockoutScope, isOn: Bool, _ order: IncomingOrder) {
        leaf(
            "lockout",
            [
                ("scope", .string(scope.name)), ("on", .bool(isOn)), ("by", .string(order.sender.name)),
                order.sender.accountMember,
                ("reason", .optional(order.reason)),
            ])
        announce(scope)
        output.record(LedgerRecord(kind: Self.lockoutKind, key: scope.oldName, body: nil))
        guard isOn else {
            lockouts.turnOff(scope)
            return output.record(LedgerRecord(kind: Self.lockoutKind, key: scope.name, body: nil))
        }
        lockouts.turnOn(
            Lockouts.Entry(scope: scope, by: order.sender.name, reason: order.reason, since: now.utc))
        let body = JSONValue.compact([
            ("by", .string(order.sender.name)), ("reason", .optional(order.reason)), ("since", .stored(now.utc)),
        ])
        output.record(LedgerRecord(kind: Self.lockoutKind, key: scope.name, body: body.bytes))
        for command in active where scope.covers(command.point) { lockOut(command, "lockout \(scope.name)") }
    }

    /// Says of every writable point of the scope how it stands, also of those that nobody ever commanded.
    mutating func announce(_ scope: LockoutScope) {
        for id in site.points.covered.map(\.id) where scope.covers(id) {
            if points[id] == nil { points[id] = PointControl() }
            output.touched.insert(id)
        }
    }

    private mutating func lockOut(_ command: ActiveCommand, _ cause: String) {
        if let lockout = lockouts.covering(command.point) { intervene(command, with: lockout) }
        switch command.state {
        case .held: move(command.id, .cancel, code: .lockedOut, note: cause)
        case .approved: move(command.id, .reject, code: .lockedOut, note: cause)
        case .verified, .written, .preempted: takeBack(command.id, cause: cause)
        default: break
        }
    }

    // MARK: - Release, renew, cancel

    mutating func release(_ command: ActiveCommand) {
        let slots = control(command.point).slots
        let isPerson = isPersons(command.id)
        let occupant = slots[command.slot]
        if let id = occupant?.command, isPerson || occupant?.holder == command.issuer {
            intervene(id, .released, with: command)
            takeBack(id, cause: "released by \(command.issuer)", releasedBy: command.id)
        } else if isPerson, slots[.localOperator] != nil, slots[.localOperator]?.command == nil {
            releaseOverride(command)
        } else if isPerson, let id = slots.below(command.slot)?.command {
            intervene(id, .released, with: command)
            takeBack(id, cause: "released by \(command.issuer)", releasedBy: command.id)
        }
        finish(command.id)
    }

    private mutating func releaseOverride(_ command: ActiveCommand) {
        let rationale = command.command.rationale
        if let id = control(command.point).overridden, rationale?.reason != nil || rationale?.text != nil {
            let sender = Sender(name: command.issuer, account: command.account)
            explain(id, by: sender, reason: rationale?.reason, note: rationale?.text)
        }
        let changed = control(command.point).slots[.localOperator]?.value
        clearOverride(command.point)
        let policy = site.points[command.point]?.policy
        let lower = control(command.point).slots.highest?.occupant
        var home = lower?.value
        if case .value(let value)? = policy?.fallback { home = home ?? value }
        guard let home else { return letStay(changed, at: command.point) }
        start(
            command.point, [], tag: WriteTag(command: command.id), home: home,
            cause: "override released by \(command.issuer)")
    }

    mutating func clearOverride(_ point: String) {
        guard let occupant = control(point).slots[.localOperator], occupant.command == nil else { return }
        points[point]?.slots.empty(.localOperator)
        points[point]?.overridden = nil
        output.record(LedgerRecord(kind: Self.overrideKind, key: point, body: nil))
        output.touched.insert(point)
    }

    /// The command in effect, or preempted, that a `renew` of `issuer` means.
    func held(by issuer: String, _ renewal: Command, besides id: CommandID) -> ActiveCommand? {
        active.first {
            $0.point == renewal.point && $0.issuer == issuer && $0.id != id
                && ($0.isInEffect || $0.state == .preempted)
                && (renewal.subject.map { [subject = $0.id] in $0 == subject } ?? true)
        }
    }

    mutating func renew(_ command: ActiveCommand) {
        if let held = held(by: command.issuer, command.command, besides: command.id) {
            var asked = held
            asked.command.lease = command.command.lease ?? held.command.lease
            // A lease is never renewed into a hold without an end.
            let longest = site.points[command.point]?.policy?.lease.longest ?? .zero
            let until = lease(of: asked) ?? held.until.map { _ in Deadline(longest, after: now) }
            commands[held.id]?.until = until
            points[command.point]?.slots.renew(held.id, until: until)
            output.changed.insert(held.id)
            output.touched.insert(command.point)
            leaf(
                "renewed",
                [
                    ("id", .string(held.id.description)), ("by", .string(command.id.description)),
                    ("until", .time(until?.utc)),
                ])
        } else if let obstacle = obstacle(command.id) {
            return move(command.id, .reject, code: .expired, note: obstacle)
        }
        finish(command.id)
    }

    mutating func cancel(_ command: ActiveCommand) {
        let isPerson = isPersons(command.id)
        if let obstacle = obstacle(command.id) { return move(command.id, .reject, code: .expired, note: obstacle) }
        for other in active where other.point == command.point && other.id != command.id && command.isAbout(other.id) {
            guard other.state == .held || other.state == .approved, isPerson || other.issuer == command.issuer else {
                continue
            }
            intervene(other.id, .cancelled, with: command)
            move(other.id, .cancel, actor: command.issuer)
        }
        finish(command.id)
    }
}
