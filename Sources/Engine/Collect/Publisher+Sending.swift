import Model

extension Publisher {
    /// Rows that one look into the journal fetches.
    private static let readLimit = 64
    /// Live data this far behind the journal becomes backlog, so that what is live stays current.
    private static let longestLiveLag: UInt64 = 20_000
    private static let layoutLimit = 4096
    /// Announcements under way at once: the descriptors of a device can be large.
    private static let announcementLimit = 4

    /// Sends what may be sent now. Only one pump runs at a time; a call during one makes it look again.
    func pump() async {
        pumpAgain = true
        guard !isPumping else { return }
        isPumping = true
        while pumpAgain {
            pumpAgain = false
            await sendAll()
        }
        isPumping = false
        await updateFigures()
    }

    private func sendAll() async {
        sendAnnouncements()
        while announcements.isEmpty {
            let next = await journal.next
            if next - min(next, pending.live) > Self.longestLiveLag { pending.skipLive(to: next) }
            if pending.live >= next {
                health.liveIsCurrent()
            } else if !windowHasRoom {
                health.liveWaits(at: clock.uptime)
            }
            guard canSend else { return }
            if pending.live < next {
                guard await send(from: pending.live, isReplay: false) else { return }
            } else if let position = pending.nextBacklog, backlogHasRoom {
                guard await send(from: position, isReplay: true) else { return }
            } else {
                return
            }
        }
    }

    private var windowHasRoom: Bool { underWay < settings.window }

    private var canSend: Bool {
        figures.isConnected && clock.uptime >= health.pausedUntil && windowHasRoom
    }

    private var backlogHasRoom: Bool {
        pending.replayInFlightCount < max(1, Int(clamping: Double(settings.window) * settings.backlogShare))
    }

    /// Sends rows that follow `position`.
    ///
    /// - Returns: whether it makes sense to go on.
    private func send(from position: Position, isReplay: Bool) async -> Bool {
        let slice: JournalSlice
        do {
            slice = try await journal.read(from: position, limit: Self.readLimit)
        } catch {
            figures.trouble = "the journal cannot be read: \(error)"
            return false
        }
        // What is gone cannot be sent: a gap record tells it.
        let start = slice.entries.first?.position ?? slice.end
        guard start <= position else {
            pending.gone(position...(start - 1))
            return true
        }
        guard !slice.entries.isEmpty else { return false }
        for entry in slice.entries {
            // Every await may have ended the session, moved the live position or filled the window.
            guard mayStillSend(entry.position, isReplay) else { return true }
            guard await send(entry, isReplay: isReplay) else { return false }
        }
        return true
    }

    private func mayStillSend(_ position: Position, _ isReplay: Bool) -> Bool {
        canSend && (isReplay ? pending.nextBacklog == position && backlogHasRoom : pending.live == position)
    }

    private func send(_ entry: JournalEntry, isReplay: Bool) async -> Bool {
        guard let layout = await layout(for: entry) else { return false }
        guard mayStillSend(entry.position, isReplay) else { return true }
        let messages = self.messages(for: entry, layout.value, isReplay: isReplay)
        let objection = messages.first.flatMap { packetLimit.objection(toTopic: $0.topic) }
        health.sent(at: clock.uptime, underWay: underWay)
        if isReplay { pending.sentBacklog(entry.position) } else { pending.sentLive(entry.position) }
        guard let topic = messages.first?.topic else {
            return setAside(entry.position, "row \(entry.position): a reading exceeds the broker's packet limit")
        }
        if let objection { return setAside(entry.position, "row \(entry.position) to \(topic): \(objection)") }
        do throws(UplinkError) {
            for (message, token) in zip(messages, parts.tokens(for: entry.position, count: messages.count)) {
                packetLimit.sent(token, message)
                do throws(UplinkError) { try uplink.publish(message, token: token) } catch {
                    // The session may have ended at this packet.
                    if error != .notConnected { packetLimit.forget(token) }
                    throw error
                }
            }
            figures.published += 1
            return true
        } catch {
            parts.forget(entry.position)
            return take(error, of: entry.position, topic: topic)
        }
    }

    /// The messages of a row, as large as the broker takes them as far as that is known; none where not even the smallest fits.
    private func messages(for entry: JournalEntry, _ layout: DeviceLayout?, isReplay: Bool) -> [OutboundMessage] {
        let tries = packetLimit.tries.map(Optional.some)
        for limit in packetLimit.isTopicSuspected || tries.isEmpty ? [nil] + tries : tries {
            let messages = encoder.messages(
                for: entry, layout: layout, isReplay: isReplay, sent: clock.utc, packetLimit: limit)
            let isWhole = limit == nil && !tries.isEmpty
            if !messages.isEmpty, !isWhole || messages.allSatisfy({ packetLimit.objection(to: $0) == nil }) {
                return messages
            }
        }
        return []
    }

    /// - Returns: whether it makes sense to go on.
    private func take(_ error: UplinkError, of position: Position, topic: String) -> Bool {
        switch error {
        case .notConnected:
            pending.unsent(position)
            return false
        case .tooLarge(let limit):
            // The next attempt is in parts.
            guard packetLimit.current.map({ limit < $0 }) ?? true else {
                return setAside(position, "row \(position) exceeds the broker's packet limit of \(limit) bytes")
            }
            packetLimit.announced(limit)
            pending.unsent(position)
            return true
        case .invalid(let reason):
            return setAside(position, "\(topic) cannot be published: \(reason)")
        }
    }

    /// A row that cannot be sent in this session does not hold up the others.
    private func setAside(_ position: Position, _ reason: String) -> Bool {
        pending.park(position)
        unsendable = reason
        return true
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

    // MARK: - Announcements

    private func sendAnnouncements() {
        while figures.isConnected, clock.uptime >= health.pausedUntil, !announcements.isEmpty,
            announcementsInFlight.count < min(settings.window, Self.announcementLimit)
        {
            announce(announcements.removeFirst())
        }
    }

    func announce(_ announcement: @escaping Announcement) {
        let message = announcement()
        if let words = packetLimit.objection(to: message) {
            return refusedTopics.refused(message.topic, words, retry: announcement, at: clock.uptime)
        }
        let token = nextAnnouncement
        nextAnnouncement += 1
        health.sent(at: clock.uptime, underWay: underWay)
        announcementsInFlight[token] = (message.topic, announcement)
        packetLimit.sent(token, message)
        do throws(UplinkError) {
            try uplink.publish(message, token: token)
        } catch {
            announcementsInFlight[token] = nil
            guard error != .notConnected else { return }
            packetLimit.forget(token)
            refusedTopics.refused(message.topic, Self.words(error), retry: announcement, at: clock.uptime)
        }
    }

    private static func words(_ error: UplinkError) -> String {
        switch error {
        case .notConnected: "no session"
        case .tooLarge(let limit): "larger than the broker's packet limit of \(limit) bytes"
        case .invalid(let reason): reason
        }
    }
}
