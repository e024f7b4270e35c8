package import Model

/// Runs what the ``CommandDesk`` decides, in order: the ledger's commit before anything else. While the ledger cannot be
/// written requests are refused with `audit_unavailable`; what was granted before still ends, at the fallback that its entry
/// names (docs/decisions/0012). Once the ledger is back that is recorded, and the desk is made anew from the records, by
/// the rule that holds after a crash.
package actor ControlRoom {
    /// Events that wait. Beyond, new requests are refused with `rate_limit`; what a device said is always taken.
    package static let inboxLimit = 1000
    /// Readings that wait; beyond, the oldest are dropped.
    static let readingLimit = 10_000
    /// Events of one commit.
    static let batchLimit = 64
    /// Lockouts of one issuer that are kept for a ledger that is away, and events of the gateway itself.
    static let carriedLimit = 100
    /// Longest time without a look at the deadlines.
    static let longestSleep: Duration = .milliseconds(250)
    /// Time between two attempts to use a ledger that is away.
    static let retryEvery: Duration = .seconds(1)

    private let site: ControlSite
    private let ledger: any Ledger
    private let writer: any SetpointWriter
    private let uplink: any ControlUplink
    private let outcomes: any OutcomeSource
    private let clock: any Timekeeper

    /// Nil while the ledger is away, and never was there.
    private var desk: CommandDesk?
    /// The desk as of the last commit.
    private var committed: CommandDesk?
    /// The desk as the first records tell it, until it has been started.
    private var begun: CommandDesk?
    /// Nil while the ledger takes what it is given.
    private var backlog: Backlog?
    /// Why nothing is taken.
    package private(set) var fault: LedgerError?
    private var inbox: [DeskEvent] = []
    private var carried: [DeskEvent] = []
    private var lastReadings: ReadingTable?
    private var lastAttempt: Duration?
    /// Requests that were issued before are refused.
    private var requestsSince: UnixTime?
    private var isResting = false
    private let bell: AsyncStream<Void>
    private let ring: AsyncStream<Void>.Continuation

    package init(
        site: ControlSite, ledger: any Ledger, writer: any SetpointWriter, uplink: any ControlUplink,
        outcomes: any OutcomeSource, clock: any Timekeeper
    ) {
        self.site = site
        self.ledger = ledger
        self.writer = writer
        self.uplink = uplink
        self.outcomes = outcomes
        self.clock = clock
        (bell, ring) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    }

    // MARK: - From outside

    /// Hands over an event; false when there is no room for it.
    @discardableResult
    package func submit(_ event: DeskEvent) -> Bool {
        if case .readings(let samples) = event, case .readings(let waiting)? = inbox.last {
            inbox[inbox.count - 1] = .readings((waiting + samples).suffix(Self.readingLimit))
        } else if case .tick = event, !inbox.isEmpty {
            // Every event looks at the deadlines.
        } else {
            guard inbox.count < Self.inboxLimit || event.isIndispensable else { return false }
            inbox.append(event)
        }
        ring.yield()
        return true
    }

    /// What the guards would say, without a record and without a write.
    package func rehearse(_ request: IncomingRequest) async -> [GuardVerdict]? {
        guard backlog == nil, var copy = desk else { return nil }
        for point in copy.unknowns(request, at: moment) {
            let begun = moment
            let finding = await writer.look(point)
            copy.take(finding, at: point, begun: begun, moment)
        }
        return copy.rehearse(request, at: moment)
    }

    /// The newest readings, for the room that goes on after this one.
    package var readings: ReadingTable? { desk?.readings ?? lastReadings }

    /// Begins with what another room read, before ``run()``.
    package func adopt(_ readings: ReadingTable) {
        lastReadings = readings
    }

    package var alarms: [CommandAlarm] { desk?.alarms ?? [] }

    /// Entries that wait for the ledger.
    package var unrecordedCount: Int { backlog?.leafCount ?? 0 }

    /// Whether what is not recorded anywhere would be forgotten without this room.
    package var isIndispensable: Bool {
        guard let backlog else { return false }
        return backlog.leafCount > 0 || (desk?.isInCharge ?? false)
    }

    /// Commands that are not finished, who holds what, which lockouts are on, and counters; nil where the ledger was away from
    /// the start.
    package var view:
        (commands: [ActiveCommand], slots: [SlotReport], lockouts: [Lockouts.Entry], figures: DeskFigures)?
    {
        desk.map { ($0.active, $0.slotReports, $0.lockoutEntries, $0.figures) }
    }

    /// Watchdogs that are fed, or would be; nil while the ledger is away: then none is.
    package var watchdogs: [Watchdog]? {
        guard backlog == nil else { return nil }
        return desk.map { $0.watchdogs.values.sorted { $0.plan.point < $1.plan.point } }
    }

    /// Takes back what is leased, of all points before the gateway stops, or of some before they are out of our hands. True
    /// when every point is back or flagged within `limit`; ``run()`` must go on until then.
    package func drain(_ points: Set<String>? = nil, within limit: Duration) async -> Bool {
        let end = clock.uptime + limit
        submit(points.map { .withdraw($0) } ?? .stop)
        while clock.uptime < end {
            if inbox.isEmpty, let desk, desk.isQuiet(points), points.map(desk.withdrawn.isSuperset) ?? desk.isStopping {
                return true
            }
            do { try await clock.sleep(until: clock.uptime + .milliseconds(20)) } catch { return false }
        }
        return false
    }

    /// Begins nothing more at any device until ``resume()``, and waits until no write and no read-back is out, at most for
    /// `limit`: what is cut off must be found out again.
    package func rest(within limit: Duration) async {
        isResting = true
        desk?.isResting = true
        let end = clock.uptime + limit
        while clock.uptime < end, !(desk?.isIdle ?? true) {
            do { try await clock.sleep(until: clock.uptime + .milliseconds(20)) } catch { return }
        }
    }

    /// Goes on after ``rest(within:)``.
    package func resume() {
        isResting = false
        desk?.isResting = false
        submit(.tick)
    }

    // MARK: - Running

    /// Runs until the task is cancelled.
    package func run() async {
        await withDiscardingTaskGroup { group in
            await open(&group)
            group.addTask { await self.keepTime() }
            for await _ in bell {
                while !inbox.isEmpty, !Task.isCancelled {
                    let batch = Array(inbox.prefix(Self.batchLimit))
                    inbox.removeFirst(batch.count)
                    await process(batch, &group)
                }
            }
            group.cancelAll()
        }
    }

    private var moment: Moment { Moment(utc: clock.utc, uptime: clock.uptime) }

    private func keepTime() async {
        while !Task.isCancelled {
            let longest = clock.uptime + Self.longestSleep
            let next = max(clock.uptime + .milliseconds(1), min(desk?.nextDeadline ?? longest, longest))
            do { try await clock.sleep(until: next) } catch { return }
            submit(.tick)
        }
    }

    private func process(_ batch: [DeskEvent], _ group: inout DiscardingTaskGroup) async {
        if backlog != nil { await recordBacklog(&group) }
        if desk == nil { await open(&group) }
        guard desk != nil else { return await refuse(batch) }
        guard backlog == nil else { return await processUnrecorded(batch, &group) }
        let forgotten = batch.filter(mayBeForgotten)
        if !forgotten.isEmpty { await refuse(forgotten, Self.forgotten) }
        let batch = forgotten.isEmpty ? batch : batch.filter { !mayBeForgotten($0) }
        var effects: [DeskEffect] = []
        let now = moment
        for event in batch { effects += desk?.handle(event, at: now) ?? [] }
        await run(effects, batch, &group)
    }

    /// Whether an event asks for what the ledger may have forgotten that it was done.
    private func mayBeForgotten(_ event: DeskEvent) -> Bool {
        guard let requestsSince, let desk, case .request(let request) = event else { return false }
        let command = request.command
        return command.issued < requestsSince && desk.commands[command.id] == nil && desk.finished[command.id] == nil
    }

    private static let forgotten = DeskRefusal(
        code: .expired, message: "issued before the ledger began anew or was put back from a copy; issue it again")

    /// Makes the desk from what the ledger holds.
    private func open(_ group: inout DiscardingTaskGroup) async {
        if let lastAttempt, clock.uptime - lastAttempt < Self.retryEvery { return }
        lastAttempt = clock.uptime
        do {
            var records: [LedgerRecord] = []
            for kind in CommandDesk.recordKinds { records += try await ledger.records(kind) }
            var made = try CommandDesk(site: site, records: records, at: moment)
            requestsSince = await ledger.requestsSince
            if let requestsSince { made.expire(issuedBefore: requestsSince) }
            made.adopt(lastReadings)
            made.isResting = isResting
            let recorded = made.keepsake
            let effects = made.start(at: moment)
            desk = made
            if committed == nil { begun = recorded }
            fault = nil
            inbox.insert(contentsOf: carried, at: 0)
            carried = []
            await run(effects, [], &group)
        } catch {
            desk = nil
            await suspend(error, [], &group)
        }
        begun = nil
    }

    private func run(_ effects: [DeskEffect], _ batch: [DeskEvent], _ group: inout DiscardingTaskGroup) async {
        do {
            if let (records, leaves) = Self.commit(of: effects) { _ = try await ledger.commit(records, leaves: leaves) }
            // Also where nothing is to be recorded: an attempt that failed is not under way any more.
            committed = desk?.keepsake
        } catch {
            return await suspend(error, batch, &group)
        }
        for effect in effects { await run(effect, &group) }
    }

    /// One commit of all that the effects ask for; of a record only the last version counts.
    private static func commit(of effects: [DeskEffect]) -> ([LedgerRecord], [[UInt8]])? {
        var output = DeskOutput()
        var isNeeded = false
        for case .commit(let records, let leaves) in effects {
            isNeeded = true
            for record in records { output.record(record) }
            output.leaves += leaves
        }
        guard isNeeded else { return nil }
        let records = output.order.map { key in
            LedgerRecord(kind: key.kind, key: key.key, body: output.bodies[key] ?? nil)
        }
        return (records, output.leaves)
    }

    private func run(_ effect: DeskEffect, _ group: inout DiscardingTaskGroup) async {
        switch effect {
        case .commit: return
        case .publish(let message): await uplink.publish(message)
        case .acknowledge(let token): await uplink.acknowledge(token)
        case .answer(let token, let refusal): await uplink.answer(token, refusal: refusal)
        case .write(let write):
            group.addTask { [writer] in
                let outcome = await writer.write(write)
                await self.submit(.wrote(write.tag, outcome))
            }
        case .beat(let point, let value):
            group.addTask { [writer] in
                let failure = await writer.beat(point, value)
                await self.submit(.beaten(point: point, failure: failure))
            }
        case .readBack(let write):
            group.addTask { [writer] in
                let outcome = await writer.readBack(write)
                await self.submit(.readBack(write.tag, outcome))
            }
        case .look(let point):
            group.addTask { [writer] in
                let finding = await writer.look(point)
                await self.submit(.looked(point, finding))
            }
        case .collect(let plan):
            group.addTask { [outcomes] in
                guard let outcome = await outcomes.outcome(of: plan) else { return }
                await self.submit(.outcome(outcome))
            }
        }
    }

    // MARK: - Without a ledger

    /// What is in memory is ahead of what is recorded: it never happened. What was recorded goes on ending.
    private func suspend(_ error: LedgerError, _ batch: [DeskEvent], _ group: inout DiscardingTaskGroup) async {
        fault = error
        lastAttempt = clock.uptime
        lastReadings = desk?.readings ?? lastReadings
        guard let recorded = committed ?? begun else {
            desk = nil
            return await refuse(batch)
        }
        var kept = recorded.withoutLedger(after: desk ?? recorded)
        kept.adopt(lastReadings)
        kept.isResting = isResting
        backlog = Backlog(since: clock.utc)
        // A disk that can be read but not written: the crash rule holds all the same.
        let effects = committed == nil ? kept.start(at: moment) : []
        desk = kept
        committed = recorded
        await runUnrecorded(effects, &group)
        await processUnrecorded(batch, &group)
    }

    private func processUnrecorded(_ batch: [DeskEvent], _ group: inout DiscardingTaskGroup) async {
        var effects: [DeskEffect] = []
        var refused: [DeskEvent] = []
        let now = moment
        for event in batch {
            guard backlog?.admits(event) ?? false else {
                refused.append(event)
                continue
            }
            if backlog?.isFull == false { effects += desk?.handle(event, at: now) ?? [] }
        }
        await refuse(refused)
        await runUnrecorded(effects, &group)
    }

    private func runUnrecorded(_ effects: [DeskEffect], _ group: inout DiscardingTaskGroup) async {
        guard var backlog else { return }
        let possible = backlog.keep(effects)
        self.backlog = backlog
        for effect in possible {
            if case .write(let write) = effect { await uplink.willWriteUnrecorded(write) }
            await run(effect, &group)
        }
    }

    /// Records what happened without the ledger, then goes on as after a crash.
    private func recordBacklog(_ group: inout DiscardingTaskGroup) async {
        guard let backlog, lastAttempt.map({ clock.uptime - $0 >= Self.retryEvery }) ?? true else { return }
        lastAttempt = clock.uptime
        let (records, leaves) = backlog.commit(gateway: site.gateway, at: clock.utc)
        do { _ = try await ledger.commit(records, leaves: leaves) } catch {
            fault = error
            return
        }
        self.backlog = nil
        committed = desk?.keepsake
        lastReadings = desk?.readings
        lastAttempt = nil
        for effect in backlog.belated { await run(effect, &group) }
        await open(&group)
    }

    /// Everything is refused, and nothing is forgotten that stops something.
    private func refuse(_ batch: [DeskEvent], _ given: DeskRefusal? = nil) async {
        let refusal = given ?? .ledgerAway(fault.map { "\($0)" })
        for event in batch {
            switch event {
            case .request(let request):
                // Whoever sends a command again that is there must not believe that this one was refused.
                let isKnown = desk?.commands[request.command.id] != nil
                await uplink.publish(
                    .event(
                        CommandEvent(
                            id: isKnown ? nil : request.command.id, point: request.command.point, state: .rejected,
                            code: refusal.code, time: clock.utc, note: refusal.message, reply: request.reply)))
                await uplink.answer(request.token, refusal: refusal)
                await uplink.acknowledge(request.token)
            case .junk(let junk): await uplink.acknowledge(junk.token)
            case .decision(let decision):
                if let event = desk?.event(refusing: decision, refusal, at: clock.utc) {
                    await uplink.publish(.event(event))
                }
                await uplink.answer(decision.token, refusal: refusal)
                await uplink.acknowledge(decision.token)
            case .order(let order):
                if order.order.isStop, desk == nil, carried.count(where: order.isOfSameIssuer) < Self.carriedLimit {
                    carried.append(event)
                } else {
                    if let event = desk?.event(refusing: order, refusal, at: clock.utc) {
                        await uplink.publish(.event(event))
                    }
                    await uplink.answer(order.token, refusal: refusal)
                    await uplink.acknowledge(order.token)
                }
            case .stop, .withdraw, .broker, .readiness:
                if carried.count(where: \.isOfGateway) < Self.carriedLimit { carried.append(event) }
            case .readings, .wrote, .readBack, .looked, .outcome, .beaten, .tick: continue
            }
        }
    }
}

extension DeskEvent {
    /// Whether it must be taken even when the inbox is full: there is a bounded number of these. Of decisions and orders
    /// brokers deliver no more than their windows hold before the first ones are acknowledged.
    fileprivate var isIndispensable: Bool {
        switch self {
        case .wrote, .readBack, .looked, .decision, .order, .outcome, .beaten, .tick, .stop, .withdraw, .broker,
            .readiness:
            true
        case .request, .junk, .readings: false
        }
    }

    fileprivate var isOfGateway: Bool {
        switch self {
        case .stop, .withdraw, .broker, .readiness: true
        case .request, .junk, .decision, .order, .readings, .wrote, .readBack, .looked, .outcome, .beaten, .tick: false
        }
    }
}

extension IncomingOrder {
    fileprivate func isOfSameIssuer(_ event: DeskEvent) -> Bool {
        if case .order(let other) = event { other.sender.name == sender.name } else { false }
    }
}
