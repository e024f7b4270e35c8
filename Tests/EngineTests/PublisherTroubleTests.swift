import Engine
import GatewayTesting
import Model
import Testing

/// What a publisher does with a broker that is late, stalls, refuses, or takes only small packets.
@Suite(.timeLimit(.minutes(1))) struct PublisherTroubleTests {
    @Test func whatIsReadUntilTheFirstSessionStandsIsLive() async throws {
        let rig = try await PublisherRig()
        rig.uplink.acknowledgeAtOnce()
        try await rig.run {
            await rig.append(2)
            await rig.clock.advance(by: .seconds(4))
            await rig.connect()
            await rig.until { await rig.publisher.figures.acknowledged == 2 }
        }
        #expect(rig.published == ["live 1", "live 2"])
    }

    @Test func whatIsReadWhileTheFirstSessionIsLateIsBacklog() async throws {
        let rig = try await PublisherRig()
        rig.uplink.acknowledgeAtOnce()
        try await rig.run {
            await rig.append(2)
            await rig.clock.advance(by: .seconds(6))
            await rig.connect()
            await rig.until { await rig.publisher.figures.acknowledged == 2 }
        }
        #expect(rig.published == ["replay 1", "replay 2"])
    }

    @Test func whatWasEvictedIsNotOwedAnyMoreAlsoWithoutABroker() async throws {
        let rig = try await PublisherRig()
        try await rig.run {
            await rig.append(40)
            await rig.journal.evict(below: 31, at: rig.clock.utc)
            await rig.clock.advance(by: .seconds(2))
            // Ten rows are left, and the gap record that tells of the others.
            await rig.until { await rig.publisher.figures.pending == 11 }
            #expect(await rig.publisher.figures.oldest == 31)
        }
    }

    @Test func aRowInPartsIsDoneWhenAllOfThemAre() async throws {
        let rig = try await PublisherRig()
        try await rig.run {
            rig.uplink.connect(packetLimit: 3)
            await rig.until { await rig.publisher.figures.isConnected }
            await rig.append(1)
            await rig.until { rig.published.count == 3 }
            #expect(rig.published == ["live 1.1", "live 1.2", "live 1.3"])
            rig.uplink.acknowledge(Array(rig.uplink.tokens.prefix(2)))
            for _ in 0..<1000 { await Task.yield() }
            #expect(await rig.publisher.figures.acknowledged == 0)
            rig.uplink.acknowledge([rig.uplink.tokens[2]])
            await rig.until { await rig.publisher.figures.acknowledged == 1 }
        }
        #expect(try await rig.journal.pending(for: "main") == [PositionInterval(low: 2, high: nil)])
    }

    @Test func aRowOfWhichOnePartIsRefusedIsNotDone() async throws {
        let rig = try await PublisherRig()
        try await rig.run {
            rig.uplink.connect(packetLimit: 2)
            await rig.until { await rig.publisher.figures.isConnected }
            await rig.append(1)
            await rig.until { rig.published.count == 2 }
            rig.uplink.acknowledge([rig.uplink.tokens[0]])
            rig.uplink.refuse(rig.uplink.tokens[1], 0x97)
            await rig.until { await rig.publisher.figures.refused == 1 }
            #expect(await rig.publisher.figures.setAside == 1)
        }
        #expect(try await rig.journal.pending(for: "main")?.first == PositionInterval(low: 1, high: 2))
    }

    @Test func aRowThatCannotFitIsSetAsideAndTheOthersGoOn() async throws {
        let rig = try await PublisherRig()
        try await rig.run {
            rig.uplink.connect(packetLimit: 0)
            await rig.until { await rig.publisher.figures.isConnected }
            await rig.append(2)
            await rig.until { await rig.publisher.figures.setAside == 2 }
            #expect(await rig.publisher.figures.trouble?.contains("exceeds the broker's packet limit") == true)
            // The next session may take larger packets.
            rig.uplink.disconnect()
            await rig.until { await !rig.publisher.figures.isConnected }
            rig.uplink.acknowledgeAtOnce()
            await rig.connect()
            await rig.until { await rig.publisher.figures.acknowledged == 2 }
            #expect(await rig.publisher.figures.trouble == nil)
        }
        #expect(rig.published == ["replay 1", "replay 2"])
    }

    /// The broker did not announce that it takes no packet of that size.
    @Test func aRowThatIsTooLargeForTheBrokerIsDividedAndTheLimitIsSaid() async throws {
        let rig = try await PublisherRig()
        try await rig.run {
            await rig.connect()
            await rig.append(1)
            await rig.until { rig.published.count == 1 }
            rig.uplink.refuse(1, 0x95)
            await rig.until { rig.published.count > 1 }
            #expect(rig.published[1] == "replay 1.1", "\(rig.published)")
            #expect(await rig.publisher.figures.setAside == 0)
            rig.uplink.acknowledge(Array(rig.uplink.tokens.dropFirst()))
            await rig.until { await rig.publisher.figures.pending == 0 }
            #expect(await rig.publisher.figures.state == .live)
            #expect(await rig.publisher.figures.trouble?.contains("without having announced a limit") == true)
        }
    }

    /// MQTT 3.1.1 has no other answer to a packet that is too large than to end the session.
    @Test func sessionsThatEndAtTheSameRowDivideIt() async throws {
        let rig = try await PublisherRig()
        try await rig.run {
            for session in 1...2 {
                await rig.connect()
                if session == 1 { await rig.append(1) }
                await rig.until { rig.published.count == session }
                rig.uplink.disconnect()
                await rig.until { await !rig.publisher.figures.isConnected }
            }
            #expect(await rig.publisher.figures.trouble?.contains("ends the session at") == true)
            rig.uplink.acknowledgeAtOnce()
            await rig.connect()
            await rig.until { await rig.publisher.figures.acknowledged == 1 }
            #expect(rig.published[2] == "replay 1.1", "\(rig.published)")
        }
    }

    @Test func aRefusedDescriptorIsNamedCountedAndTriedAgain() async throws {
        let rig = try await PublisherRig(greeting: [OutboundMessage(topic: "g/d/x", payload: [], isRetained: true)])
        try await rig.run {
            await rig.connect()
            await rig.until { rig.published.count == 1 }
            rig.uplink.refuse(rig.uplink.tokens[0], 0x87)
            await rig.append(1)
            await rig.until { rig.published.count == 2 }
            await rig.acknowledge([1])
            await rig.until { await rig.publisher.figures.trouble?.contains("g/d/x (not authorised)") == true }
            #expect(await rig.publisher.figures.state == .refused)
            rig.uplink.acknowledgeAtOnce()
            await rig.clock.advance(by: .seconds(11))
            await rig.until { await rig.publisher.figures.trouble == nil }
            #expect(rig.published.last == "g/d/x ")
        }
    }

    @Test func anUnauthorisedTopicDoesNotHoldUpTheOthers() async throws {
        let rig = try await PublisherRig()
        try await rig.run {
            await rig.connect()
            await rig.append(3)
            await rig.until { rig.published.count == 3 }
            rig.uplink.refuse(1, 0x87)
            rig.uplink.acknowledge([2, 3])
            await rig.until { await rig.publisher.figures.acknowledged == 2 }
            #expect(await rig.publisher.figures.state == .refused)
            #expect(await rig.publisher.figures.trouble?.contains("not authorised") == true)
            await rig.append(1)
            await rig.until { rig.published.count == 4 }
            #expect(rig.published.last == "live 4")
        }
        let stored = try await rig.journal.pending(for: "main")
        #expect(stored?.first == PositionInterval(low: 1, high: 2))
    }

    @Test func aBrokerThatAcknowledgesNothingIsStalledAndGetsANewSession() async throws {
        let rig = try await PublisherRig()
        try await rig.run {
            await rig.connect()
            await rig.append(1)
            await rig.until { rig.published.count == 1 }
            await rig.clock.advance(by: .seconds(11))
            await rig.until { await rig.publisher.figures.state == .stalled }
            #expect(await rig.publisher.figures.trouble?.contains("stalled") == true)
            await rig.clock.advance(by: .seconds(51))
            // The fake pulls the plug when it is told to reset.
            await rig.until { await !rig.publisher.figures.isConnected }
            rig.uplink.acknowledgeAtOnce()
            await rig.connect()
            await rig.until { await rig.publisher.figures.acknowledged == 1 }
        }
        #expect(rig.published == ["live 1", "replay 1"])
    }

    @Test func aBrokerThatAnswersButCannotKeepUpIsSlowNotStalled() async throws {
        let rig = try await PublisherRig(window: 2)
        try await rig.run {
            await rig.connect()
            await rig.append(100)
            for second in 0..<13 {
                await rig.until { rig.published.count >= second + 2 }
                await rig.acknowledge([rig.uplink.tokens[second]])
                await rig.clock.advance(by: .seconds(1))
            }
            await rig.until { await rig.publisher.figures.state == .slow }
        }
    }
}

struct DeliveryHealthTests {
    @Test func silenceCountsFromTheFirstPublishThatWaits() {
        var health = DeliveryHealth(at: .zero)
        // Nothing was sent for an hour: that is no stall.
        health.sent(at: .seconds(3600), underWay: 0)
        #expect(health.stall(at: .seconds(3605), underWay: 1) == nil)
        health.sent(at: .seconds(3606), underWay: 1)
        #expect(health.stall(at: .seconds(3610), underWay: 2) == .seconds(10))
        #expect(health.stall(at: .seconds(3610), underWay: 0) == nil)
    }

    @Test func pausesDoubleUpToAboutAMinuteAndBeginAnewWhenOvercome() {
        var health = DeliveryHealth()
        var pauses: [Duration] = []
        for _ in 0..<8 {
            health.refused(0x97, at: .zero)
            pauses.append(health.pausedUntil)
            health.probed()
        }
        #expect(pauses == [2, 4, 8, 16, 32, 64, 64, 64].map(Duration.seconds))
        health.overcame()
        health.refused(0x97, at: .zero)
        #expect(health.pausedUntil == .seconds(2))
    }

    @Test func aRefusalAboutOneMessagePausesOthersOnlyWhenThereAreMany() {
        var health = DeliveryHealth()
        for _ in 1..<DeliveryHealth.refusalsToPause { health.refused(0x87, at: .zero) }
        #expect(health.pausedUntil == .zero)
        health.refused(0x87, at: .zero)
        #expect(health.pausedUntil == .seconds(2))
    }
}
