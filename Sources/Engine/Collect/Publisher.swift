package import Model

/// What a publisher is doing, for people.
package enum PublisherState: String, Sendable {
    /// No session with any broker.
    case offline
    /// Everything is delivered as it comes.
    case live
    /// Live data is current, the backlog is being delivered behind it.
    case draining
    /// The broker acknowledges, but slower than readings come.
    case slow
    /// The broker takes publishes and acknowledges none.
    case stalled
    /// The broker refuses some publishes or all; they are tried again.
    case refused
}

/// How a publisher is doing.
package struct PublisherFigures: Hashable, Sendable {
    package var isConnected = false
    package var state = PublisherState.offline
    /// What stands in the way, in words; nil while all is well.
    package var trouble: String? = "not connected yet"
    package var published: UInt64 = 0
    package var acknowledged: UInt64 = 0
    package var refused: UInt64 = 0
    package var sessions: UInt64 = 0
    /// Positions still to be delivered, those in flight and set aside included.
    package var pending: UInt64 = 0
    /// Of these, positions that the broker refuses for now.
    package var setAside: UInt64 = 0
    /// The oldest position that is still to be delivered.
    package var oldest: Position = 0
    /// Seconds until everything is delivered, at the pace of the last minute; nil while it does not catch up. Set by whoever
    /// keeps the rates.
    package var drainSeconds: Double?

    package init() {}
}

/// Makes a message that is no row of the journal when it is sent, not before: a hundred devices' descriptors need not be in
/// memory at once.
package typealias Announcement = @Sendable () -> OutboundMessage

/// Publishes the journal to one broker: live rows first, backlog in order at its share, each row done at its
/// acknowledgement only. Its state is ``PendingIntervals`` and ``DeliveryHealth``; everything else is an effect.
package actor Publisher {
    let settings: PublisherSettings
    let journal: any Journal
    let uplink: any Uplink
    let encoder: any PayloadEncoder
    let clock: any Timekeeper
    /// What to announce whenever a session stands.
    private let greeting: @Sendable () async -> [Announcement]

    var pending = PendingIntervals(live: 1)
    var health = DeliveryHealth()
    var parts = PartsInFlight()
    /// Rows that were refused and are tried again, to see whether others may follow.
    private var probes: Set<Position> = []
    var packetLimit = PacketLimit()
    /// Descriptors and status that the broker does not take.
    var refusedTopics = RefusedTopics<Announcement>()
    var layouts: [LayoutID: DeviceLayout] = [:]
    /// Messages that are not rows of the journal: descriptors and status, sent before any row.
    var announcements: [Announcement] = []
    var announcementsInFlight: [PublishToken: (topic: String, make: Announcement)] = [:]
    var nextAnnouncement = Publisher.firstAnnouncementToken
    var isPumping = false
    var pumpAgain = false
    private var savedAt = Duration.zero
    /// When and where this publisher began.
    private var start = (uptime: Duration.zero, next: Position(1))
    package internal(set) var figures = PublisherFigures()

    /// Tokens from here on are announcements, those from ``PartsInFlight/firstToken`` parts of rows, below are positions.
    static let firstAnnouncementToken: PublishToken = 1 << 62
    /// What is read until the first session is live data, if the session stands within this time.
    private static let startTime = Duration.seconds(5)

    package init(
        settings: PublisherSettings, journal: any Journal, uplink: any Uplink, encoder: any PayloadEncoder,
        clock: any Timekeeper, greeting: @escaping @Sendable () async -> [Announcement]
    ) {
        self.settings = settings
        self.journal = journal
        self.uplink = uplink
        self.encoder = encoder
        self.clock = clock
        self.greeting = greeting
    }

    /// Publishes until the task is cancelled. Call ``close(farewell:)`` afterwards.
    package func run() async throws(JournalError) {
        let next = await journal.next
        start = (clock.uptime, next)
        let first = await journal.figures.first
        let stored = try await journal.pending(for: settings.name)
        // A publisher that was never seen gets what the journal holds.
        pending = PendingIntervals(restoring: stored ?? [PositionInterval(low: first, high: nil)], next: next)
        await tellWhatWentMeanwhile(first: first)
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.followUplink() }
            group.addTask { await self.followJournal() }
            group.addTask { await self.keepTime() }
            await group.waitForAll()
        }
        await save()
    }

    /// Rows can have been evicted while this publisher was not configured: nobody was told then.
    private func tellWhatWentMeanwhile(first: Position) async {
        guard let lost = pending.evicted(below: first) else { return }
        let now = clock.utc
        await journal.append(
            .gap(GapRecord(positions: lost.positions, from: now, to: now, reason: .bufferEvicted, count: lost.count)))
    }

    /// Sends `farewell` as the last word and closes the connection.
    package func close(farewell: OutboundMessage?) async {
        if let farewell, figures.isConnected { announce { farewell } }
        await uplink.close()
        while let events = await uplink.nextEvents() {
            for case .outcome(let token, let outcome) in events { take(outcome, of: token) }
        }
        await save()
    }

    /// Queues a message that is not a row of the journal.
    package func say(_ message: OutboundMessage) async {
        guard figures.isConnected else { return }
        announcements.append { message }
        await pump()
    }

    /// An operator wants these rows again.
    package func replay(_ positions: ClosedRange<Position>) async {
        pending.replay(positions)
        await save()
        await pump()
    }

    // MARK: - Events

    private func followUplink() async {
        while !Task.isCancelled, let events = await uplink.nextEvents() {
            for event in events { await handle(event) }
            await pump()
        }
    }

    private func followJournal() async {
        for await _ in await journal.commits() { await pump() }
    }

    /// Retries after a pause, watches the broker, and writes the state down even when nothing happens.
    private func keepTime() async {
        while !Task.isCancelled {
            try? await clock.sleep(until: clock.uptime + .seconds(1))
            await forgetEvicted()
            if clock.uptime - savedAt >= .seconds(1) { await save() }
            if let probeAt = health.probeAt, clock.uptime >= probeAt {
                health.probed()
                if let position = pending.unparkOne() { probes.insert(position) }
            }
            if figures.isConnected { announcements += refusedTopics.takeDue(at: clock.uptime) }
            if let silence = health.stall(at: clock.uptime, underWay: underWay), silence >= DeliveryHealth.resetTime {
                uplink.reset("no acknowledgement for \(silence.components.seconds) s; trying a new session")
            }
            await pump()
        }
    }

    /// What was evicted is told by a gap record and no longer owed: also while no broker is there to read for.
    private func forgetEvicted() async {
        let first = await journal.figures.first
        if first > 1, pending.oldest < first { pending.gone(0...(first - 1)) }
    }

    private func handle(_ event: UplinkEvent) async {
        switch event {
        case .connected(let limit, _):
            figures.isConnected = true
            figures.sessions += 1
            (figures.trouble, unsendable) = (nil, nil)
            health = DeliveryHealth(at: clock.uptime)
            probes = []
            packetLimit.connected(announced: limit, at: clock.uptime)
            refusedTopics.removeAll()
            pending.unpark()
            let isStarting = figures.sessions == 1 && clock.uptime - start.uptime < Self.startTime
            pending.connected(next: isStarting ? start.next : await journal.next)
            announcements = await greeting()
        case .silent: break
        case .disconnected(let reason):
            figures.isConnected = false
            let isLearned = packetLimit.disconnected(at: clock.uptime)
            figures.trouble = reason + (isLearned ? packetLimit.words.map { "; \($0)" } ?? "" : "")
            pending.disconnected()
            parts = PartsInFlight()
            announcements = []
            announcementsInFlight = [:]
        case .outcome(let token, let outcome):
            take(outcome, of: token)
        }
    }

    private func take(_ outcome: PublishOutcome, of token: PublishToken) {
        let isAnnouncement = token >= Self.firstAnnouncementToken
        var isTooLarge = false
        switch outcome {
        case .acknowledged:
            health.acknowledged(at: clock.uptime)
            packetLimit.acknowledged(token, at: clock.uptime)
        case .refused(let code):
            isTooLarge = packetLimit.refused(token, code: code)
            if isAnnouncement || isTooLarge {
                health.answered(at: clock.uptime)
            } else {
                health.refused(code, at: clock.uptime)
            }
        }
        if isAnnouncement {
            takeAnnouncement(outcome, of: token)
        } else if let row = parts.take(outcome, of: token) {
            finish(row.position, row.outcome, isTooLarge: isTooLarge)
        }
    }

    private func takeAnnouncement(_ outcome: PublishOutcome, of token: PublishToken) {
        guard let (topic, make) = announcementsInFlight.removeValue(forKey: token) else { return }
        switch outcome {
        case .acknowledged:
            refusedTopics.accepted(topic)
            if pending.parkedCount == 0, probes.isEmpty { health.overcame() }
        case .refused(let code):
            refusedTopics.refused(topic, PublishRefusal.words(code), retry: make, at: clock.uptime)
        }
    }

    /// A row is done, all its parts included.
    private func finish(_ position: Position, _ outcome: PublishOutcome, isTooLarge: Bool) {
        switch outcome {
        case .acknowledged:
            guard pending.acknowledged(position) else { return }
            figures.acknowledged += 1
            if probes.remove(position) != nil { overcameRefusal() }
        case .refused:
            figures.refused += 1
            probes.remove(position)
            // The next attempt is in smaller parts.
            if isTooLarge { pending.unsent(position) } else { pending.park(position) }
        }
    }

    /// A row went through after one was tried again: the others may, too.
    private func overcameRefusal() {
        probes = []
        health.overcame()
        pending.unpark()
    }

    func save() async {
        savedAt = clock.uptime
        await journal.save(pending.unacknowledged, for: settings.name)
    }

    // MARK: - Figures

    /// Publishes without an answer.
    var underWay: Int { pending.inFlightCount + parts.extraCount + announcementsInFlight.count }

    func updateFigures() async {
        let next = await journal.next
        let live = next - min(next, pending.live)
        figures.setAside = pending.parkedCount
        figures.pending = pending.backlogCount + live + UInt64(pending.inFlightCount) + figures.setAside
        figures.oldest = pending.oldest
        figures.state = state
        guard figures.isConnected else { return }
        switch figures.state {
        case .refused: figures.trouble = refusalInWords
        case .stalled:
            let silence = health.stall(at: clock.uptime, underWay: underWay) ?? .zero
            figures.trouble =
                "the broker is stalled: it took \(underWay) publishes and acknowledged none for \(silence.components.seconds) s"
        case .slow: figures.trouble = "the broker acknowledges more slowly than readings come"
        case .live, .draining: figures.trouble = unsendable ?? packetLimit.words
        case .offline: break
        }
    }

    private var state: PublisherState {
        if !figures.isConnected { return .offline }
        if health.stall(at: clock.uptime, underWay: underWay) != nil { return .stalled }
        if health.refusal != nil || !refusedTopics.isEmpty { return .refused }
        if health.isSlow(at: clock.uptime) { return .slow }
        return pending.backlogCount + UInt64(pending.replayInFlightCount) > 0 ? .draining : .live
    }

    /// Why the last row that could not even be sent could not, until the next session.
    var unsendable: String?

    private var refusalInWords: String {
        let rows = health.refusal.map { code in
            let meaning = PublishRefusal.meaning(of: code)
            return
                "the broker refuses publishes with MQTT reason code \(code)\(meaning.isEmpty ? "" : " (\(meaning))");"
                + " \(pending.parkedCount) rows wait, trying again"
        }
        return [rows, refusedTopics.words].joinedWords ?? ""
    }
}
