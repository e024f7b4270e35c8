import Console
import Dispatch
import Engine
import Foundation
import Gateway
import Model
import Profiles
import Simulator
import Synchronization
import Testing

/// Tools at the shell through a running gateway, over a simulated line and over TCP.
@Suite(.serialized, .timeLimit(.minutes(2))) struct ToolsTests {
    /// A gateway that polls unit 3 of a line on which 17 and 42 are, too, and a unit over TCP.
    struct Rig {
        let folder: String
        let terminal: PseudoTerminal
        let line: SerialLine
        let units: [UInt8: SimulatedUnit]
        let field: SerialSimulator
        let tcp: TCPSimulator
        let site: Site

        init(_ kinds: [UInt8: String] = ScanTests.three) throws {
            folder = NSTemporaryDirectory() + "/hg-\(UUID().uuidString.prefix(8))"
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            terminal = try PseudoTerminal()
            line = SerialLine(path: terminal.slavePath, baud: 19_200)
            units = try ScanTests.units(kinds)
            field = try SerialSimulator(line: line, descriptor: terminal.master, units: units)
            let point = Point(name: "p", table: .holding, protocolAddress: 7, encoding: Encoding(type: .uint16))
            tcp = try TCPSimulator(port: 0, units: [9: SimulatedUnit(points: [point])])
            let meter = try #require(ScanTests.profiles.first { $0.id == "abb/b23" })
            let endpoint = Endpoint(host: "127.0.0.1", port: tcp.port)
            site = Site(
                gateway: GatewayIdentity(id: "g", owner: "o", stateFolder: folder),
                connections: [
                    Connection(name: "bus-a", channel: .serial(line), timeout: .milliseconds(100)),
                    Connection(name: "hall", channel: .tcp(endpoint), timeout: .milliseconds(200)),
                ],
                devices: [
                    Device(
                        id: "meter", profile: "abb/b23", revision: 1, connection: "bus-a", unit: 3, owner: "o",
                        limits: meter.limits, points: meter.points),
                    Device(
                        id: "pump", profile: "p/q", revision: 1, connection: "hall", unit: 9, owner: "o",
                        points: [point]),
                ], publishers: [])
        }

        func stop() {
            field.stop()
            tcp.stop()
            terminal.close()
            try? FileManager.default.removeItem(atPath: folder)
        }

        /// Asks on a thread of its own, since it waits.
        func ask(_ request: ToolRequest) async -> (outcome: ToolClient.Outcome, trace: [String], steps: Int) {
            await ToolsTests.onThread {
                var trace: [String] = []
                var steps = 0
                let outcome = ToolClient(stateFolder: folder).run(request) {
                    switch $0 {
                    case .trace(let line): trace.append(line)
                    case .progress: steps += 1
                    }
                }
                return (outcome, trace, steps)
            }
        }

        var meter: JSONValue? {
            get async {
                let text = await ToolsTests.onThread { ControlClient(stateFolder: folder).ask("devices") } ?? ""
                return (try? JSONValue(parsing: Array(text.utf8)))?["devices"]?.elements.first
            }
        }

        func waitForMeter(_ state: String) async throws {
            while await meter?["state"]?.text != state { try await Task.sleep(for: .milliseconds(50)) }
        }

        var writeCount: Int { units.values.reduce(0) { $0 + $1.writes.count } }
    }

    static func onThread<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async -> Value {
        await withCheckedContinuation { continuation in
            Thread { continuation.resume(returning: body()) }.start()
        }
    }

    static func order(
        _ units: ClosedRange<UInt8>, bauds: [Int]? = nil, formats: [String]? = nil, pause: Bool = false
    ) -> ScanOrder {
        ScanOrder(
            units: Array(units), bauds: bauds, formats: formats?.compactMap(SerialFormat.init(name:)),
            timeout: .milliseconds(30), pausesPolling: pause)
    }

    static func running(_ body: (Rig) async throws -> Void) async throws {
        let rig = try Rig()
        defer { rig.stop() }
        try await MainJobTests.run(rig.site) {
            try await rig.waitForMeter("online")
            try await body(rig)
        }
    }

    @Test func aScanGoesBetweenThePollsAndNamesWhatIsConfigured() async throws {
        try await Self.running { rig in
            let polls = try #require(await rig.meter?["polls"]?.integer(in: 0...Int64.max))
            let answer = await rig.ask(ToolRequest(.scan(Self.order(1...45)), connection: rig.line.path))
            guard case .result(let result) = answer.outcome else {
                Issue.record("\(answer.outcome)")
                return
            }
            let report = try JSONValue(parsing: Array((result["json"]?.text ?? "").utf8))
            #expect(report["units"]?.elements.map { $0["unit"]?.integer(in: 0...255) } == [3, 17, 42])
            #expect(report["units"]?.elements.map { $0["device"]?.text } == ["meter", nil, nil])
            #expect(result["text"]?.text?.contains("siemens/mag6000") == true)
            #expect(answer.steps == 45)
            let meter = try #require(await rig.meter)
            #expect(meter["polls"]?.integer(in: 0...Int64.max) ?? 0 >= polls + 3, "it was polled meanwhile")
            #expect(meter["failed_polls"] == .integer(0), "\(meter)")
            #expect(meter["missed_polls"] == .integer(0), "\(meter)")
            #expect(rig.writeCount == 0, "a scan never writes")
        }
    }

    @Test func otherSettingsNeedThePollsToRestWhichThenGoOn() async throws {
        try await Self.running { rig in
            let refused = await rig.ask(ToolRequest(.scan(Self.order(1...4, bauds: [9600])), connection: "bus-a"))
            guard case .failure(let reason) = refused.outcome else {
                Issue.record("\(refused.outcome)")
                return
            }
            #expect(reason.contains("--pause-polling") && reason.contains("19200 8E1"))
            let order = Self.order(1...45, bauds: [9600, 19_200], formats: ["8N1", "8E1"], pause: true)
            async let scanned = rig.ask(ToolRequest(.scan(order), connection: "bus-a"))
            try await rig.waitForMeter("offline")
            #expect(await rig.meter?["trouble"]?.text == "out_of_service")
            guard case .result(let result) = await scanned.outcome else {
                Issue.record("no result")
                return
            }
            #expect(result["text"]?.text?.contains("at 19200 8E1: 3 units") == true, "\(result)")
            try await rig.waitForMeter("online")
            #expect(
                await rig.meter?["missed_polls"]?.integer(in: 0...Int64.max) ?? 0 > 0,
                "polls that rested are counted, and told as gaps")
        }
    }

    /// Else what polls the line anew would fight with the scan for the port.
    @Test func pollsRestAlsoWhenTheSiteFileChangesDuringAScan() async throws {
        let rig = try Rig()
        defer { rig.stop() }
        let (changes, change) = AsyncStream.makeStream(of: Site.self)
        try await MainJobTests.run(rig.site, changes: changes) {
            try await rig.waitForMeter("online")
            let order = Self.order(1...45, bauds: [4800, 9600, 19_200], formats: ["8N1", "8E1"], pause: true)
            async let scanned = rig.ask(ToolRequest(.scan(order), connection: "bus-a"))
            try await rig.waitForMeter("offline")
            var changed = rig.site
            changed.connections[0].timeout = .milliseconds(150)
            change.yield(changed)
            try await Task.sleep(for: .milliseconds(2500))
            #expect(await rig.meter?["trouble"]?.text == "out_of_service", "and not that the port is taken")
            guard case .result(let result) = await scanned.outcome else {
                Issue.record("no result")
                return
            }
            #expect(result["text"]?.text?.contains("at 19200 8E1: 3 units") == true, "\(result)")
            try await rig.waitForMeter("online")
        }
    }

    /// What a scan between polls says when the site file becomes `changed` in its middle.
    private static func scan(
        _ rig: Rig, _ changed: Site, _ change: AsyncStream<Site>.Continuation
    ) async throws -> JSONValue? {
        try await rig.waitForMeter("online")
        async let scanned = rig.ask(ToolRequest(.scan(order(1...45)), connection: "bus-a"))
        try await Task.sleep(for: .milliseconds(700))
        change.yield(changed)
        guard case .result(let result) = await scanned.outcome else { return nil }
        return result
    }

    @Test func aScanBetweenPollsGoesOnWhenTheSiteFileChanges() async throws {
        let rig = try Rig()
        defer { rig.stop() }
        let (changes, change) = AsyncStream.makeStream(of: Site.self)
        var changed = rig.site
        changed.connections[0].timeout = .milliseconds(150)
        var added = changed.devices[0]
        (added.id, added.unit) = ("flow", 17)
        changed.devices.append(added)
        try await MainJobTests.run(rig.site, changes: changes) {
            let result = try #require(await Self.scan(rig, changed, change))
            #expect(result["failure"] == nil, "\(result)")
            #expect(result["text"]?.text?.contains("3 units") == true, "\(result)")
            #expect(result["text"]?.text?.contains("flow") == true, "what it is called now: \(result)")
            try await rig.waitForMeter("online")
        }
    }

    @Test func aScanBetweenPollsSaysThatItsLineIsAnotherOneNow() async throws {
        let rig = try Rig()
        defer { rig.stop() }
        let (changes, change) = AsyncStream.makeStream(of: Site.self)
        var changed = rig.site
        changed.connections[0].channel = .serial(SerialLine(path: rig.line.path, baud: 9600))
        try await MainJobTests.run(rig.site, changes: changes) {
            let result = try #require(await Self.scan(rig, changed, change))
            #expect(result["failure"]?.text?.contains("the site file was changed: bus-a") == true, "\(result)")
        }
    }

    /// A device of which the models are looked for: many requests in a row, and a scan that wants the line in their middle.
    @Test func pollsThatRestWhileADeviceIsAskedForItsModelsLeaveTheLineAlone() async throws {
        let rig = try Rig(ScanTests.three.merging([5: "sunspec/any"]) { $1 })
        defer { rig.stop() }
        let solar = try #require(ScanTests.profiles.first { $0.id == "sunspec/any" })
        var site = rig.site
        site.devices[0] = Device(
            id: "meter", profile: solar.id, revision: 1, connection: "bus-a", unit: 5, owner: "o",
            limits: solar.limits, identity: solar.identity, points: [], sunSpec: solar.sunSpec)
        rig.field.faults.set(.delay(.milliseconds(80)), unit: 5)
        try await MainJobTests.run(site) {
            while await rig.meter?["discovery"]?.text != "pending" { try await Task.sleep(for: .milliseconds(10)) }
            try await Task.sleep(for: .milliseconds(300))
            let order = Self.order(1...45, bauds: [9600, 19_200], formats: ["8N1", "8E1"], pause: true)
            let answer = await rig.ask(ToolRequest(.scan(order), connection: "bus-a"))
            guard case .result(let result) = answer.outcome else {
                Issue.record("\(answer.outcome)")
                return
            }
            #expect(result["failure"] == nil, "the port is free: \(result)")
            // It is too slow for the scan, which finds the others.
            #expect(result["text"]?.text?.contains("at 19200 8E1: 3 units") == true, "\(result)")
            while await rig.meter?["discovery"]?.text != "found" { try await Task.sleep(for: .milliseconds(50)) }
            try await rig.waitForMeter("online")
        }
    }

    @Test func aScanNamesTheProfilesOfTheSiteToo() async throws {
        let rig = try Rig()
        defer { rig.stop() }
        let own = rig.folder + "/profiles/acme"
        try FileManager.default.createDirectory(atPath: own, withIntermediateDirectories: true)
        let shipped = try #require(ScanTests.library.files.first { $0.id == "abb/b23" })
        let text = try String(contentsOfFile: shipped.path, encoding: .utf8)
        try text.replacingOccurrences(of: "profile: abb/b23", with: "profile: acme/b23")
            .write(toFile: own + "/b23.yaml", atomically: true, encoding: .utf8)
        var site = rig.site
        site.profileFolders = [rig.folder + "/profiles"]
        try await MainJobTests.run(site) {
            try await rig.waitForMeter("online")
            let answer = await rig.ask(ToolRequest(.scan(Self.order(3...3)), connection: "bus-a"))
            guard case .result(let result) = answer.outcome else {
                Issue.record("\(answer.outcome)")
                return
            }
            #expect(result["text"]?.text?.contains("acme/b23") == true, "\(result)")
        }
    }

    @Test func aClientThatDiesEndsItsScanAndThePollsGoOn() async throws {
        try await Self.running { rig in
            let order = Self.order(1...247, bauds: [1200], pause: true)
            let line = ToolRequest(.scan(order), connection: "bus-a").line
            let folder = rig.folder
            let end = await Self.onThread {
                var steps = 0
                return ControlClient(stateFolder: folder).follow(line) { _ in
                    steps += 1
                    return steps < 3
                }
            }
            #expect(end == .done)
            let begun = ContinuousClock.now
            try await rig.waitForMeter("online")
            #expect(begun.duration(to: .now) < .seconds(20), "the whole scan would take minutes")
        }
    }

    @Test func aProbeGoesThroughTheGateway() async throws {
        try await Self.running { rig in
            let span = RegisterSpan(table: .holding, start: 7, registerCount: 1)
            let answer = await rig.ask(ToolRequest(.probe(span, unit: 9), connection: "hall", isTraced: true))
            guard case .result(let words) = answer.outcome else {
                Issue.record("\(answer.outcome)")
                return
            }
            #expect(words.elements.count == 1)
            #expect(answer.trace.contains { $0.contains("> unit 9 tx ") && $0.contains("read holding registers 7") })
            let nowhere = RegisterSpan(table: .input, start: 7, registerCount: 1)
            let refused = await rig.ask(ToolRequest(.probe(nowhere, unit: 9), connection: "hall"))
            guard case .failure(let reason) = refused.outcome else {
                Issue.record("\(refused.outcome)")
                return
            }
            #expect(reason.hasPrefix("unit 9 refuses input"), "\(reason)")
            let elsewhere = await rig.ask(ToolRequest(.probe(span, unit: 9), connection: "nowhere"))
            #expect(elsewhere.outcome == .elsewhere)
        }
        let nobody = ToolClient(stateFolder: "/nonexistent").run(ToolRequest(.trace(seconds: 1), connection: "x"))
        #expect(nobody == .elsewhere)
    }

    @Test(arguments: [("bus-a", "unit 3 read holding"), ("hall", "unit 9 tx ")])
    func aTraceShowsWhatIsSaid(connection: String, words: String) async throws {
        try await Self.running { rig in
            let answer = await rig.ask(ToolRequest(.trace(seconds: 2), connection: connection))
            #expect(answer.outcome == .result(.compact([("seconds", .integer(2))])))
            let sent = answer.trace.count { $0.contains(" > " + words) }
            let answered = answer.trace.count { $0.contains(" < " + words) && $0.contains(" ms) | ") }
            #expect(sent >= 1 && abs(sent - answered) <= 1, "\(answer.trace)")
        }
    }

    @Test func aReadWithATraceShowsItsRequests() async throws {
        try await Self.running { rig in
            let answer = await rig.ask(ToolRequest(.read(device: "pump"), connection: "", isTraced: true))
            guard case .result(let document) = answer.outcome else {
                Issue.record("\(answer.outcome)")
                return
            }
            #expect(document.text?.contains("pump/p") == true)
            #expect(answer.trace.count >= 2)
        }
    }

    @Test func aPortThatAnotherProgramHoldsIsNotScanned() async throws {
        try await Self.running { rig in
            let connection = Connection(name: "l", channel: .serial(rig.line))
            let report = try await ScanTests.scan(connection, units: [1, 2, 3])
            #expect(report.failure?.contains("in use by") == true, "\(report)")
            #expect(report.units.isEmpty)
        }
    }

    @Test(
        arguments: [
            ToolRequest(.trace(seconds: 7), connection: "bus-a"),
            ToolRequest(.read(device: "x"), connection: "", isTraced: true),
            ToolRequest(.probe(RegisterSpan(table: .coil, start: 9, registerCount: 3), unit: 2), connection: "h:1"),
            ToolRequest(.scan(order(1...3, bauds: [9600], formats: ["8N1"], pause: true)), connection: "/dev/ttyS1"),
            ToolRequest(.scan(order(7...7)), connection: "bus-a"),
        ])
    func aRequestIsReadAsItWasWritten(request: ToolRequest) {
        #expect(ToolRequest(line: request.line) == request)
    }

    @Test(
        arguments: [
            "tool", "tool {", "tool {}", #"tool {"do":"scan"}"#, #"tool {"do":"scan","units":[300]}"#,
            #"tool {"do":"probe","table":"x","address":1,"count":1,"unit":1}"#,
            #"tool {"do":"probe","table":"coil","address":70000,"count":1,"unit":1}"#,
        ])
    func junkIsNoRequest(line: String) {
        #expect(ToolRequest(line: line) == nil)
    }
}
