import Engine
import Foundation
import Gateway
import Logging
import Model
import Simulator
import Testing

@Suite struct SiteChangeTests {
    static func site(_ devices: [Device]) -> Site {
        Site(
            gateway: GatewayIdentity(id: "g", owner: "o", stateFolder: "/tmp/x"),
            connections: ["a", "b"].map {
                Connection(name: $0, channel: .tcp(Endpoint(host: "127.0.0.1", port: $0 == "a" ? 1 : 2)))
            },
            devices: devices, publishers: [])
    }

    static func device(_ id: String, on connection: String, unit: UInt8 = 1) -> Device {
        Device(id: id, profile: "p/q", revision: 1, connection: connection, unit: unit, owner: "o", points: [])
    }

    @Test func onlyTheConnectionOfAChangedDeviceIsRestarted() {
        let old = Self.site([Self.device("x", on: "a"), Self.device("y", on: "b")])
        let new = Self.site([Self.device("x", on: "a"), Self.device("y", on: "b", unit: 9)])
        let change = SiteChange(from: old, to: new)
        #expect(change.connectionsToStop == ["b"])
        #expect(change.connectionsToStart.map(\.name) == ["b"])
        #expect(change.changedDevices.map(\.id) == ["y"])
    }

    /// A service group keeps what its services say that they are.
    @Test func theServiceIsNamedWithoutEverythingThatItHolds() {
        let service = GatewayService(site: Self.site([Self.device("x", on: "a")]), logger: Logger(label: "test"))
        #expect("\(service)" == "gateway")
    }

    @Test func anUnchangedFileChangesNothing() {
        let site = Self.site([Self.device("x", on: "a")])
        let change = SiteChange(from: site, to: site)
        #expect(change.connectionsToStop.isEmpty && change.connectionsToStart.isEmpty && change.changedDevices.isEmpty)
    }

    private static func commanded(_ unit: UInt8 = 1, port: Int = 1, address: UInt16 = 4, policy: Bool = true) -> Site {
        let point = Point(
            name: "sp", table: .holding, protocolAddress: address, encoding: Encoding(type: .int16), kind: .setpoint,
            write: WriteRule(mode: .single))
        var device = device("x", on: "a", unit: unit)
        device.points = [point]
        var site = site([device])
        site.connections[0].channel = .tcp(Endpoint(host: "127.0.0.1", port: port))
        if policy { site.commands.policies = [Policy(name: "p", points: ["x/*"], permissions: [])] }
        return site
    }

    @Test func pointsThatAreTakenAwayOrMovedAreWithdrawn() {
        let old = Self.commanded()
        #expect(SiteChange.withdrawnPoints(from: old, to: old) == [])
        var same = old
        same.connections[0].timeout = .seconds(9)
        same.devices[0].owner = "somebody"
        same.devices[0].points[0].every = .seconds(60)
        #expect(SiteChange.withdrawnPoints(from: old, to: same) == [])
        #expect(PointPlace.kept(from: old, to: same) == ["x/sp"])
        var others = [
            Self.commanded(2), Self.commanded(port: 7), Self.commanded(address: 5), Self.commanded(policy: false),
            Self.site([]),
        ]
        #expect(others.map { PointPlace.kept(from: old, to: $0) } == [[], [], [], ["x/sp"], []])
        #expect(PointPlace.areSame(old, same))
        #expect(
            others.map { PointPlace.areSame(old, $0) || PointPlace.areSame($0, old) } == [
                false, false, false, true, false,
            ])
        others.append(old)
        others[5].commands.isReadOnly = true
        for new in others { #expect(SiteChange.withdrawnPoints(from: old, to: new) == ["x/sp"]) }
    }

    @Test func whatCannotChangeWhileRunningIsSaid() {
        let old = Self.site([])
        var new = old
        new.gateway.stateFolder = "/elsewhere"
        #expect(SiteChange.obstacle(from: old, to: new)?.contains("restart") == true)
    }
}

/// The whole main job in one process: a simulated device, a real broker, files on disk, a subscriber that is not ours.
@Suite(.serialized) struct MainJobTests {
    @Test(.timeLimit(.minutes(2)))
    func readingsArriveAtAForeignSubscriberContiguouslyOverARestart() async throws {
        let folder = NSTemporaryDirectory() + "/hg-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let broker = try PrivateBroker(folder: folder)
        defer { broker.stop() }
        let point = Point(
            name: "level", table: .holding, protocolAddress: 4, encoding: Encoding(type: .float32), unit: "%",
            range: NumericRange(low: 0, high: 100), every: .milliseconds(100))
        let unit = SimulatedUnit(points: [point])
        unit.set("level", .double(42.5))
        let field = try TCPSimulator(port: 0, units: [1: unit])
        defer { field.stop() }
        let site = Site(
            gateway: GatewayIdentity(id: "g", owner: "o", stateFolder: folder + "/state"),
            connections: [Connection(name: "c", channel: .tcp(Endpoint(host: "127.0.0.1", port: field.port)))],
            devices: [
                Device(id: "tank", profile: "p/q", revision: 1, connection: "c", unit: 1, owner: "o", points: [point])
            ],
            publishers: [
                PublisherSettings(name: "p", brokers: [Endpoint(host: "127.0.0.1", port: broker.port)], clientID: "g")
            ])
        let capture = folder + "/capture.jsonl"
        let subscriber = try Self.subscriber(port: broker.port, capture: capture)
        defer { kill(subscriber.processIdentifier, SIGKILL) }
        for lines in [10, 20] {
            try await Self.run(site) { try await Self.waitForLines(lines, in: capture) }
        }
        try await Task.sleep(for: .milliseconds(300))
        try Self.verify(capture)
        try await Self.replaysWhatIsAskedFor(site, capture: capture)
        let received = try JournalVerification(path: capture)
        #expect(received.isProven && received.redeliveries == 4, "what was replayed came twice, nothing else did")
        #expect(try JournalVerification(path: site.gateway.stateFolder).isProven)
    }

    /// A replay is refused while no gateway runs, and for publishers that do not exist.
    static func replaysWhatIsAskedFor(_ site: Site, capture: String) async throws {
        let replay = JournalReplay(folder: site.gateway.stateFolder)
        let range = JournalRange(from: .position(3), to: .position(6))
        #expect(throws: JournalReplay.Refusal.self) { try replay.run(publisher: "p", range) }
        let before = try lines(in: capture)
        try await run(site) {
            #expect(throws: JournalReplay.Refusal.self) { try replay.run(publisher: "q", range) }
            #expect(throws: JournalReplay.Refusal.self) {
                try replay.run(publisher: "p", JournalRange(from: .position(1 << 40)))
            }
            #expect(try replay.run(publisher: "p", range) == 4)
            let status = try JournalReport(folder: site.gateway.stateFolder, settings: site.buffer)
            #expect(String(decoding: status.json, as: UTF8.self).contains(#""running":true"#))
            try await waitForLines(before + 5, in: capture)
        }
        try await Task.sleep(for: .milliseconds(300))
    }

    static func subscriber(port: Int, capture: String) throws -> Process {
        _ = FileManager.default.createFile(atPath: capture, contents: nil)
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [
            "mosquitto_sub", "-h", "127.0.0.1", "-p", "\(port)", "-q", "1", "-t", "headgate/v1/g/r/#", "-t",
            "headgate/v1/g/gap/#",
            "-t", "headgate/v1/g/gap",
        ]
        process.standardOutput = try FileHandle(forWritingTo: URL(fileURLWithPath: capture))
        try process.run()
        return process
    }

    static func lines(in capture: String) throws -> Int {
        try String(contentsOfFile: capture, encoding: .utf8).split(separator: "\n").count
    }

    /// Waits until so many documents have arrived; the time limit of the test is the only bound.
    static func waitForLines(_ count: Int, in capture: String) async throws {
        while try lines(in: capture) < count { try await Task.sleep(for: .milliseconds(50)) }
    }

    /// Runs the gateway, and `body` from when it is ready.
    static func run(
        _ site: Site, changes: AsyncStream<Site> = AsyncStream { _ in }, _ body: () async throws -> Void
    ) async throws {
        try await withGateway(site, changes: changes) {
            try await Task.sleep(for: .milliseconds(500))
            try await body()
        }
    }

    static func verify(_ capture: String) throws {
        struct Row: Decodable {
            struct Reading: Decodable {
                var value: Double?
                var n: Int
            }
            var schema: String
            var epoch: Int
            var seq: Int
            var readings: [Reading]?
        }
        let lines = try String(contentsOfFile: capture, encoding: .utf8).split(separator: "\n")
        let rows = try lines.map { try JSONDecoder().decode(Row.self, from: Data($0.utf8)) }
        let positions = Set(rows.map(\.seq)).sorted()
        #expect(positions.count > 5 && positions == (0..<positions.count).map { $0 + 1 }, "every position arrives")
        #expect(Set(rows.map(\.epoch)) == [1, 2])
        let readings = rows.flatMap { $0.readings ?? [] }
        #expect(readings.count > 5)
        #expect(readings.allSatisfy { $0.value == 42.5 })
        #expect(rows.contains { $0.schema == "gap/1" }, "the restart is told by a gap record")
    }
}
