import Engine
import Foundation
import Gateway
import Model
import Profiles
import Simulator
import Testing

/// Points that are found at run time, with devices on the wire that libmodbus answers for.
@Suite(.serialized, .timeLimit(.minutes(2))) struct SunSpecTests {
    private static let profile = """
        profile: test/inverter
        title: Inverter
        manufacturer: Test
        model: Inverter
        source: "the test that reads it"
        sunspec: [1, 103, 123, 160]
        defaults: {every: 100ms}
        """

    private static let site = """
        gateway: {id: gw, owner: ops, state: STATE}
        profiles: [./profiles]
        connections:
          c: {tcp: 127.0.0.1:PORT, timeout: 500ms}
        devices:
          inv: {profile: test/inverter, connection: c, unit: 1, owner: ops}
        publish:
          plant: {mqtt: "mqtt://127.0.0.1:1"}
        commands:
          issuers: {alice: {category: operator}}
          policies:
            limit: {points: ["inv/controls_power_limit"], allow: [alice], fallback: 100}
        """

    private static let shipped = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("../../Devices").standardizedFileURL.path

    private let folder: SiteFolder

    init() throws {
        folder = try SiteFolder(profiles: ["test/inverter": Self.profile])
    }

    private func load(port: Int) throws -> Site {
        try folder.load(Self.site, port: port, shippedProfiles: Self.shipped)
    }

    /// A unit that holds these registers and refuses all others.
    private static func unit(_ words: [Int: UInt16]) -> SimulatedUnit {
        let points = words.keys.sorted().map { address in
            Point(
                name: "r\(address)", table: .holding, protocolAddress: UInt16(address),
                encoding: Encoding(type: .uint16), kind: .setpoint, write: WriteRule(mode: .single))
        }
        let unit = SimulatedUnit(points: points)
        for (address, word) in words { unit.set("r\(address)", .int(Int64(word))) }
        return unit
    }

    /// A chain as inverters hold it, with 9870 W in model 103 and one string of 8.43 A in model 160 with `strings` blocks.
    private static func inverter(base: Int, common: Int, strings: Int = 2, hasControls: Bool = true) -> [Int: UInt16] {
        var words = [base: UInt16(0x5375), base + 1: 0x6E53]
        var next = base + 2
        func add(_ id: UInt16, _ length: Int, _ values: [Int: UInt16]) {
            for offset in 2..<(2 + length) { words[next + offset] = values[offset] ?? 0xFFFF }
            (words[next], words[next + 1]) = (id, UInt16(length))
            next += 2 + length
        }
        add(1, common, [2: 0x4163, 3: 0x6D65, 4: 0])
        add(103, 50, [14: 0x03DB, 15: 1])
        if hasControls { add(123, 24, [5: 100, 23: 0]) }
        add(160, 8 + strings * 20, [2: 0xFFFE, 3: 0xFFFF, 4: 0, 5: 0, 8: UInt16(strings), 19: 843])
        (words[next], words[next + 1]) = (0xFFFF, 0)
        return words
    }

    private struct Missing: Error { var words: String, text: String }

    /// Asks through the running gateway until the answer contains `words`.
    private func wait(for words: String, _ ask: () async -> String) async throws {
        var text = ""
        for _ in 0..<200 {
            text = await ask()
            if text.contains(words) { return }
            try await Task.sleep(for: .milliseconds(50))
        }
        throw Missing(words: words, text: text)
    }

    private func overview() -> String { (try? DeviceOverview.ask(stateFolder: folder.path).text) ?? "" }

    private func read(_ site: Site) async -> String {
        switch await AdHocRead(site: site).run("inv") {
        case .document(let text), .failure(let text): text
        }
    }

    @Test func modelsAreFoundPolledRememberedAndFoundAnew() async throws {
        defer { folder.remove() }
        var field = try TCPSimulator(port: 0, units: [1: Self.unit(Self.inverter(base: 40_000, common: 65))])
        let port = field.port
        let site = try load(port: port)
        try await withGateway(site) {
            try await wait(for: "inv: models 1, 103, 123, 160 from 40000", overview)
            try await wait(for: #""point":"inv/inverter_power_total","#) { await read(site) }
            #expect(await read(site).contains("9870"))
            #expect(await read(site).contains(#""inv/mppt_2_current""#))
            // Another firmware: everything behind the first model one register further on, controls gone, a third string.
            field.stop()
            field = try TCPSimulator(
                port: port,
                units: [1: Self.unit(Self.inverter(base: 50_000, common: 66, strings: 3, hasControls: false))])
            try await wait(for: "inv: models 1, 103, 160 from 50000; the profile also wants 123", overview)
            try await wait(for: #""inv/mppt_3_current""#) { await read(site) }
            try await wait(for: "9870") { await read(site) }
        }
        field.stop()
        // Without the device: its points are known all the same.
        try await withGateway(site) {
            try await wait(for: "offline", overview)
            #expect(overview().contains("inv: models 1, 103, 160 from 50000"))
            #expect(await read(site).contains(#""inv/mppt_3_current""#))
        }
    }

    @Test func aDeviceThatIsDeadAtTheStartIsFoundWhenItComes() async throws {
        defer { folder.remove() }
        let unused = try TCPSimulator(port: 0, units: [:])
        let port = unused.port
        unused.stop()
        let site = try load(port: port)
        try await withGateway(site) {
            try await wait(for: "inv: its models are not known: it does not answer (comm_down)", overview)
            let field = try TCPSimulator(port: port, units: [1: Self.unit(Self.inverter(base: 0, common: 66))])
            defer { field.stop() }
            try await wait(for: "inv: models 1, 103, 123, 160 from 0", overview)
            try await wait(for: "9870") { await read(site) }
        }
    }

    @Test func aPolicyOverPointsThatAreFoundLaterIsCheckedAndWorks() async throws {
        defer { folder.remove() }
        let unit = Self.unit(Self.inverter(base: 40_000, common: 66))
        let field = try TCPSimulator(port: 0, units: [1: unit])
        defer { field.stop() }
        let site = try load(port: field.port)
        try await withGateway(site) {
            try await wait(for: "9870") { await read(site) }
            // Polled for what was found; the desk of the commands is set up anew for it, and hears of the point after that.
            try await wait(for: "inv     online", overview)
            try await Task.sleep(for: .milliseconds(500))
            var verdict = ""
            for number in UInt64(1)...50 {
                let draft = CommandDraft(target: "inv/controls_power_limit", action: .set, value: "60")
                let id = CommandID(high: 1, low: number)
                let command = try draft.command(id: id, site: site, as: "alice", at: SystemClock().utc)
                do {
                    let report = try DeskClient(stateFolder: folder.path).send(command, as: "alice")
                    verdict = report.verdict
                    if report.state != .rejected { break }
                } catch DeskProblem.refused(code: "not_ready", message: _) {
                    verdict = "the desk is being set up"
                }
                try await Task.sleep(for: .milliseconds(100))
            }
            #expect(verdict.contains("verified"), "\(verdict)")
            #expect(unit.writes.map(\.words) == [[60]] && unit.writes.map(\.span.start) == [40_127])
        }
    }

    @Test func aChainWithoutAnEndMarkIsNamed() async throws {
        defer { folder.remove() }
        var words = Self.inverter(base: 40_000, common: 66)
        let end = try #require(words.keys.max())
        (words[end], words[end - 1]) = (nil, nil)
        let field = try TCPSimulator(port: 0, units: [1: Self.unit(words)])
        defer { field.stop() }
        try await withGateway(try load(port: field.port)) {
            try await wait(for: "inv: models 1, 103, 123, 160 from 40000, without an end mark", overview)
        }
    }

    @Test func aReadWithoutAGatewayFindsTheModelsItself() async throws {
        defer { folder.remove() }
        let field = try TCPSimulator(port: 0, units: [1: Self.unit(Self.inverter(base: 50_000, common: 65))])
        defer { field.stop() }
        #expect(await read(try load(port: field.port)).contains("9870"))
    }

    @Test(arguments: [
        ("no mark", [40_000: UInt16(0x5375), 40_001: 1], "there is no mark SunS at holding 40000, 50000, 0"),
        ("no model", [40_000: 0x5375, 40_001: 0x6E53], "there is no model behind the mark at holding 40000"),
        (
            "too long", [40_000: 0x5375, 40_001: 0x6E53, 40_002: 1, 40_003: 65_000],
            "model 1 of 65000 registers at 40002 leads beyond the last address"
        ),
    ])
    func aDeviceWhoseModelsMakeNoSenseIsToldAndNotPolled(
        name: String, words: [Int: UInt16], problem: String
    ) async throws {
        defer { folder.remove() }
        let field = try TCPSimulator(port: 0, units: [1: Self.unit(words)])
        defer { field.stop() }
        let site = try load(port: field.port)
        #expect(await read(site) == "inv: \(problem)")
        try await withGateway(site) { try await wait(for: "inv: its models are not known: \(problem)", overview) }
    }

    @Test func theSimulatorOfAProfileHoldsAChainThatIsFound() async throws {
        defer { folder.remove() }
        let library = ProfileLibrary(folders: [folder.path + "/profiles", Self.shipped])
        let profile = try #require(library.load("test/inverter").value)
        let field = try TCPSimulator(port: 0, units: [1: SimulatedUnit(profile: profile)])
        defer { field.stop() }
        let text = await read(try load(port: field.port))
        #expect(text.contains(#""inv/inverter_power_total""#) && text.contains(#""inv/mppt_1_voltage""#), "\(text)")
        #expect(!text.contains(#""reasons":["waiting"]"#), "every scale is there")
    }
}
