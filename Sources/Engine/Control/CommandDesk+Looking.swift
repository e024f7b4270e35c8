import Model

/// Asking devices for what a command needs to know and no poll has told: after a start, at points with a slow period, at
/// places that no poll reads.
extension CommandDesk {
    /// Requests that may wait for a device at once. Beyond, they are judged by what is known.
    private static let questionLimit = 64
    /// Time between two looks at one place.
    private static let shortestPause = Duration.seconds(1)

    // MARK: - Requests that wait

    /// Whether the request waits for an answer of a device, or behind one that does. It is not acknowledged
    /// meanwhile: the broker delivers it again if the gateway dies.
    mutating func isAwaiting(_ request: IncomingRequest) -> Bool {
        guard questions.count < Self.questionLimit, objection(to: request) == nil, known(request) == nil else {
            return false
        }
        let isBehind = questions.contains { $0.request.command.point == request.command.point }
        let awaited = unknowns(request)
        guard isBehind || !awaited.isEmpty else { return false }
        questions.append(Question(request: request, awaited: awaited))
        return true
    }

    /// What must be read before the guards can judge the request, at this moment.
    package func unknowns(_ request: IncomingRequest, at moment: Moment) -> Set<String> {
        var copy = self
        copy.now = moment
        return copy.unknowns(request)
    }

    /// Nothing is asked of a device for a request that is refused whatever it says.
    private func unknowns(_ request: IncomingRequest) -> Set<String> {
        let command = request.command
        guard command.action == .set || command.action == .renew, let known = site.points[command.point] else {
            return []
        }
        let context = context(request)
        let isHopeless = Guards.verdicts(context).contains { $0.refusal != nil && !Guards.rested.contains($0.name) }
        guard !isHopeless else { return [] }
        var unknown = Set((known.policy.map { $0.interlocks + $0.unless } ?? []).flatMap(\.expression.points))
            .filter { isUnread($0) }
        if command.action == .set {
            if context.isConfirmable, context.trustedValue == nil, !isKnownToBeUnset(context) {
                unknown.insert(command.point)
            }
            if let holder = known.scaleHolder, scale(of: known) == nil { unknown.insert(holder) }
        }
        return unknown.filter { !isSeenJustNow($0) }
    }

    /// A finding is of the moment; a value that is polled is not.
    private func isKnownToBeUnset(_ context: GuardContext) -> Bool {
        guard case .unset = context.finding else { return context.isUnset }
        return isSeenJustNow(context.command.point)
    }

    /// Whether a condition rests on a point that no poll has told yet.
    private func isUnread(_ id: String) -> Bool {
        guard let point = site.points[id], point.confirmation == .polled(id) else { return false }
        return readings.observed(id, at: now)?.isStale ?? true
    }

    private func isSeenJustNow(_ id: String) -> Bool {
        looks[id]?.last.map { now.uptime - $0 < Self.shortestPause } ?? false
    }

    // MARK: - Looking

    /// Asks for what is waited for and is not being asked for, and for what is in effect where no poll tells of it.
    mutating func look() {
        if isUnrecorded { refuseQuestions() }
        guard !isResting else { return }
        var wanted = questions.reduce(into: Set<String>()) { $0.formUnion($1.awaited) }
        for (point, due) in supervisedPlaces where due <= now.uptime { wanted.insert(point) }
        for point in wanted.sorted() where looks[point]?.begun == nil {
            looks[point, default: Look()].begun = now
            output.actions.append(.look(point))
        }
    }

    var lookDeadlines: [Duration] {
        isResting ? [] : supervisedPlaces.filter { looks[$0.point]?.begun == nil }.map(\.due)
    }

    /// Points in effect, or with a write that may still arrive, that no poll confirms; and since when a look is due.
    private var supervisedPlaces: [(point: String, due: Duration)] {
        points.compactMap { point, control in
            guard control.busy == nil, control.restoration == nil, let known = site.points[point] else { return nil }
            let holder = control.slots.highest?.occupant.command.flatMap { commands[$0] }
            guard holder?.state == .verified || !control.strays.isEmpty else { return nil }
            let isPolled = if case .place = known.confirmation { false } else { true }
            guard !isPolled || control.doubt != nil || control.unseenSince != nil && mayBeUnset(known) else {
                return nil
            }
            let pause = max(known.point.every, Self.shortestPause)
            return (point, looks[point]?.last.map { $0 + pause } ?? now.uptime)
        }
    }

    /// Whether what the polls show cannot be told from a value that was never written: `limits` keep the number back.
    private func mayBeUnset(_ point: ControlledPoint) -> Bool {
        point.point.write?.unset != nil && readings.observed(point.id, at: now)?.value == .null
    }

    mutating func looked(_ point: String, _ finding: ReadBack) {
        guard let begun = looks[point]?.begun else { return }
        looks[point]?.begun = nil
        take(finding, at: point, begun: begun, now)
        for index in questions.indices { questions[index].awaited.remove(point) }
        goOn()
    }

    /// Takes what the device showed at a point, or where that is confirmed.
    mutating func take(_ finding: ReadBack, at id: String, begun: Moment, _ moment: Moment) {
        now = moment
        looks[id, default: Look()].finding = finding
        looks[id]?.last = begun.uptime
        guard let point = site.points[id], let key = point.confirmation.key else { return }
        let (value, reasons) = Self.reading(finding, point)
        guard readings.saw(key, value, reasons, begun: begun, at: now) else { return }
        for name in site.points(confirmedBy: key) where name == id {
            compare(
                ReadingSample(point: name, epoch: 0, number: 0, time: begun.utc, value: value, reasons: reasons),
                finding)
        }
    }

    private static func reading(_ finding: ReadBack, _ point: ControlledPoint) -> (PointValue, QualityReasons) {
        switch finding {
        case .value(let value): point.confirming.judged(.value(value))
        case .unset(let value?): (value, [])
        case .unset(nil): (.null, QualityReasons(.sentinel))
        case .bad(let reason, _): (.null, QualityReasons(reason))
        case .wrongDevice: (.null, QualityReasons(.configSuspect))
        case .unreachable: (.null, QualityReasons(.commDown))
        }
    }

    /// Judges what waits for nothing any more, in order.
    private mutating func goOn() {
        let open = questions
        questions = []
        var busy: Set<String> = []
        var later: [Question] = []
        for question in open {
            let point = question.request.command.point
            guard question.awaited.isEmpty, !busy.contains(point) else {
                busy.insert(point)
                later.append(question)
                continue
            }
            judge(question.request)
        }
        questions = later
    }

    /// Without a ledger nothing is taken.
    private mutating func refuseQuestions() {
        let refusal = DeskRefusal.ledgerAway()
        for request in questions.map(\.request) {
            output.messages.append(
                .event(
                    CommandEvent(
                        id: request.command.id, point: request.command.point, state: .rejected,
                        code: .auditUnavailable, time: now.utc, reply: request.reply)))
            output.replies += [.answer(request.token, refusal: refusal), .acknowledge(request.token)]
        }
        questions = []
    }
}
