import Model

/// Going on after a stop, a crash, or a ledger that was away.
extension CommandDesk {
    /// Kinds of the records that a desk is made of.
    package static let recordKinds = [
        ActiveCommand.recordKind, FinishedCommand.recordKind, Restoration.recordKind, OutcomePlan.recordKind,
        budgetKind, laneKind, lockoutKind, overrideKind, counterKind, OrderBook.recordKind, Bounds.recordKind,
        shownKind, decidedKind,
    ]

    /// A desk as the ledger last saw it. ``start(at:)`` comes next, before any event.
    package init(site: ControlSite, records: [LedgerRecord], at now: Moment) throws(LedgerError) {
        self.init(site: site, at: now)
        for record in records {
            let body = try JSONValue(body: record)
            do { try restore(record.kind, record.key, body) } catch {
                throw .unusable(
                    "the record \(record.kind) \(record.key) has no valid '\(error.member)'; restore the ledger")
            }
        }
        for issuer in site.settings.issuers { heard[issuer.name] = now.uptime }
        occupySlots()
        decided = Self.decidedIDs(records)
    }

    /// Ends what was not begun with and may have been executed by a run that the records do not know of.
    mutating func expire(issuedBefore time: UnixTime) {
        for (id, command) in commands where command.state == .held || command.state == .approved {
            guard command.command.issued < time else { continue }
            commands[id]?.command.expires = min(command.command.expires, time)
        }
    }

    private static func decidedIDs(_ records: [LedgerRecord]) -> [CommandID] {
        records.filter { $0.kind == decidedKind }.compactMap { record -> (id: CommandID, time: UnixTime)? in
            guard let id = CommandID(record.key), let body = try? JSONValue(body: record) else { return nil }
            return (id, body.time("time") ?? UnixTime(microseconds: 0))
        }.sorted { ($0.time, $0.id) < ($1.time, $1.id) }.map(\.id)
    }

    private mutating func restore(_ kind: String, _ key: String, _ body: JSONValue) throws(RecordError) {
        switch kind {
        case ActiveCommand.recordKind:
            let command = try ActiveCommand(record: body, at: now)
            commands[command.id] = command
        case FinishedCommand.recordKind:
            let done = try FinishedCommand(key: key, record: body, at: now, remember: site.settings.longestExpiry)
            finished.insert(done)
        case Restoration.recordKind:
            points[key, default: PointControl()].restoration = try Restoration(record: body, at: now)
        case OutcomePlan.recordKind:
            let plan = try OutcomePlan(record: body)
            outcomes[plan.command.id] = plan
        case Self.budgetKind:
            points[key, default: PointControl()].budget = WriteBudget(
                entries: body.elements.compactMap { entry in
                    guard let time = entry.elements.first?.integer(in: UnixTime.microsecondRange) else { return nil }
                    return WriteBudget.Entry(
                        time: UnixTime(microseconds: time), isPerson: entry.elements.last?.isTrue ?? false)
                })
        case Self.laneKind:
            guard let lane = body["lane"]?.text.flatMap(Lane.init(rawValue:)) else { throw RecordError("lane") }
            lanes.record(
                lane,
                LaneBook.Key(issuer: try body.requiredText("issuer"), point: try body.requiredText("point")))
        case Self.lockoutKind:
            guard let scope = LockoutScope(name: key) else { throw RecordError("key") }
            lockouts.turnOn(
                Lockouts.Entry(
                    scope: scope, by: try body.requiredText("by"), reason: body["reason"]?.text,
                    since: try body.requiredTime("since")))
        case Self.overrideKind:
            guard let value = body.storedValue("value") else { throw RecordError("value") }
            points[key, default: PointControl()].slots.take(
                .localOperator, AuthoritySlots.Occupant(command: nil, holder: "local", value: value))
            points[key]?.overridden = body["id"]?.text.flatMap(CommandID.init)
        case OrderBook.recordKind:
            orders.insert(
                try JSONValue.string(key).hexBytes("key"),
                try OrderBook.Entry(record: body, at: now, remember: site.settings.longestExpiry))
        case Bounds.recordKind where key == Bounds.orders: orders.restoreBounds(body)
        case Bounds.recordKind: finished.restoreBounds(body)
        case Self.shownKind: points[key, default: PointControl()].isShown = true
        case Self.decidedKind: break
        case Self.counterKind: seq = try body.requiredCount("seq")
        default: throw RecordError("kind")
        }
    }

    private mutating func occupySlots() {
        for command in active {
            var control = control(command.point)
            switch command.state {
            case .verified, .written, .preempted:
                guard let value = command.value else { continue }
                // While the gateway was away the device may have been.
                control.unseenSince = now.uptime
                control.slots.take(
                    command.slot,
                    AuthoritySlots.Occupant(
                        command: command.id, holder: command.issuer, value: value, until: command.until))
            case .approved: control.waiting.append(command.id)
            default: break
            }
            points[command.point] = control
        }
    }

    /// Goes on with the readings that another desk had of the points that this one watches.
    package mutating func adopt(_ table: ReadingTable?) {
        if let table { readings.adopt(table) }
    }

    /// The crash rule: what was being written is not known and will be read back, and every lease that is over goes back,
    /// before any request is taken. Says where everything stands.
    package mutating func start(at moment: Moment) -> [DeskEffect] {
        now = moment
        for command in active where command.state == .executing {
            let until = lease(of: command)
            commands[command.id]?.until = until
            commands[command.id]?.nextReadBack = Deadline(.zero, after: now)
            move(command.id, .loseSight, note: "the gateway stopped while it was written")
        }
        leaf("started", [("commands", .integer(commands.count)), ("points", .integer(points.count))])
        endUncovered()
        advance()
        output.touched.formUnion(points.keys)
        output.messages += decided.map { .decided($0) }
        for entry in lockouts.entries { announce(entry.scope) }
        for command in active where command.state == .held { announceHold(command.id) }
        for point in points.keys.sorted() { settle(point) }
        feedWatchdogs()
        return takeEffects()
    }
}
