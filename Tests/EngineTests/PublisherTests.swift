import Engine
import GatewayTesting
import Model
import Testing

/// Writes position and replay flag into the message, so that a test can tell rows apart.
struct PlainEncoder: PayloadEncoder {
    func messages(
        for entry: JournalEntry, layout: DeviceLayout?, isReplay: Bool, sent: UnixTime, packetLimit: Int?
    ) -> [OutboundMessage] {
        let whole = OutboundMessage(topic: isReplay ? "replay" : "live", payload: Array("\(entry.position)".utf8))
        // As many parts as the limit says; none where it is 0; two where it was learned from this whole.
        guard let packetLimit, packetLimit < whole.packetByteCount else { return [whole] }
        return (0..<min(packetLimit, 3)).map { part in
            OutboundMessage(topic: whole.topic, payload: whole.payload + Array(".\(part + 1)".utf8))
        }
    }
}

/// A publisher between a journal in memory and a broker that does what the test says.
struct PublisherRig {
    let clock = ManualClock()
    let journal: MemoryJournal
    let uplink = FakeUplink()
    let publisher: Publisher

    init(journal: MemoryJournal = MemoryJournal(), window: Int = 10, greeting: [OutboundMessage] = []) async throws {
        self.journal = journal
        let settings = PublisherSettings(
            name: "main", brokers: [], clientID: "c", window: window, backlogShare: 0.5)
        publisher = Publisher(
            settings: settings, journal: journal, uplink: uplink, encoder: PlainEncoder(), clock: clock,
            greeting: { greeting.map { message in { message } } })
        _ = try await journal.register(DeviceLayout(device: "d", labels: [], entries: []))
    }

    /// Appends `count` rows.
    func append(_ count: Int) async {
        for _ in 0..<count {
            var batch = ReadingBatch(layout: 1)
            batch.append(point: 0, time: clock.utc, value: .int(1), reasons: [], number: 0)
            await journal.append(.readings(batch))
        }
    }

    var published: [String] {
        uplink.publishes.map { "\($0.message.topic) \(String(decoding: $0.message.payload, as: UTF8.self))" }
    }

    /// Publishes while `body` acts, then stops as the gateway does.
    func run(_ body: () async throws -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { [publisher] in try await publisher.run() }
            await clock.waitForSleepers(1)
            try await body()
            group.cancelAll()
            try await group.waitForAll()
        }
        await publisher.close(farewell: nil)
    }

    /// Waits, in real time but without a fixed pause, until `condition` holds; the suite's time limit ends a wait in vain.
    func until(_ condition: () async -> Bool) async {
        while !Task.isCancelled, !(await condition()) { await Task.yield() }
    }

    func connect() async {
        let sessions = await publisher.figures.sessions
        uplink.connect()
        await until { await publisher.figures.sessions == sessions + 1 }
    }

    /// Acknowledges `tokens` and waits until the publisher knows.
    func acknowledge(_ tokens: [PublishToken]) async {
        let before = await publisher.figures.acknowledged
        uplink.acknowledge(tokens)
        await until { await publisher.figures.acknowledged >= before + UInt64(tokens.count) }
    }
}

@Suite(.timeLimit(.minutes(1))) struct PublisherTests {
    @Test func liveRowsGoOutAsTheyAreCommitted() async throws {
        let rig = try await PublisherRig()
        rig.uplink.acknowledgeAtOnce()
        try await rig.run {
            await rig.connect()
            await rig.append(20)
            await rig.until { await rig.publisher.figures.acknowledged == 20 }
        }
        #expect(rig.published == (1...20).map { "live \($0)" })
        #expect(try await rig.journal.pending(for: "main") == [PositionInterval(low: 21, high: nil)])
    }

    @Test func theBacklogGoesInOrderAsReplayAndTakesOnlyItsShare() async throws {
        let rig = try await PublisherRig()
        await rig.append(30)
        try await rig.run {
            await rig.connect()
            await rig.until { rig.published.count == 5 }
            // Half of the window is kept free for what is live.
            await rig.append(3)
            await rig.until { rig.published.count == 8 }
            #expect(rig.published == (1...5).map { "replay \($0)" } + (31...33).map { "live \($0)" })
            rig.uplink.acknowledgeAtOnce()
            await rig.acknowledge(rig.uplink.tokens)
            await rig.until { await rig.publisher.figures.acknowledged == 33 }
        }
        #expect(rig.published.filter { $0.hasPrefix("replay") } == (1...30).map { "replay \($0)" })
    }

    @Test func theWindowIsNeverExceeded() async throws {
        let rig = try await PublisherRig(window: 4)
        try await rig.run {
            await rig.connect()
            await rig.append(100)
            await rig.until { rig.published.count == 4 }
            for _ in 0..<1000 { await Task.yield() }
            #expect(rig.published.count == 4)
            await rig.acknowledge([2])
            await rig.until { rig.published.count == 5 }
        }
        #expect(try await rig.journal.pending(for: "main")?.first == PositionInterval(low: 1, high: 2))
    }

    @Test func onlyAnAcknowledgementEndsTheResponsibility() async throws {
        let rig = try await PublisherRig()
        try await rig.run {
            await rig.connect()
            await rig.append(4)
            await rig.until { rig.published.count == 4 }
            await rig.acknowledge([1, 3])
        }
        let stored = try await rig.journal.pending(for: "main")
        let expected = [(2, 3), (4, 5)].map { PositionInterval(low: $0, high: $1) }
        #expect(stored == expected + [PositionInterval(low: 5, high: nil)])
    }

    @Test func whatWasInFlightWhenTheSessionEndedComesAgainAsReplay() async throws {
        let rig = try await PublisherRig()
        try await rig.run {
            await rig.connect()
            await rig.append(3)
            await rig.until { rig.published.count == 3 }
            await rig.acknowledge([2])
            rig.uplink.disconnect()
            await rig.until { await !rig.publisher.figures.isConnected }
            await rig.append(2)
            rig.uplink.acknowledgeAtOnce()
            await rig.connect()
            await rig.until { await rig.publisher.figures.pending == 0 }
        }
        #expect(rig.published.dropFirst(3) == ["replay 1", "replay 3", "replay 4", "replay 5"])
    }

    @Test func aRefusedPublishIsTriedAgainAfterAPauseAndTheTroubleIsOver() async throws {
        let rig = try await PublisherRig()
        try await rig.run {
            await rig.connect()
            await rig.append(1)
            await rig.until { rig.published.count == 1 }
            rig.uplink.refuse(1, 0x97)
            await rig.until { await rig.publisher.figures.refused == 1 }
            #expect(await rig.publisher.figures.trouble?.contains("151") == true)
            await rig.clock.advance(by: .milliseconds(900))
            #expect(rig.published.count == 1)
            await rig.clock.advance(by: .seconds(3))
            await rig.until { rig.published.count == 2 }
            await rig.acknowledge([1])
            #expect(await rig.publisher.figures.trouble == nil)
        }
        #expect(rig.published == ["live 1", "replay 1"])
    }

    @Test func aRestartGoesOnFromWhatWasStored() async throws {
        let first = try await PublisherRig()
        try await first.run {
            await first.connect()
            await first.append(6)
            await first.until { first.published.count == 6 }
            await first.acknowledge([1, 2, 4])
        }
        let second = try await PublisherRig(journal: first.journal)
        second.uplink.acknowledgeAtOnce()
        try await second.run {
            await second.connect()
            await second.until { await second.publisher.figures.acknowledged == 3 }
        }
        #expect(second.published == ["replay 3", "replay 5", "replay 6"])
    }

    @Test func aPublisherThatIsNewGetsWhatTheJournalHolds() async throws {
        let rig = try await PublisherRig()
        await rig.append(3)
        rig.uplink.acknowledgeAtOnce()
        try await rig.run {
            await rig.connect()
            await rig.until { await rig.publisher.figures.acknowledged == 3 }
        }
        #expect(rig.published == (1...3).map { "replay \($0)" })
    }

    @Test func rowsThatWereEvictedAreSkippedAndTheirGapIsPublished() async throws {
        let rig = try await PublisherRig()
        await rig.append(40)
        rig.uplink.acknowledgeAtOnce()
        try await rig.run {
            await rig.journal.evict(below: 31, at: rig.clock.utc)
            await rig.connect()
            await rig.until { await rig.publisher.figures.acknowledged == 11 }
        }
        #expect(rig.published == ["live 41"] + (31...40).map { "replay \($0)" })
    }

    @Test func announcementsGoBeforeRowsAndAgainWithEachSession() async throws {
        let rig = try await PublisherRig(greeting: [OutboundMessage(topic: "point", payload: [])])
        rig.uplink.acknowledgeAtOnce()
        await rig.append(1)
        try await rig.run {
            for _ in 0..<2 {
                await rig.connect()
                await rig.until { await rig.publisher.figures.pending == 0 }
                rig.uplink.disconnect()
                await rig.until { await !rig.publisher.figures.isConnected }
            }
        }
        #expect(rig.published == ["point ", "replay 1", "point "])
    }

    @Test func anOperatorsReplayIsSentOnceMoreAsReplay() async throws {
        let rig = try await PublisherRig()
        rig.uplink.acknowledgeAtOnce()
        try await rig.run {
            await rig.connect()
            await rig.append(5)
            await rig.until { await rig.publisher.figures.acknowledged == 5 }
            await rig.publisher.replay(2...UInt64.max)
            await rig.until { await rig.publisher.figures.acknowledged == 9 }
        }
        #expect(rig.published.suffix(4) == (2...5).map { "replay \($0)" })
    }
}
