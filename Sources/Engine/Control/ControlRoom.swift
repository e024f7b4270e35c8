package import Model

/// Runs what the ``CommandDesk`` decides, in order: the ledger's commit before anything else. While the ledger cannot be
/// written nothing is: requests are refused with `audit_unavailable`, and the desk is made anew from the records once the
/// ledger is back, by the rule that holds after a crash.
package actor ControlRoom {
    /// Events that wait. Beyond, new requests are refused with `rate_limit`; what a device said is always taken.
    package static let inboxLimit = 1000
    /// Readings that wait; beyond, the oldest are dropped.
    static let readingLimit = 10_000
    /// Events of one commit.
    static let batchLimit = 64
    /// Lockouts that are kept for a ledger that is away.
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

    /// Nil while the ledger is away.
    private var desk: CommandDesk?
    /// Why there is no desk.
    package private(set) var fault: LedgerError?
    private var inbox: [DeskEvent] = []
    private var carried: [DeskEvent] = []
    private var lastReadings: ReadingTable?
    private var lastAttempt: Duration?
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
    package func rehearse(_ request: IncomingRequest) -> [GuardVerdict]? {
        desk?.rehearse(request, at: moment)
    }

    /// Commands that are not finished, who holds what, which lockouts are on, and counters; nil while the ledger is away.
    package var view:
        (commands: [ActiveCommand], slots: [SlotReport], lockouts: [Lockouts.Entry], figures: DeskFigures)?
    {
        desk.map { ($0.active, $0.slotReports, $0.lockoutEntries, $0.figures) }
    }

    /// Watchdogs that are fed, or would be; nil while the ledger is away: then none is.
    package var watchdogs: [Watchdog]? {
        desk.map { $0.watchdogs.values.sorted { $0.plan.point < $1.plan.point } }
    }

    /// Takes back what is leased, before the gateway stops. True when every point is back or flagged within `limit`;
    /// ``run()`` must go on until then.
    package func drain(within limit: Duration) async -> Bool {
        let end = clock.uptime + limit
        submit(.stop)
        while clock.uptime < end {
            if inbox.isEmpty, let desk, desk.isStopping, desk.isQuiet { return true }
            do { try await clock.sleep(until: clock.uptime + .milliseconds(20)) } catch { return false }
        }
        return false
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
        if desk == nil { await open(&group) }
        guard desk != nil else { return await refuse(batch) }
        var effects: [DeskEffect] = []
        let now = moment
        for event in batch { effects += desk?.handle(event, at: now) ?? [] }
        await run(effects, batch, &group)
    }

    /// Makes the desk from what the ledger holds.
    private func open(_ group: inout DiscardingTaskGroup) async {
        if let lastAttempt, clock.uptime - lastAttempt < Self.retryEvery { return }
        lastAttempt = clock.uptime
        do {
            var records: [LedgerRecord] = []
            for kind in CommandDesk.recordKinds { records += try await ledger.records(kind) }
            var made = try CommandDesk(site: site, records: records, at: moment)
            made.adopt(lastReadings)
            let effects = made.start(at: moment)
            desk = made
            fault = nil
            inbox.insert(contentsOf: carried, at: 0)
            carried = []
            await run(effects, [], &group)
        } catch {
            desk = nil
            fault = error
        }
    }

    private func run(_ effects: [DeskEffect], _ batch: [DeskEvent], _ group: inout DiscardingTaskGroup) async {
        do {
            if let (records, leaves) = Self.commit(of: effects) { _ = try await ledger.commit(records, leaves: leaves) }
        } catch {
            // What is in memory is ahead of what is recorded: it never happened.
            lastReadings = desk?.readings
            desk = nil
            fault = error
            lastAttempt = clock.uptime
            return await refuse(batch)
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
        case .collect(let plan):
            group.addTask { [outcomes] in
                guard let outcome = await outcomes.outcome(of: plan) else { return }
                await self.submit(.outcome(outcome))
            }
        }
    }

    // MARK: - Without a ledger

    /// Everything is refused, and nothing is forgotten that stops something.
    private func refuse(_ batch: [DeskEvent]) async {
        let refusal = DeskRefusal(
            code: .auditUnavailable, message: "the ledger cannot be written; nothing is commanded")
        for event in batch {
            switch event {
            case .request(let request):
                await uplink.publish(
                    .event(
                        CommandEvent(
                            id: request.command.id, point: request.command.point, state: .rejected,
                            code: .auditUnavailable, time: clock.utc, reply: request.reply)))
                await uplink.acknowledge(request.token)
            case .junk(let junk): await uplink.acknowledge(junk.token)
            case .decision(let decision):
                await uplink.answer(decision.token, refusal: refusal)
                await uplink.acknowledge(decision.token)
            case .order(let order):
                if case .lockout(_, isOn: true) = order.order, carried.count < Self.carriedLimit {
                    carried.append(event)
                } else {
                    await uplink.answer(order.token, refusal: refusal)
                    await uplink.acknowledge(order.token)
                }
            case .stop, .broker, .readiness: if carried.count < Self.carriedLimit { carried.append(event) }
            case .heartbeat, .readings, .wrote, .readBack, .outcome, .beaten, .tick: continue
            }
        }
    }
}

extension DeskEvent {
    /// Whether it must be taken even when the inbox is full: there is a bounded number of these.
    fileprivate var isIndispensable: Bool {
        switch self {
        case .wrote, .readBack, .order, .outcome, .beaten, .tick, .stop, .broker, .readiness: true
        case .request, .junk, .decision, .heartbeat, .readings: false
        }
    }
}
