import Engine
import Foundation
import GRDB
import Gateway
import Model
import Profiles
import Simulator
import Testing

/// People who command while the site file changes again and again.
@Suite(.serialized, .timeLimit(.minutes(2))) struct ReloadTests {
    private static let profile = """
        profile: test/drive
        title: Drive
        manufacturer: Test
        model: Drive
        source: "the test that reads it"
        points:
          setpoint: {address: 1, table: holding, type: uint16, kind: setpoint, every: 100ms, write: {mode: single, min: 0, max: 100}}
        """

    private static let site = """
        gateway: {id: gw, owner: ops, state: STATE}
        profiles: [./profiles]
        connections:
          c: {tcp: 127.0.0.1:PORT, timeout: 500ms}
        devices:
          drive: {profile: test/drive, connection: c, unit: 1, owner: ops}
        publish:
          plant: {mqtt: "mqtt://127.0.0.1:1"}
        commands:
          issuers: {alice: {category: operator}, bob: {category: operator}}
          policies:
            speed: {points: ["drive/setpoint"], allow: [ALLOWED], fallback: 10}
        """

    private let folder: SiteFolder

    init() throws {
        folder = try SiteFolder(profiles: ["test/drive": Self.profile])
    }

    private func load(port: Int, allowed: String) throws -> Site {
        try folder.load(Self.site.replacingOccurrences(of: "ALLOWED", with: allowed), port: port)
    }

    /// What became of commands, and how long the slowest answer took.
    private struct Answers: Sendable {
        var codes: [String: Int] = [:]
        var slowest = Duration.zero
    }

    /// Commands one after the other.
    private func command(_ site: Site, number: UInt64, until end: ContinuousClock.Instant) throws -> Answers {
        var answers = Answers()
        var count: UInt64 = 0
        while ContinuousClock.now < end {
            count += 1
            let draft = CommandDraft(target: "drive/setpoint", action: .set, value: "\(20 + count % 50)")
            let command = try draft.command(
                id: CommandID(high: number, low: count), site: site, as: "alice", at: SystemClock().utc)
            let begun = ContinuousClock.now
            do throws(DeskProblem) {
                _ = try DeskClient(stateFolder: folder.path).send(command, as: "alice")
                answers.codes["answered", default: 0] += 1
            } catch {
                guard case .refused(let code, _) = error else { throw error }
                answers.codes[code ?? "none", default: 0] += 1
            }
            answers.slowest = max(answers.slowest, ContinuousClock.now - begun)
        }
        return answers
    }

    /// On a thread of its own: whoever asks at the socket waits there.
    private func commanding(_ site: Site, number: UInt64, until end: ContinuousClock.Instant) async throws -> Answers {
        try await withCheckedThrowingContinuation { continuation in
            Thread {
                continuation.resume(with: Result { try command(site, number: number, until: end) })
            }.start()
        }
    }

    @Test func whoAsksADeskThatClosesIsToldSoAtOnce() async throws {
        defer { folder.remove() }
        let profile = try #require(folder.profiles.load("test/drive").value)
        let field = try TCPSimulator(port: 0, units: [1: SimulatedUnit(profile: profile)])
        defer { field.stop() }
        let sites = try ["alice", "alice, bob"].map { try load(port: field.port, allowed: $0) }
        let (changes, change) = AsyncStream.makeStream(of: Site.self)
        try await withGateway(sites[0], changes: changes) {
            for _ in 0..<500 where (try? DeviceOverview.ask(stateFolder: folder.path)) == nil {
                try await Task.sleep(for: .milliseconds(20))
            }
            let end = ContinuousClock.now + .seconds(5)
            async let first = commanding(sites[0], number: 1, until: end)
            async let second = commanding(sites[0], number: 2, until: end)
            for round in 1...75 {
                change.yield(sites[round % 2])
                try await Task.sleep(for: .milliseconds(60))
            }
            for answers in try await [first, second] {
                #expect(answers.codes["answered", default: 0] > 0, "\(answers)")
                let known: Set = ["answered", "not_ready", "rate_limit"]
                #expect(Set(answers.codes.keys).isSubset(of: known), "\(answers)")
                #expect(answers.slowest < .seconds(5), "\(answers)")
            }
        }
    }

    // MARK: - A disk that refuses

    /// As a full disk would: no layout that is not there yet can be stored.
    private func refuseLayouts(_ isRefusing: Bool) async throws {
        var configuration = Configuration()
        configuration.busyMode = .timeout(5)
        let journal = try DatabaseQueue(path: folder.path + "/journal.sqlite", configuration: configuration)
        try await journal.write { database in
            try database.execute(
                sql: isRefusing
                    ? "CREATE TRIGGER full BEFORE INSERT ON layout BEGIN SELECT RAISE(ABORT, 'full'); END"
                    : "DROP TRIGGER full")
        }
        try journal.close()
    }

    /// Devices that were read within the last half second, once they are the wanted ones or time is over.
    private func read(_ wanted: Set<String>) async throws -> Set<String> {
        var read: Set<String> = []
        for _ in 0..<100 where read != wanted {
            try await Task.sleep(for: .milliseconds(50))
            guard let overview = try? DeviceOverview.ask(stateFolder: folder.path) else { continue }
            let devices = try JSONValue(parsing: overview.json)["devices"]?.elements ?? []
            let fresh = devices.filter { ($0["last_good_age_s"]?.double ?? .infinity) < 0.5 }
            read = Set(fresh.compactMap { $0["id"]?.text })
        }
        return read
    }

    @Test func aDiskThatRefusesANewDeviceStopsNoneAndTheNextReloadStartsIt() async throws {
        defer { folder.remove() }
        let profile = try #require(folder.profiles.load("test/drive").value)
        let units: [UInt8: SimulatedUnit] = [1: SimulatedUnit(profile: profile), 2: SimulatedUnit(profile: profile)]
        let field = try TCPSimulator(port: 0, units: units)
        defer { field.stop() }
        let before = try load(port: field.port, allowed: "alice")
        var after = before
        var second = before.devices[0]
        (second.id, second.unit) = ("second", 2)
        after.devices.append(second)
        let (changes, change) = AsyncStream.makeStream(of: Site.self)
        try await withGateway(before, changes: changes) {
            #expect(try await read(["drive"]) == ["drive"])
            try await refuseLayouts(true)
            change.yield(after)
            try await Task.sleep(for: .seconds(1))
            #expect(try await read(["drive"]) == ["drive"])
            try await refuseLayouts(false)
            change.yield(after)
            #expect(try await read(["drive", "second"]) == ["drive", "second"])
        }
    }
}
