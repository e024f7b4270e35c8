import Engine
import Foundation
import Gateway
import Model
import Simulator
import Testing

@Suite struct DeviceMemoryTests {
    static let connection = Connection(name: "c", channel: .tcp(Endpoint(host: "10.0.0.5", port: 502)))

    static func identity(profile: String = "p/q", revision: Int = 1, unit: UInt8 = 1) -> DeviceIdentity {
        DeviceIdentity(
            Device(
                id: "d", profile: profile, revision: revision, connection: "c", unit: unit, owner: "o", points: []),
            on: connection)
    }

    static let learned = LearnedAddresses(
        refused: [RegisterSpan(table: .input, start: 7, registerCount: 2)],
        cuts: [RegisterCut(table: .input, address: 7), RegisterCut(table: .input, address: 9)], registerLimit: 32,
        bitLimit: 200)

    @Test func whatWasLearnedComesBackForTheSameDeviceOnly() throws {
        let folder = try Folder()
        defer { folder.remove() }
        var file = DeviceMemory<LearnedAddresses>(stateFolder: folder.path)
        try file.keep([Self.identity(): Self.learned])
        let again = DeviceMemory<LearnedAddresses>(stateFolder: folder.path)
        #expect(again.damage == nil)
        #expect(again[Self.identity()] == Self.learned)
        for other in [Self.identity(profile: "p/r"), Self.identity(revision: 2), Self.identity(unit: 2)] {
            #expect(again[other] == nil)
        }
    }

    @Test func aNewRevisionOfTheProfileMakesTheOldOneForgotten() throws {
        let folder = try Folder()
        defer { folder.remove() }
        var file = DeviceMemory<LearnedAddresses>(stateFolder: folder.path)
        try file.keep([Self.identity(): Self.learned, Self.identity(unit: 2): Self.learned])
        try file.keep([Self.identity(revision: 2): LearnedAddresses()])
        let again = DeviceMemory<LearnedAddresses>(stateFolder: folder.path)
        #expect(again[Self.identity()] == nil)
        #expect(again[Self.identity(unit: 2)] == Self.learned)
    }

    @Test func aDamagedFileIsToldAndReplaced() throws {
        let folder = try Folder()
        defer { folder.remove() }
        try Data("{\"schema\":\"learned/1\",\"dev".utf8).write(
            to: URL(fileURLWithPath: folder.path + "/" + LearnedAddresses.fileName))
        var file = DeviceMemory<LearnedAddresses>(stateFolder: folder.path)
        #expect(file.damage != nil)
        try file.keep([Self.identity(): Self.learned])
        #expect(DeviceMemory<LearnedAddresses>(stateFolder: folder.path)[Self.identity()] == Self.learned)
    }
}

@Suite struct RefusalAdviceTests {
    @Test func whatDevicesRefuseIsYAMLForTheirProfile() throws {
        let document = """
            {"devices":[
            {"id":"m1","profile":"acme/m","revision":3,"limits":{"registers":31,"gap":0},
             "refused":[{"table":"input","address":348,"count":2,"points":["energy_l1"]}]},
            {"id":"m2","profile":"acme/m","revision":3,"limits":{"registers":50},"refused":[]},
            {"id":"m3","profile":"acme/n","revision":1,"refused":[]},
            {"id":"m4","profile":"acme/o","revision":1,"refused":[],"cuts":[{"table":"input","address":18}]}]}
            """
        let overview = DeviceOverview(document: try JSONValue(parsing: Array(document.utf8)))
        #expect(
            overview.refusedText == """
                # profile acme/m, revision 3
                # found out with all 2 devices; merge with what 'limits' has:
                limits: {registers: 31, gap: 0}
                # take out, or correct, below 'points:'
                #  energy_l1: {table: input, address: 348}  # refused by m1

                # profile acme/o, revision 1
                # m4 refuses some requests and gives their parts: they begin anew at input 18
                """)
        #expect(overview.text.contains("m4: refuses larger requests around input 18"))
        #expect(overview.text.contains("m1: refuses input 348…349 (energy_l1); has limits {registers: 31, gap: 0}"))
        #expect(overview.text.contains("m2: has limits {registers: 50}"))
    }
}

struct Folder {
    let path = NSTemporaryDirectory() + "/hg-\(UUID().uuidString)"

    init() throws {
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    func remove() { try? FileManager.default.removeItem(atPath: path) }
}

/// `headgate devices` against a running gateway and simulated devices, one of them silent.
@Suite(.serialized) struct DevicesTests {
    static func point(_ name: String, _ address: UInt16) -> Point {
        Point(
            name: name, table: .holding, protocolAddress: address, encoding: Encoding(type: .uint16),
            every: .milliseconds(100))
    }

    static func site(port: Int, folder: String) -> Site {
        func device(_ id: String, _ unit: UInt8) -> Device {
            Device(
                id: id, profile: "p/q", revision: 3, connection: "c", unit: unit, owner: "o",
                points: [point("there", 0), point("missing", 1)])
        }
        return Site(
            gateway: GatewayIdentity(id: "g", owner: "o", stateFolder: folder),
            connections: [
                Connection(
                    name: "c", channel: .tcp(Endpoint(host: "127.0.0.1", port: port)), timeout: .milliseconds(100))
            ],
            devices: [device("good", 1), device("dead", 2)], publishers: [])
    }

    @Test(.timeLimit(.minutes(1)))
    func whatADeviceRefusesIsShownAndNotAskedForAfterARestart() async throws {
        let folder = try Folder()
        defer { folder.remove() }
        // The simulated units know one of the two points only, and refuse the other.
        let units = [UInt8(1), 2].map { ($0, SimulatedUnit(points: [Self.point("there", 0)])) }
        let field = try TCPSimulator(port: 0, units: Dictionary(uniqueKeysWithValues: units))
        defer { field.stop() }
        field.faults.set(.silence, unit: 2)
        let site = Self.site(port: field.port, folder: folder.path)
        for _ in 1...2 {
            let overview = try await withGateway(site) {
                try await Self.waitFor { try DeviceOverview.ask(stateFolder: folder.path) }
            }
            let text = overview.text
            #expect(text.contains("good: refuses holding 1 (missing)"), "\(text)")
            #expect(text.contains("dead: does not answer"), "\(text)")
            #expect(
                overview.refusedText.contains("#  missing: {table: holding, address: 1}  # refused by good"),
                "\(overview.refusedText)")
        }
        let kept = DeviceMemory<LearnedAddresses>(stateFolder: folder.path)[
            DeviceIdentity(site.devices[0], on: site.connections[0])]
        #expect(kept?.refused == [RegisterSpan(table: .holding, start: 1, registerCount: 1)])
        #expect(throws: DeskProblem.noGateway(folder: folder.path)) {
            try DeviceOverview.ask(stateFolder: folder.path)
        }
    }

    @Test(.timeLimit(.minutes(1)))
    func howMuchADeviceGivesAtOnceIsFoundOutAndKeptOverARestart() async throws {
        let folder = try Folder()
        defer { folder.remove() }
        let points = (UInt16(0)..<100).map { Self.point("r\($0)", $0) }
        let field = try TCPSimulator(port: 0, units: [1: SimulatedUnit(points: points)])
        defer { field.stop() }
        field.faults.set(.most(32), unit: 1)
        var site = Self.site(port: field.port, folder: folder.path)
        site.devices = [site.devices[0]]
        site.devices[0].points = points
        for _ in 1...2 {
            let overview = try await withGateway(site) {
                for _ in 0..<200 {
                    let overview = try? DeviceOverview.ask(stateFolder: folder.path)
                    if let overview, overview.text.contains("has limits") { return overview }
                    try await Task.sleep(for: .milliseconds(50))
                }
                return try DeviceOverview.ask(stateFolder: folder.path)
            }
            #expect(overview.text.contains("good: has limits {registers: 25}"), "\(overview.text)")
            #expect(overview.refusedText.contains("limits: {registers: 25}"))
        }
        let kept = DeviceMemory<LearnedAddresses>(stateFolder: folder.path)[
            DeviceIdentity(site.devices[0], on: site.connections[0])]
        #expect(kept == LearnedAddresses(registerLimit: 25))
    }

    /// Asks until both devices have been polled often enough to be judged.
    private static func waitFor(_ ask: @Sendable () throws -> DeviceOverview) async throws -> DeviceOverview {
        for _ in 0..<100 {
            let overview = try? ask()
            if let overview, overview.text.contains("degraded"), overview.text.contains("offline") { return overview }
            try await Task.sleep(for: .milliseconds(50))
        }
        return try ask()
    }
}
