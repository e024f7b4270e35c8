import Engine
import Foundation
import Gateway
import Model
import Simulator
import Testing

/// The gateway in front of brokers that take only small packets, or not every topic. All parts are real.
@Suite(.serialized, .timeLimit(.minutes(2))) struct DifficultBrokerTests {
    private static let points = (0..<100).map {
        Point(
            name: "v\($0)", table: .holding, protocolAddress: UInt16($0), encoding: Encoding(type: .uint16),
            every: .milliseconds(200))
    }

    /// Runs `body` with a gateway that polls 100 points, a broker with these settings and a capture of what it delivers.
    private func with(
        _ options: (_ folder: String) throws -> [String], version: PublisherSettings.ProtocolVersion = .v5,
        _ body: (_ site: Site, _ broker: PrivateBroker, _ folder: String) async throws -> Void
    ) async throws {
        let folder = NSTemporaryDirectory() + "/hg-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let broker = try PrivateBroker(folder: folder, options: try options(folder))
        defer { broker.stop() }
        let field = try TCPSimulator(port: 0, units: [1: SimulatedUnit(points: Self.points)])
        defer { field.stop() }
        let device = Device(
            id: "d", profile: "p/q", revision: 1, connection: "c", unit: 1, owner: "o", points: Self.points)
        let site = Site(
            gateway: GatewayIdentity(id: "g", owner: "o", stateFolder: folder + "/state"),
            connections: [Connection(name: "c", channel: .tcp(Endpoint(host: "127.0.0.1", port: field.port)))],
            devices: [device],
            publishers: [
                PublisherSettings(
                    name: "p", brokers: [Endpoint(host: "127.0.0.1", port: broker.port)], version: version,
                    clientID: "g")
            ])
        let subscriber = try MainJobTests.subscriber(port: broker.port, capture: folder + "/capture.jsonl")
        defer { kill(subscriber.processIdentifier, SIGKILL) }
        try await body(site, broker, folder)
    }

    @Test func aBatchLargerThanTheBrokersPacketsArrivesInParts() async throws {
        try await with({ _ in ["max_packet_size 3000"] }) { site, _, folder in
            let capture = folder + "/capture.jsonl"
            try await MainJobTests.run(site) { try await MainJobTests.waitForLines(40, in: capture) }
            try await Task.sleep(for: .milliseconds(300))
            let lines = try String(contentsOfFile: capture, encoding: .utf8).split(separator: "\n")
            #expect(lines.count > 20 && lines.allSatisfy { $0.utf8.count < 3000 })
            #expect(lines.contains { $0.contains(#""part":1,"parts":"#) })
            let received = try JournalVerification(path: capture)
            #expect(received.isProven && received.broken.isEmpty)
            #expect(received.verdicts["g"]?.readings == 100 * (received.verdicts["g"]?.rows ?? 0))
        }
    }

    /// MQTT 3.1.1: the broker ends the session at each packet above its limit, and never says why.
    @Test(arguments: ["max_packet_size 2000", "max_packet_size 400"])
    func aLimitThatTheBrokerDoesNotAnnounceIsLearned(option: String) async throws {
        try await with({ _ in [option] }, version: .v311) { site, _, folder in
            let capture = folder + "/capture.jsonl"
            try await MainJobTests.run(site) {
                // Live rows come first: what waited meanwhile follows behind them.
                while true {
                    let received = try JournalVerification(path: capture)
                    #expect(received.broken.isEmpty)
                    if received.verdicts["g"]?.rows ?? 0 >= 5, received.isProven { return }
                    try await Task.sleep(for: .milliseconds(300))
                }
            }
        }
    }

    /// MQTT 5: the broker announces nothing and refuses with code 149.
    @Test func aSizeThatTheBrokerRefusesWithACodeIsLearned() async throws {
        try await with({ _ in ["message_size_limit 2000"] }) { site, _, folder in
            let capture = folder + "/capture.jsonl"
            try await MainJobTests.run(site) { try await MainJobTests.waitForLines(40, in: capture) }
            let received = try JournalVerification(path: capture)
            #expect(received.broken.isEmpty && received.verdicts["g"]?.readings ?? 0 > 0)
        }
    }

    @Test func aTopicThatIsNotAllowedIsShownAndDeliveredOnceItIs() async throws {
        func allow(_ readings: String, _ folder: String) throws -> [String] {
            let rules = """
                topic readwrite headgate/v1/g/\(readings)
                topic readwrite headgate/v1/g/gap/#
                topic readwrite headgate/v1/g/gap
                topic readwrite headgate/v1/g/d/#
                topic readwrite headgate/v1/g/status

                """
            try rules.write(toFile: folder + "/acl", atomically: false, encoding: .utf8)
            return ["acl_file \(folder)/acl"]
        }
        func report(_ site: Site) throws -> String {
            String(
                decoding: try JournalReport(folder: site.gateway.stateFolder, settings: site.buffer).json, as: UTF8.self
            )
        }
        func wait(_ what: String, _ site: Site, _ holds: (String) -> Bool) async throws {
            while !holds(try report(site)) {
                try await Task.sleep(for: .milliseconds(100))
            }
        }
        try await with({ try allow("nothing", $0) }) { site, broker, folder in
            try await MainJobTests.run(site) {
                try await wait("refusal", site) { $0.contains(#""state":"refused""#) && $0.contains("not authorised") }
                #expect(try report(site).contains(#""oldest_seq":1,"#), "what is refused is not done")
                broker.stop()
                let other = try PrivateBroker(folder: folder, options: try allow("r/#", folder), port: broker.port)
                defer { other.stop() }
                try await wait("delivery", site) {
                    $0.contains(#""state":"live""#) && !$0.contains(#""oldest_seq":1,"#) && !$0.contains("trouble")
                }
            }
        }
    }
}
