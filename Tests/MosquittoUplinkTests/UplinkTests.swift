import Engine
import Foundation
import Gateway
import Model
import MosquittoUplink
import Testing

/// Against a real Mosquitto on loopback.
@Suite(.serialized) struct UplinkTests {
    static func settings(_ port: Int, version: PublisherSettings.ProtocolVersion = .v5) -> PublisherSettings {
        PublisherSettings(
            name: "t", brokers: [Endpoint(host: "127.0.0.1", port: port)], version: version,
            clientID: "test-\(UUID().uuidString.prefix(8))")
    }

    static let will = OutboundMessage(topic: "t/status", payload: Array("gone".utf8), isRetained: true)

    static func folder() throws -> String {
        let path = NSTemporaryDirectory() + "/hg-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        return path
    }

    /// Events until one fits; the time limit of the suite's caller is the only bound.
    static func wait(_ uplink: MosquittoUplink, until fits: (UplinkEvent) -> Bool) async -> UplinkEvent? {
        while let events = await uplink.nextEvents() {
            if let event = events.first(where: fits) { return event }
        }
        return nil
    }

    static func isConnected(_ event: UplinkEvent) -> Bool {
        if case .connected = event { return true }
        return false
    }

    @Test(.timeLimit(.minutes(1)), arguments: [PublisherSettings.ProtocolVersion.v5, .v311])
    func publishesAreAcknowledgedByTheirToken(version: PublisherSettings.ProtocolVersion) async throws {
        let folder = try Self.folder()
        let broker = try PrivateBroker(folder: folder)
        defer { broker.stop() }
        let uplink = try MosquittoUplink(
            settings: Self.settings(broker.port, version: version), will: Self.will, reconnect: 0.1...0.5)
        _ = await Self.wait(uplink, until: Self.isConnected)
        for token in UInt64(1)...200 {
            try uplink.publish(OutboundMessage(topic: "t/data", payload: Array("x".utf8)), token: token)
        }
        var acknowledged: Set<PublishToken> = []
        while acknowledged.count < 200, let events = await uplink.nextEvents() {
            for case .outcome(let token, .acknowledged) in events { acknowledged.insert(token) }
        }
        #expect(acknowledged == Set(1...200))
        await uplink.close()
        try FileManager.default.removeItem(atPath: folder)
    }

    @Test(.timeLimit(.minutes(1)))
    func nothingIsQueuedWhileTheBrokerIsAway() async throws {
        let folder = try Self.folder()
        let broker = try PrivateBroker(folder: folder)
        let uplink = try MosquittoUplink(settings: Self.settings(broker.port), will: Self.will, reconnect: 0.1...0.5)
        _ = await Self.wait(uplink, until: Self.isConnected)
        broker.stop()
        let event = await Self.wait(uplink) { if case .disconnected = $0 { true } else { false } }
        #expect(event != nil)
        #expect(throws: UplinkError.notConnected) {
            try uplink.publish(OutboundMessage(topic: "t", payload: [1]), token: 1)
        }
        await uplink.close()
        try FileManager.default.removeItem(atPath: folder)
    }

    @Test(.timeLimit(.minutes(1)))
    func hostsThatDoNotAnswerArePassedOverForTheNextBrokerOfTheList() async throws {
        let folder = try Self.folder()
        let broker = try PrivateBroker(folder: folder)
        defer { broker.stop() }
        let mute = [MuteHost(accepts: false), MuteHost(accepts: true)]
        var settings = Self.settings(broker.port)
        settings.brokers = mute.map { Endpoint(host: "127.0.0.1", port: $0.port) } + settings.brokers
        let uplink = try MosquittoUplink(
            settings: settings, will: Self.will, reconnect: 0.1...0.5, answerTime: .milliseconds(500))
        var reasons: [String] = []
        let event = await Self.wait(uplink) { event in
            if case .disconnected(let reason) = event { reasons.append(reason) }
            return Self.isConnected(event)
        }
        #expect(event != nil)
        #expect(reasons.count == 2, "\(reasons)")
        #expect(reasons.first?.contains("no answer within") == true, "\(reasons)")
        #expect(reasons.last?.contains("does not answer as a broker") == true, "\(reasons)")
        await uplink.close()
        withExtendedLifetime(mute) {}
        try FileManager.default.removeItem(atPath: folder)
    }

    @Test(.timeLimit(.minutes(1)))
    func aHostThatDoesNotAnswerDoesNotHoldUpAClose() async throws {
        let mute = MuteHost(accepts: false)
        let uplink = try MosquittoUplink(settings: Self.settings(mute.port), will: Self.will)
        try await Task.sleep(for: .milliseconds(200))
        let begun = ContinuousClock.now
        await uplink.close()
        // Left to the kernel it is two minutes.
        #expect(ContinuousClock.now - begun < .seconds(10))
        withExtendedLifetime(mute) {}
    }

    @Test(.timeLimit(.minutes(1)))
    func whoWasClosedWhileANameWasLookedUpDoesNotConnectAnyMore() async throws {
        let folder = try Self.folder()
        let broker = try PrivateBroker(folder: folder)
        defer { broker.stop() }
        let settings = Self.settings(broker.port)
        let answer = DispatchSemaphore(value: 0)
        let (asked, ask) = AsyncStream.makeStream(of: Void.self)
        let old = try MosquittoUplink(settings: settings, will: Self.will) { _ in
            ask.finish()
            answer.wait()
            return nil
        }
        for await _ in asked {}
        await old.close()
        let new = try MosquittoUplink(settings: settings, will: nil)
        #expect(await Self.wait(new, until: Self.isConnected) != nil)
        answer.signal()
        try new.publish(OutboundMessage(topic: "t", payload: []), token: 1)
        try await Task.sleep(for: .seconds(1))
        try new.publish(OutboundMessage(topic: "t", payload: []), token: 2)
        let event = await Self.wait(new) { $0 == .outcome(2, .acknowledged) || $0 != .outcome(1, .acknowledged) }
        #expect(event == .outcome(2, .acknowledged))
        await new.close()
        withExtendedLifetime(old) {}
        try FileManager.default.removeItem(atPath: folder)
    }

    @Test(.timeLimit(.minutes(1)))
    func aBrokerWhoseNameNobodyKnowsIsSaidInWords() async throws {
        var settings = Self.settings(1)
        settings.brokers = [Endpoint(host: "broker.invalid.", port: 1)]
        let uplink = try MosquittoUplink(settings: settings, will: Self.will) { _ in "Name or service not known" }
        guard case .disconnected(let reason)? = await Self.wait(uplink, until: { _ in true }) else {
            Issue.record("there is no such broker")
            return
        }
        #expect(reason.contains("cannot connect to broker.invalid.:1: Name or service not known"), "\(reason)")
        await uplink.close()
    }

    @Test(.timeLimit(.minutes(1)))
    func aBrokerThatIsNotThereIsSaidInWords() async throws {
        let uplink = try MosquittoUplink(settings: Self.settings(1), will: Self.will, reconnect: 0.1...0.2)
        guard case .disconnected(let reason)? = await Self.wait(uplink, until: { _ in true }) else {
            Issue.record("there is no broker at port 1")
            return
        }
        #expect(reason.contains("refused"), "\(reason)")
        await uplink.close()
    }
}
