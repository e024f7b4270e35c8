package import Model

/// How a publisher is doing.
package struct PublisherFigures: Hashable, Sendable {
    package var isConnected = false
    /// What stands in the way, in words; nil while all is well.
    package var trouble: String? = "not connected yet"
    package var published: UInt64 = 0
    package var acknowledged: UInt64 = 0
    package var refused: UInt64 = 0
    package var sessions: UInt64 = 0
    /// Positions still to be delivered, those in flight included.
    package var pending: UInt64 = 0

    package init() {}
}

/// Makes a message that is no row of the journal when it is sent, not before: a hundred devices' descriptors need not be in
/// memory at once.
package typealias Announcement = @Sendable () -> OutboundMessage

/// Publishes the journal to one broker: live rows first, backlog in order at its share, each row done at its
/// acknowledgement only. Its state is ``PendingIntervals``; everything else is an effect.
package actor Publisher {
    private let settings: PublisherSettings
    private let journal: any Journal
    private let uplink: any Uplink
    private let encoder: any PayloadEncoder
    private let clock: any Timekeeper
    private var pending = PendingIntervals(live: 1)
    private var layouts: [LayoutID: DeviceLayout] = [:]
    /// Messages that are not rows of the journal: descriptors and status, sent before any row.
    private var announcements: [Announcement] = []
    private var announcementsInFlight: [PublishToken: Announcement] = [:]
    private var nextAnnouncement = Publisher.firstAnnouncementToken
    private var isPumping = false
    private var pumpAgain = false
    private var pausedUntil = Duration.zero
    private var refusalsInARow = 0
    private var savedAt = Duration.zero
    package private(set) var figures = PublisherFigures()
    /// What to announce whenever a session stands.
    private let greeting: @Sendable () async -> [Announcement]

    /// Tokens from here on are announcements, below are journal positions.
    private static let firstAnnouncementToken: PublishToken = 1 << 62
    /// Rows that one look into the journal fetches.
    private static let readLimit = 64
    /// Live data this far behind the journal becomes backlog, so that what is live stays current.
    private static let longestLiveLag: UInt64 = 20_000
    private static let layoutLimit = 4096
    /// Announcements under way at once: the descriptors of a device can be large.
    private static let announcementLimit = 4

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
        let first = await journal.figures.first
        let stored = try await journal.pending(for: settings.name)
        // A publisher that was never seen gets what the journal holds.
        pending = PendingIntervals(restoring: stored ?? [PositionInterval(low: first, high: nil)], next: next)
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.followUplink() }
            group.addTask { await self.followJournal() }
            group.addTask { await self.keepTime() }
            await group.waitForAll()
        }
        await save()
    }

    /// Sends `farewell` as the last word and closes the connection.
    package func close(farewell: OutboundMessage?) async {
        if let farewell, figures.isConnected { announce { farewell } }
        await uplink.close()
        await takeLastOutcomes()
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

    /// Retries after a pause and writes the state down even when nothing happens.
    private func keepTime() async {
        while !Task.isCancelled {
            try? await clock.sleep(until: clock.uptime + .seconds(1))
            if clock.uptime - savedAt >= .seconds(1) { await save() }
            await pump()
        }
    }

    private func handle(_ event: UplinkEvent) async {
        switch event {
        case .connected:
            figures.isConnected = true
            figures.trouble = nil
            figures.sessions += 1
            pending.connected(next: await journal.next)
            announcements = await greeting()
        case .disconnected(let reason):
            figures.isConnected = false
            figures.trouble = reason
            pending.disconnected()
            announcements = []
            announcementsInFlight = [:]
        case .outcome(let token, let outcome):
            take(outcome, of: token)
        }
    }

    private func take(_ outcome: PublishOutcome, of token: PublishToken) {
        if token >= Self.firstAnnouncementToken {
            if let message = announcementsInFlight.removeValue(forKey: token), outcome != .acknowledged {
                announcements.append(message)
                pause(after: outcome)
            }
            return
        }
        switch outcome {
        case .acknowledged:
            if pending.acknowledged(token) { figures.acknowledged += 1 }
            if refusalsInARow > 0 { figures.trouble = nil }
            refusalsInARow = 0
        case .refused:
            figures.refused += 1
            pending.refused(token)
            pause(after: outcome)
        }
    }

    /// A broker that refuses is asked again after a pause that doubles up to a minute.
    private func pause(after outcome: PublishOutcome) {
        guard case .refused(let code) = outcome, clock.uptime >= pausedUntil else { return }
        figures.trouble = "the broker refuses publishes with MQTT reason code \(code); trying again"
        refusalsInARow = min(refusalsInARow + 1, 6)
        pausedUntil = clock.uptime + .seconds(1 << refusalsInARow)
    }

    private func takeLastOutcomes() async {
        while let events = await uplink.nextEvents() {
            for case .outcome(let token, let outcome) in events { take(outcome, of: token) }
        }
    }

    private func save() async {
        savedAt = clock.uptime
        await journal.save(pending.unacknowledged, for: settings.name)
    }

    // MARK: - Sending

    /// Sends what may be sent now. Only one pump runs at a time; a call during one makes it look again.
    private func pump() async {
        pumpAgain = true
        guard !isPumping else { return }
        isPumping = true
        while pumpAgain {
            pumpAgain = false
            await sendAll()
        }
        isPumping = false
        await countPending()
    }

    private func sendAll() async {
        sendAnnouncements()
        while canSend, announcements.isEmpty {
            let next = await journal.next
            if next - min(next, pending.live) > Self.longestLiveLag { pending.skipLive(to: next) }
            if pending.live < next {
                guard await send(from: pending.live, isReplay: false, before: next) else { return }
            } else if let position = pending.nextBacklog, backlogHasRoom {
                guard await send(from: position, isReplay: true, before: next) else { return }
            } else {
                return
            }
        }
    }

    private var canSend: Bool {
        figures.isConnected && clock.uptime >= pausedUntil
            && pending.inFlightCount + announcementsInFlight.count < settings.window
    }

    private var backlogHasRoom: Bool {
        pending.replayInFlightCount < max(1, Int(Double(settings.window) * settings.backlogShare))
    }

    /// Sends rows that follow `position`.
    ///
    /// - Returns: whether it makes sense to go on.
    private func send(from position: Position, isReplay: Bool, before next: Position) async -> Bool {
        let entries: [JournalEntry]
        do {
            entries = try await journal.read(from: position, limit: Self.readLimit)
        } catch {
            figures.trouble = "the journal cannot be read: \(error)"
            return false
        }
        guard let first = entries.first else { return await skipEvicted(from: position, before: next) }
        if first.position > position { return await skipEvicted(from: position, before: first.position) }
        for entry in entries {
            // Every await may have ended the session, moved the live position or filled the window.
            guard canSend,
                isReplay ? pending.nextBacklog == entry.position && backlogHasRoom : pending.live == entry.position
            else { return true }
            guard await send(entry, isReplay: isReplay) else { return false }
        }
        return true
    }

    /// Rows that are gone cannot be sent. The journal has told the loss by a gap record when it evicted them.
    private func skipEvicted(from position: Position, before next: Position) async -> Bool {
        let first = await journal.figures.first
        guard position < first else { return false }
        _ = pending.evicted(below: first)
        return true
    }

    private func send(_ entry: JournalEntry, isReplay: Bool) async -> Bool {
        guard let layout = await layout(for: entry) else { return false }
        guard canSend, isReplay ? pending.nextBacklog == entry.position : pending.live == entry.position else {
            return true
        }
        let message = encoder.message(for: entry, layout: layout.value, isReplay: isReplay, sent: clock.utc)
        if isReplay { pending.sentBacklog(entry.position) } else { pending.sentLive(entry.position) }
        return publish(message, token: entry.position)
    }

    private func publish(_ message: OutboundMessage, token: PublishToken) -> Bool {
        do throws(UplinkError) {
            try uplink.publish(message, token: token)
            figures.published += 1
            return true
        } catch {
            pending.refused(token)
            switch error {
            case .notConnected: break
            case .tooLarge(let limit):
                figures.trouble =
                    "\(message.payload.count) bytes for \(message.topic) exceed the broker's limit of \(limit)"
                pausedUntil = clock.uptime + .seconds(60)
            case .invalid(let reason):
                figures.trouble = "\(message.topic) cannot be published: \(reason)"
                pausedUntil = clock.uptime + .seconds(60)
            }
            return false
        }
    }

    private func layout(for entry: JournalEntry) async -> (value: DeviceLayout?, Void)? {
        guard case .readings(let batch) = entry.body else { return (nil, ()) }
        if let known = layouts[batch.layout] { return (known, ()) }
        do {
            let layout = try await journal.layout(batch.layout)
            if layouts.count >= Self.layoutLimit { layouts = [:] }
            layouts[batch.layout] = layout
            return (layout, ())
        } catch {
            figures.trouble = "row \(entry.position) of the journal cannot be read: \(error)"
            return nil
        }
    }

    private func sendAnnouncements() {
        while figures.isConnected, clock.uptime >= pausedUntil, !announcements.isEmpty,
            announcementsInFlight.count < min(settings.window, Self.announcementLimit)
        {
            announce(announcements.removeFirst())
        }
    }

    private func announce(_ announcement: @escaping Announcement) {
        let message = announcement()
        let token = nextAnnouncement
        nextAnnouncement += 1
        announcementsInFlight[token] = announcement
        do throws(UplinkError) {
            try uplink.publish(message, token: token)
        } catch {
            announcementsInFlight[token] = nil
            if error != .notConnected { figures.trouble = "\(message.topic) cannot be published: \(error)" }
        }
    }

    private func countPending() async {
        let next = await journal.next
        let live = next - min(next, pending.live)
        figures.pending = pending.backlogCount + live + UInt64(pending.inFlightCount)
    }
}
