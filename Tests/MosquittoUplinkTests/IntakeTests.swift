import Engine
import Foundation
import Gateway
import Model
import MosquittoUplink
import Testing

/// Messages from a real Mosquitto; what really went over the wire is read off a proxy.
@Suite(.serialized, .timeLimit(.minutes(1))) struct IntakeTests {
    typealias Version = PublisherSettings.ProtocolVersion

    /// A broker, a proxy before it, and an intake behind that.
    final class Rig {
        let folder: String
        let broker: PrivateBroker
        let proxy: TCPProxy
        let settings: PublisherSettings
        let intake: IntakeSettings
        private(set) var uplink: MosquittoUplink

        init(
            version: Version = .v5, intake: IntakeSettings = IntakeSettings(), options: [String] = []
        ) async throws {
            folder = try UplinkTests.folder()
            broker = try PrivateBroker(folder: folder, options: options)
            proxy = try TCPProxy(to: broker.port)
            settings = UplinkTests.settings(proxy.port, version: version).forCommands
            self.intake = intake
            uplink = try await Self.open(settings, intake)
        }

        private static func open(
            _ settings: PublisherSettings, _ intake: IntakeSettings
        ) async throws -> MosquittoUplink {
            let uplink = try MosquittoUplink(settings: settings, will: nil, intake: intake, reconnect: 0.1...0.3)
            uplink.subscribe(["c/req/+/+"])
            _ = await UplinkTests.wait(uplink, until: UplinkTests.isConnected)
            try await Task.sleep(for: .milliseconds(300))
            return uplink
        }

        /// As a process that starts again, with the same client id.
        func reopen() async throws {
            uplink = try await Self.open(settings, intake)
        }

        /// Publishes by mosquitto_pub, with further arguments.
        func send(_ payload: String, to topic: String = "c/req/d/p", _ arguments: [String] = []) throws {
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/usr/bin/mosquitto_pub")
            process.arguments =
                ["-h", "127.0.0.1", "-p", "\(broker.port)", "-t", topic, "-m", payload, "-q", "1", "-V", "5"]
                + arguments
            try process.run()
            process.waitUntilExit()
        }

        /// The next messages' payloads, nil when none come within `seconds`.
        func next(within seconds: Double = 5) async -> [InboundMessage]? {
            await withTaskGroup(of: [InboundMessage]?.self) { [uplink] group in
                group.addTask { await uplink.nextMessages() }
                group.addTask {
                    try? await Task.sleep(for: .seconds(seconds))
                    return nil
                }
                defer { group.cancelAll() }
                return await group.next() ?? nil
            }
        }

        func acknowledge(_ messages: [InboundMessage]?) {
            for message in messages ?? [] { uplink.acknowledge(message.receipt) }
        }

        /// Waits until the client has sent so many PUBACKs, or too long.
        func acknowledgements(_ wanted: Int) async throws -> Int {
            for _ in 0..<200 where proxy.count(of: 4) < wanted { try await Task.sleep(for: .milliseconds(10)) }
            return proxy.count(of: 4)
        }

        func end() async throws {
            await uplink.close()
            proxy.stop()
            broker.stop()
            try FileManager.default.removeItem(atPath: folder)
        }
    }

    static func texts(_ messages: [InboundMessage]?) -> [String] {
        (messages ?? []).map { String(decoding: $0.payload, as: UTF8.self) }
    }

    @Test(arguments: [Version.v5, .v311])
    func noAcknowledgementIsOnTheWireBeforeTheMessageIsSettled(version: Version) async throws {
        let rig = try await Rig(version: version)
        try rig.send("one")
        let messages = await rig.next()
        #expect(Self.texts(messages) == ["one"])
        try await Task.sleep(for: .milliseconds(500))
        #expect(rig.proxy.count(of: 4) == 0)
        // Not even what this client itself has to say carries it out.
        try rig.uplink.publish(OutboundMessage(topic: "c/evt/d/p", payload: [1]), token: 1)
        try await Task.sleep(for: .milliseconds(300))
        #expect(rig.proxy.count(of: 4) == 0)
        rig.acknowledge(messages)
        #expect(try await rig.acknowledgements(1) == 1)
        #expect(rig.uplink.intakeFigures.acknowledged == 1)
        try await rig.end()
    }

    @Test(arguments: [Version.v5, .v311], ["cut", "close", "give back"])
    func whatWasNotSettledIsDeliveredAgain(version: Version, how: String) async throws {
        let rig = try await Rig(version: version)
        try rig.send("one")
        let messages = await rig.next()
        #expect(Self.texts(messages) == ["one"])
        switch how {
        case "cut": rig.proxy.cut()
        case "close":
            await rig.uplink.close()
            try await rig.reopen()
        default: rig.uplink.giveBack(messages?[0].receipt ?? 0)
        }
        let again = await rig.next()
        #expect(Self.texts(again) == ["one"])
        #expect(rig.proxy.count(of: 4) == 0)
        rig.acknowledge(messages)
        try await Task.sleep(for: .milliseconds(200))
        #expect(rig.proxy.count(of: 4) == 0, "a receipt of an ended session acknowledges nothing")
        rig.acknowledge(again)
        #expect(try await rig.acknowledgements(1) == 1)
        rig.proxy.cut()
        #expect(await rig.next(within: 1) == nil, "once acknowledged it does not come again")
        try await rig.end()
    }

    /// A TLS record holds several packets: what the library has read already must not wait for the socket.
    @Test func overTLSManyMessagesArriveAndAreHeldLikewise() async throws {
        let folder = try UplinkTests.folder()
        let certificate = try Self.certificate(in: folder)
        let broker = try PrivateBroker(
            folder: folder,
            options: ["certfile \(folder)/cert.pem", "keyfile \(folder)/key.pem", "user root", "max_queued_messages 0"])
        defer { broker.stop() }
        var settings = UplinkTests.settings(broker.port)
        settings.tls = PublisherSettings.TLS(authorityFile: certificate)
        settings.window = 100
        let intake = try MosquittoUplink(
            settings: settings.forCommands, will: nil, intake: IntakeSettings(), reconnect: 0.1...0.3)
        intake.subscribe(["c/req/+/+"])
        let sender = try MosquittoUplink(settings: settings, will: nil, reconnect: 0.1...0.3)
        _ = await UplinkTests.wait(intake, until: UplinkTests.isConnected)
        _ = await UplinkTests.wait(sender, until: UplinkTests.isConnected)
        try await Task.sleep(for: .milliseconds(300))
        async let sent = Self.flood(sender, 500)
        var texts: [String] = []
        while texts.count < 500, let messages = await intake.nextMessages() {
            texts += Self.texts(messages)
            for message in messages { intake.acknowledge(message.receipt) }
        }
        #expect(texts == (0..<500).map { "junk \($0)" })
        #expect(await sent == 500)
        await sender.close()
        await intake.close()
        try FileManager.default.removeItem(atPath: folder)
    }

    /// A certificate for 127.0.0.1, signed by itself.
    private static func certificate(in folder: String) throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
        process.arguments = [
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1", "-addext",
            "subjectAltName=IP:127.0.0.1", "-keyout", "\(folder)/key.pem", "-out", "\(folder)/cert.pem",
        ]
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        return "\(folder)/cert.pem"
    }

    @Test func aMessageThatNobodySettlesEndsItsSession() async throws {
        let rig = try await Rig(intake: IntakeSettings(holdTime: .milliseconds(300)))
        try rig.send("one")
        #expect(Self.texts(await rig.next()) == ["one"])
        let again = await rig.next()
        #expect(Self.texts(again) == ["one"])
        #expect(rig.uplink.intakeFigures.overdue == 1)
        #expect(rig.proxy.count(of: 4) == 0)
        rig.acknowledge(again)
        #expect(try await rig.acknowledgements(1) == 1)
        try await rig.end()
    }

    @Test func whatIsSentWhileTheGatewayIsAwayComesLaterUnlessItHasExpired() async throws {
        let rig = try await Rig()
        await rig.uplink.close()
        try rig.send("short", ["-D", "PUBLISH", "message-expiry-interval", "1"])
        try rig.send("long", ["-D", "PUBLISH", "message-expiry-interval", "60"])
        try await Task.sleep(for: .milliseconds(2500))
        try await rig.reopen()
        let messages = await rig.next()
        #expect(Self.texts(messages) == ["long"])
        let left = try #require(messages?.first?.expiry)
        #expect(left > .seconds(30) && left < .seconds(60))
        rig.acknowledge(messages)
        try await rig.end()
    }

    @Test func propertiesAndFlagsArriveAsTheyWereSent() async throws {
        let rig = try await Rig(intake: IntakeSettings(largestPayload: 100))
        try rig.send(
            "asked",
            ["-D", "PUBLISH", "response-topic", "answers/7", "-D", "PUBLISH", "correlation-data", "k-1"])
        let asked = await rig.next()
        #expect(asked?.first?.responseTopic == "answers/7")
        #expect(asked?.first?.correlationData == Array("k-1".utf8))
        #expect(asked?.first?.isRetained == false)
        rig.acknowledge(asked)
        try rig.send("kept", ["-r"])
        let kept = await rig.next()
        #expect(kept?.first?.isRetained == true, "published to be stored")
        rig.acknowledge(kept)
        try rig.send(String(repeating: "x", count: 101))
        let large = await rig.next()
        #expect(large?.first?.isOversized == true)
        #expect(large?.first?.payload == [])
        #expect(large?.first?.payloadByteCount == 101)
        rig.acknowledge(large)
        try await rig.end()
    }

    @Test(arguments: [Version.v5, .v311])
    func whatTheBrokerHadInStoreIsToldAsRetained(version: Version) async throws {
        let rig = try await Rig(version: version)
        try rig.send("stored", to: "c/req/old/p", ["-r"])
        rig.acknowledge(await rig.next())
        await rig.uplink.close()
        // A new session: another client id, the same filters.
        var settings = rig.settings
        settings.clientID += "-2"
        let other = try MosquittoUplink(settings: settings, will: nil, intake: rig.intake, reconnect: 0.1...0.3)
        other.subscribe(["c/req/+/+"])
        let messages = await other.nextMessages()
        #expect(Self.texts(messages) == ["stored"])
        #expect(messages?.first?.isRetained == true)
        for message in messages ?? [] { other.acknowledge(message.receipt) }
        await other.close()
        try await rig.end()
    }

    @Test func filtersCanBeChangedWhileASessionStands() async throws {
        let rig = try await Rig()
        rig.uplink.subscribe(["c/ctl"])
        try await Task.sleep(for: .milliseconds(300))
        try rig.send("old")
        try rig.send("new", to: "c/ctl")
        let messages = await rig.next()
        #expect(Self.texts(messages) == ["new"])
        rig.acknowledge(messages)
        try await rig.end()
    }

    /// Junk at full speed: the data connection does not notice, memory stays bounded, nothing that was sent is lost.
    @Test func aFloodIsHeldByTheBrokerAndLeavesTheDataPathAlone() async throws {
        let rig = try await Rig(
            options: ["max_queued_messages 0", "max_inflight_messages 100", "max_queued_bytes 0"])
        var settings = UplinkTests.settings(rig.broker.port)
        settings.window = 200
        let junk = try MosquittoUplink(settings: settings, will: nil, reconnect: 0.1...0.5)
        let data = try MosquittoUplink(
            settings: UplinkTests.settings(rig.broker.port), will: UplinkTests.will, reconnect: 0.1...0.5)
        _ = await UplinkTests.wait(junk, until: UplinkTests.isConnected)
        _ = await UplinkTests.wait(data, until: UplinkTests.isConnected)
        let count = 3000
        async let flood = Self.flood(junk, count)
        async let slowest = Self.slowestPublish(data, count: 200)
        var received = 0
        while received < count, let messages = await rig.uplink.nextMessages() {
            // As long as a commit takes, for each batch.
            try await Task.sleep(for: .milliseconds(1))
            for message in messages { rig.uplink.acknowledge(message.receipt) }
            received += messages.count
        }
        #expect(received == count)
        #expect(await flood == count)
        #expect(rig.uplink.intakeFigures.mostUnsettled <= 20)
        #expect(await slowest < .milliseconds(500))
        await junk.close()
        await data.close()
        try await rig.end()
    }

    /// Publishes `count` messages as fast as the broker acknowledges them.
    private static func flood(_ uplink: MosquittoUplink, _ count: Int) async -> Int {
        var (sent, done) = (0, 0)
        while done < count {
            while sent < count, sent - done < 200 {
                let message = OutboundMessage(topic: "c/req/d/p", payload: Array("junk \(sent)".utf8))
                guard (try? uplink.publish(message, token: UInt64(sent))) != nil else { return 0 }
                sent += 1
            }
            for case .outcome in await uplink.nextEvents() ?? [] { done += 1 }
        }
        return done
    }

    /// One after the other, the longest time from publish to acknowledgement.
    private static func slowestPublish(_ uplink: MosquittoUplink, count: Int) async -> Duration {
        var slowest = Duration.zero
        for token in 0..<UInt64(count) {
            let start = ContinuousClock.now
            guard (try? uplink.publish(OutboundMessage(topic: "t/data", payload: [1]), token: token)) != nil else {
                return .seconds(60)
            }
            _ = await UplinkTests.wait(uplink) { $0 == .outcome(token, .acknowledged) }
            slowest = max(slowest, start.duration(to: .now))
        }
        return slowest
    }
}
