package import Model

/// Everything that decides about commands, as one value: events go in, effects come out, time is an argument. The second of
/// Headgate's two sentences: command → guard → write → verify → outcome.
///
/// What must survive is in the commit that stands before every other effect, so that a desk made of the ledger's records
/// (``init(site:records:at:)``, then ``start(at:)``) goes on where this one was last committed. Whoever runs the effects
/// drops the desk for the last committed one when a commit fails.
package struct CommandDesk: Sendable {
    /// What the desk knows of one writable point.
    struct PointControl: Sendable {
        var slots = AuthoritySlots()
        /// The write or read-back that is out; at most one at a time.
        var busy: WriteTag?
        /// Approved commands that wait for their turn, in order of arrival.
        var waiting: [CommandID] = []
        var restoration: Restoration?
        var budget = WriteBudget()
        /// Writes without an answer that were given up, and may arrive all the same.
        var strays: [StrayWrite] = []
        /// The command whose value somebody changed at the device, until that person releases the point.
        var overridden: CommandID?
        var lastReport: SlotReport?
        /// Whether brokers have a retained document about it.
        var isShown = false
        /// Uptime since when the value in effect has not been seen: the device, or the gateway, was away.
        var unseenSince: Duration?
        /// Another value than the one in effect, while it is open who changed it.
        var doubt: Doubt?

        mutating func noteSeen() {
            unseenSince = nil
            doubt = nil
        }
    }

    package let site: ControlSite
    var now: Moment
    var commands: [CommandID: ActiveCommand] = [:]
    var points: [String: PointControl] = [:]
    var finished = FinishedBook()
    var lanes = LaneBook()
    var lockouts = Lockouts()
    /// Orders that were followed.
    var orders = OrderBook()
    /// Uptime at which this desk was made: what it keeps in memory alone is no older.
    let made: Duration
    package internal(set) var readings: ReadingTable
    var outcomes: [CommandID: OutcomePlan] = [:]
    /// What was asked of devices beside their polls, by point.
    var looks: [String: Look] = [:]
    /// Requests that wait for such answers, in order of arrival.
    var questions: [Question] = []
    /// Uptime at which devices were last found to have restarted.
    var restarts: [String: Duration] = [:]
    /// Uptime of the last sign of life of each issuer.
    var heard: [String: Duration] = [:]
    var brokerLost: Duration?
    var readyUntil: UnixTime?
    /// Since when an interlock of a point in effect cannot be known.
    var doubts: [CommandID: Duration] = [:]
    var buckets: [String: TokenBucket] = [:]
    var junkBucket: TokenBucket
    var refusals = RefusalTally()
    var ledgerUse: LedgerUse
    /// Answers to each issuer.
    var answerBuckets: [String: TokenBucket] = [:]
    var lastPrune: Duration
    /// Number of the last event.
    var seq: UInt64 = 0
    var isStopping = false
    /// Whether nothing is begun at any device, because the ways there are being changed.
    package var isResting = false
    /// Nothing can be recorded: nothing begins, and what was granted ends at the fallback that its entry names.
    var isUnrecorded = false
    /// Points that are about to be taken out of the desk's hands.
    var withdrawn: Set<String> = []
    /// Commands that waited for a person and no longer do, oldest first: brokers that were away must be told.
    var decided: [CommandID] = []
    /// By point.
    package internal(set) var watchdogs: [String: Watchdog] = [:]
    package internal(set) var figures = DeskFigures()
    var output = DeskOutput()

    /// A desk without a past.
    package init(site: ControlSite, at now: Moment) {
        self.site = site
        self.now = now
        made = now.uptime
        readings = ReadingTable(site)
        ledgerUse = LedgerUse(at: now.uptime)
        junkBucket = TokenBucket(rate: site.limits.junkRate, burst: site.limits.junkBurst, at: now.uptime)
        lastPrune = now.uptime
    }

    /// What follows from `event`. Whatever is due by now comes first: no request meets a lease that is over.
    package mutating func handle(_ event: DeskEvent, at moment: Moment) -> [DeskEffect] {
        now = moment
        advance()
        switch event {
        case .request(let request): take(request)
        case .junk(let junk): take(junk)
        case .decision(let decision): take(decision)
        case .order(let order): take(order)
        case .readings(let samples): take(samples)
        case .wrote(let tag, let outcome): wrote(tag, outcome)
        case .readBack(let tag, let outcome): sawReadBack(tag, outcome)
        case .looked(let point, let finding): looked(point, finding)
        case .broker(let isConnected, let silence): brokerLost = isConnected ? nil : brokerLost ?? now.uptime - silence
        case .readiness(let isGo, let until): readyUntil = isGo ? until : nil
        case .outcome(let outcome): take(outcome)
        case .beaten(let point, let failure): beaten(point, failure: failure)
        case .tick: break
        case .stop: stop()
        case .withdraw(let points): withdraw(points)
        }
        resolveDoubts()
        for point in points.keys.sorted() { settle(point) }
        look()
        // What this event changed may have stopped a watchdog: before anything else is done.
        feedWatchdogs()
        return takeEffects()
    }

    /// Whether of `some` points, or of all, nothing is out, nothing is on its way back and nothing leased is in doubt.
    package func isQuiet(_ some: Set<String>? = nil) -> Bool {
        func counts(_ point: String) -> Bool { some?.contains(point) ?? true }
        return !commands.values.contains { $0.state == .indeterminate && $0.until != nil && counts($0.point) }
            && points.allSatisfy { point, control in
                !counts(point)
                    || control.busy == nil && (control.restoration == nil || control.restoration?.isAlarm == true)
            }
    }

    /// Whether no write and no read-back is out.
    var isIdle: Bool { points.values.allSatisfy { $0.busy == nil } }

    /// Whether nothing more is taken for a point: what is leased there goes back.
    func isEnding(_ point: String) -> Bool { isStopping || withdrawn.contains(point) }

    /// Commands that are not finished.
    package var active: [ActiveCommand] {
        commands.values.sorted { $0.arrival < $1.arrival }
    }

    /// Who holds each point that somebody holds or that is not where it should be.
    package var slotReports: [SlotReport] {
        points.keys.sorted().map(report)
    }

    package func lane(issuer: String, point: String) -> Lane? {
        site.issuers[issuer].map { lanes.lane(of: $0, at: point) }
    }

    package var lockoutEntries: [Lockouts.Entry] { lockouts.entries }

    /// Points that are not where they should be, and that nobody can take there now.
    package var alarms: [CommandAlarm] {
        points.sorted { $0.key < $1.key }.compactMap { point, control in
            guard let restoration = control.restoration, restoration.isAlarm else { return nil }
            return CommandAlarm(
                point: point, fallback: restoration.home, reason: restoration.trouble ?? restoration.cause,
                isOrphaned: restoration.isOrphaned)
        }
    }

    var isReady: Bool { readyUntil.map { $0 > now.utc } ?? false }

    func control(_ point: String) -> PointControl { points[point] ?? PointControl() }

    func report(_ point: String) -> SlotReport {
        let control = control(point)
        return SlotReport(
            point: point,
            entries: control.slots.occupied.map { slot, occupant in
                SlotReport.Entry(
                    slot: slot, holder: occupant.holder, command: occupant.command, value: occupant.value,
                    asked: occupant.command.flatMap { commands[$0]?.asked }, until: occupant.until?.utc,
                    isGuardedByDevice: isGuardedByDevice(point))
            },
            lockout: lockouts.covering(point)?.scope.name, restoring: control.restoration?.home,
            isAlarm: control.restoration?.isAlarm ?? false)
    }
}

/// Counters since the start.
package struct DeskFigures: Hashable, Sendable {
    package var requests: UInt64 = 0
    package var duplicates: UInt64 = 0
    package var junk: UInt64 = 0
    /// Refused for lack of room, without a record.
    package var unrecorded: UInt64 = 0
    package var writes: UInt64 = 0
    package var outcomesDropped: UInt64 = 0
    package var states: [CommandState: UInt64] = [:]
    package var refusals: [RefusalCode: UInt64] = [:]
}
