import ArgumentParser
import Foundation
import Gateway
import Model
import Profiles
import Simulator
import Testing

@testable import headgate

/// The whole way of an import: the file of another program, `profile import`, `check`, a simulated device, a reading.
@Suite(.serialized, .timeLimit(.minutes(1))) struct ImportTests {
    struct Way: CustomTestStringConvertible, Sendable {
        var format: String
        var files: [String]
        var options: [String] = []
        var exitCode: Int32 = 0

        var testDescription: String { "\(format) \(files[0])" }
    }

    static let fixtures = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("../Fixtures/import").standardizedFileURL.path

    static let ways = [
        Way(format: "sunspec", files: ["inverter-103/model_1.json", "inverter-103/model_103.json"]),
        Way(format: "csv", files: ["server-export/packing-line.csv"], options: ["--order", "CDAB"], exitCode: 2),
        Way(
            format: "csv", files: ["register-list/pump.csv"],
            options: [
                "--columns",
                "name=Bezeichnung,address=Register,table=Function,type=Format,scale=Faktor,unit=Einheit", "--name",
                "acme/pump",
            ], exitCode: 2),
        Way(format: "home-assistant", files: ["plant/configuration.yaml"], exitCode: 2),
        Way(format: "telegraf", files: ["register/telegraf.conf"], options: ["--owner", "me"]),
        Way(format: "telegraf", files: ["two-lines/telegraf.conf"], exitCode: 2),
        Way(format: "telegraf", files: ["metric/telegraf.conf"], exitCode: 2),
        Way(
            format: "edgex", files: ["coolmasternet/modbus.test.device.profile.yml"],
            options: ["--devices", "coolmasternet/modbus.test.devices.yaml"]),
        Way(format: "thingsboard", files: ["energy/modbus_energy.json"]),
    ]

    private static func run(_ words: [String]) -> Int32 {
        do {
            var command = try Headgate.parseAsRoot(words)
            try command.run()
            return 0
        } catch {
            return Headgate.exitCode(for: error).rawValue
        }
    }

    private static func path(_ way: Way, _ file: String) -> String { "\(fixtures)/\(way.format)/\(file)" }

    private static func words(_ way: Way, output: String) -> [String] {
        let options = way.options.enumerated().map { index, word in
            index > 0 && way.options[index - 1] == "--devices" ? path(way, word) : word
        }
        return ["profile", "import", way.format] + way.files.map { path(way, $0) } + options + ["--output", output]
    }

    private static func head(_ folder: String) -> String {
        """
        gateway: {id: gw, owner: me, state: \(folder)/state}
        profiles: [./profiles]
        publish: {plant: {mqtt: "mqtt://127.0.0.1:1883"}}

        """
    }

    @Test(arguments: ways)
    func whatIsImportedIsCheckedSimulatedAndRead(way: Way) async throws {
        let folder = try StateFolder()
        defer { folder.remove() }
        #expect(Self.run(Self.words(way, output: folder.path)) == way.exitCode)
        let fragment = try? String(contentsOfFile: folder.path + "/site-fragment.yaml", encoding: .utf8)
        if let fragment {
            let site = folder.path + "/fragment.yaml"
            try (Self.head(folder.path) + fragment).write(toFile: site, atomically: true, encoding: .utf8)
            #expect(Self.run(["check", "--config", site]) == 0)
        }
        #expect((fragment != nil) == (way.format != "sunspec" && way.format != "csv"))
        let library = ProfileLibrary(folders: [folder.path + "/profiles"])
        #expect(!library.files.isEmpty)
        for (id, _) in library.files { try await Self.read(id, library, folder.path) }
    }

    /// Serves the profile and reads all of it.
    private static func read(_ id: String, _ library: ProfileLibrary, _ folder: String) async throws {
        let profile = try #require(library.load(id).value)
        let server = try TCPSimulator(port: 0, units: [1: SimulatedUnit(profile: profile)])
        defer { server.stop() }
        let site = folder + "/site.yaml"
        let text = """
            connections: {bench: {tcp: "127.0.0.1:\(server.port)"}}
            devices: {device: {profile: \(id), connection: bench, unit: 1, owner: me}}
            """
        try (head(folder) + text).write(toFile: site, atomically: true, encoding: .utf8)
        #expect(run(["check", "--config", site]) == 0)
        let loaded = SiteFile.load(path: site, shippedProfiles: folder + "/none")
        let reply = await AdHocRead(site: try #require(loaded.value)).run("device")
        guard case .document(let document) = reply else {
            Issue.record("\(id): \(reply)")
            return
        }
        let readings = try Model.JSONValue(parsing: Array(document.utf8))["readings"]?.elements ?? []
        #expect(readings.count == profile.points.count, "\(id)")
        let values = readings.filter { $0["quality"]?.text == "good" }
        #expect(values.count * 2 > readings.count, "\(id): \(document.prefix(3000))")
        let reasons = readings.flatMap { $0["reasons"]?.elements.compactMap(\.text) ?? [] }
        #expect(
            reasons.allSatisfy { !["bad_address", "comm_down", "timeout", "decode_error"].contains($0) }, "\(reasons)")
    }

    @Test func nothingIsOverwrittenUnlessItIsSaid() throws {
        let folder = try StateFolder()
        defer { folder.remove() }
        let words = Self.words(Self.ways[4], output: folder.path)
        #expect(Self.run(words) == 0)
        #expect(Self.run(words) == 1)
        #expect(Self.run(words + ["--force"]) == 0)
    }

    @Test func whatCannotBeImportedIsExitCodeOneAndWrongUsageIs64() throws {
        let folder = try StateFolder()
        defer { folder.remove() }
        let output = ["--output", folder.path]
        #expect(Self.run(["profile", "import", "telegraf", "/nonexistent"] + output) == 1)
        #expect(Self.run(["profile", "import", "telegraf", Self.fixtures + "/SOURCES"] + output) == 1)
        #expect(Self.run(["profile", "import", "sunspec", Self.fixtures + "/sunspec/alone-126/model_126.json"]) == 1)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).isEmpty)
        for wrong in [
            ["nonsense", "x"], ["csv"], ["csv", "x", "--columns", "colour=x"], ["csv", "x", "--order", "ABDC"],
            ["telegraf", "x", "--name", "No Id"], ["sunspec", "x", "--at", "70000"], ["sunspec", "x", "--repeat", "a"],
        ] {
            #expect(Self.run(["profile", "import"] + wrong) == 64, "\(wrong)")
        }
    }
}
