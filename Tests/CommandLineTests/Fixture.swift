import Console
import Dispatch
import Foundation
import Model
import NIOCore
import NIOPosix
import Profiles
import Synchronization

/// A folder of its own for a test.
struct StateFolder {
    let path: String

    init() throws {
        path = FileManager.default.temporaryDirectory.appendingPathComponent("hg-\(UUID().uuidString.prefix(8))").path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    func remove() { try? FileManager.default.removeItem(atPath: path) }
}

enum Fixture {
    static let now = UnixTime(milliseconds: 1_795_218_000_000)
    static let point = "chiller1/chw_setpoint"

    private static let profile = """
        profile: test/chiller
        title: Chiller
        manufacturer: Test
        model: Chiller
        revision: 1
        source: "the test that reads it"
        points:
          chw_setpoint: {table: holding, address: 0, type: int16, scale: 0.1, kind: setpoint, unit: Cel, write: {mode: single, min: 4, max: 15}}
          offset: {table: holding, address: 1, type: float32, kind: setpoint, unit: Cel, write: {mode: multiple}}
          mode: {table: holding, address: 3, type: uint16, kind: state, enum: {0: "off", 1: auto}, write: {mode: single}}
          running: {table: coil, address: 0, type: bool, kind: state, write: {mode: single}}
          power: {table: input, address: 0, type: float32, unit: kW}
        """

    private static let site = """
        gateway: {id: gw-07, owner: plant-ops, state: STATE}
        profiles: [./profiles]
        connections:
          hall2: {tcp: 127.0.0.1:1502}
        devices:
          chiller1: {profile: test/chiller, connection: hall2, unit: 1, owner: energy-team}
        publish:
          plant: {mqtt: "mqtt://127.0.0.1:1883"}
        commands:
          issuers:
            chw-opt: {key: "ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", category: ai, lane: advise}
            alice: {category: operator}
            panel: {category: local}
          policies:
            setpoint:
              points: ["chiller1/chw_setpoint"]
              allow: [chw-opt, alice, panel]
              min: 5.5
              max: 12
              approval: {above_step: 0.5, by: [alice], within: 10m}
              lease: {max: 30m, on_end: fallback}
              fallback: 7.0
            rest:
              points: ["chiller1/offset", "chiller1/mode", "chiller1/running"]
              allow: [alice]
              fallback: hold
        """

    /// Writes the files of a site into `folder`; the path of the site file.
    static func write(_ folder: String) throws -> String {
        let profiles = folder + "/profiles/test"
        try FileManager.default.createDirectory(atPath: profiles, withIntermediateDirectories: true)
        try Data(profile.utf8).write(to: URL(fileURLWithPath: profiles + "/chiller.yaml"))
        let path = folder + "/headgate.yaml"
        try Data(site.replacingOccurrences(of: "STATE", with: folder).utf8).write(to: URL(fileURLWithPath: path))
        return path
    }

    struct Broken: Error { var problems: [String] }

    static func load(_ folder: String) throws -> Site {
        let loaded = SiteFile.load(path: try write(folder), shippedProfiles: folder + "/none")
        guard let site = loaded.value, loaded.isClean else {
            throw Broken(problems: loaded.problems.map(\.description))
        }
        return site
    }
}

/// A gateway that says what it is told to, and remembers what it was asked.
struct FakeGateway {
    let folder: String
    private let asked = AskedLines()

    final class AskedLines: Sendable {
        private let lines = Mutex<[String]>([])
        var all: [String] { lines.withLock { $0 } }
        func add(_ line: String) { lines.withLock { $0.append(line) } }
    }

    var requests: [String] { asked.all.filter { $0 != "status" } }

    /// Runs `body` on a thread of its own, since it waits, while the gateway answers each request but `status` with `answer`.
    func serve<Value: Sendable>(
        _ answer: String, _ body: @escaping @Sendable () -> Value
    ) async throws -> Value {
        let loops = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let path = folder + "/" + ControlProtocol.socketName
        let server = ControlServer(path: path, group: loops) { [asked] line, _ in
            asked.add(line)
            return Array((line == "status" ? "{}" : answer).utf8)
        }
        let value = await withTaskGroup(of: Void.self) { group in
            group.addTask { try? await server.run() }
            let folder = folder
            let value = await Self.onThread {
                let client = ControlClient(stateFolder: folder)
                for _ in 0..<500 where client.ask("status") == nil { usleep(10_000) }
                return body()
            }
            group.cancelAll()
            return value
        }
        try await loops.shutdownGracefully()
        return value
    }

    private static func onThread<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async -> Value {
        await withCheckedContinuation { continuation in
            DispatchQueue.global().async { continuation.resume(returning: body()) }
        }
    }
}
