import Engine
import Foundation
import Gateway
import Model
import Payloads
import Profiles
import Simulator
import Testing

/// A device, with levels in its name, is exchanged for another one behind the same address while the whole gateway runs, and
/// back.
@Suite(.serialized) struct WrongDeviceTests {
    private static func profile(_ model: String, identity: Int) -> String {
        """
        profile: test/\(model)
        title: \(model)
        manufacturer: Test
        model: \(model)
        source: "the test that reads it"
        identify: [{table: holding, address: 100, type: uint16, equals: \(identity)}]
        points:
          setpoint: {table: holding, address: 0, type: uint16, kind: setpoint, every: 100ms, write: {mode: single, min: 0, max: 100}}
        """
    }

    private static let site = """
        gateway: {id: gw, owner: ops, state: STATE}
        profiles: [./profiles]
        connections:
          c: {tcp: 127.0.0.1:PORT, timeout: 500ms}
        devices:
          hall/drive: {profile: test/right, connection: c, unit: 1, owner: ops}
        publish:
          plant: {mqtt: "mqtt://127.0.0.1:1"}
        commands:
          issuers: {alice: {category: operator}}
          policies:
            all: {points: ["hall/drive/setpoint"], allow: [alice], fallback: hold}
        """

    private let folder: SiteFolder

    init() throws {
        folder = try SiteFolder(profiles: [
            "test/right": Self.profile("right", identity: 7), "test/wrong": Self.profile("wrong", identity: 8),
        ])
    }

    private func unit(_ model: String) throws -> SimulatedUnit {
        let loaded = folder.profiles.load("test/\(model)")
        let unit = SimulatedUnit(profile: try #require(loaded.value, "\(loaded.problems)"))
        unit.set("setpoint", .int(20))
        return unit
    }

    /// What `headgate set` does.
    private func write(_ value: Int64, site: Site) throws -> CommandReport {
        let draft = CommandDraft(target: "hall/drive/setpoint", action: .set, value: "\(value)")
        let id = CommandID(high: UInt64.random(in: 0...(.max)), low: UInt64.random(in: 0...(.max)))
        let command = try draft.command(id: id, site: site, as: "alice", at: SystemClock().utc)
        return try DeskClient(stateFolder: folder.path).send(command, as: "alice")
    }

    /// The desk of the commands hears of readings a moment after the board that `headgate devices` shows.
    private func writeOnceHeard(_ value: Int64, site: Site) async throws -> CommandReport {
        for _ in 0..<50 {
            let report = try write(value, site: site)
            if report.state != .rejected { return report }
            try await Task.sleep(for: .milliseconds(100))
        }
        return try write(value, site: site)
    }

    private func waitFor(_ words: String) async throws -> String {
        var text = ""
        for _ in 0..<200 {
            text = (try? DeviceOverview.ask(stateFolder: folder.path).text) ?? ""
            if text.contains(words) { return text }
            try await Task.sleep(for: .milliseconds(50))
        }
        throw Missing(words: words, text: text)
    }

    private struct Missing: Error { var words: String, text: String }

    @Test(.timeLimit(.minutes(1)))
    func anExchangedDeviceIsSuspectAndNotWrittenAndTheRightOneRecovers() async throws {
        defer { folder.remove() }
        let (right, wrong) = (try unit("right"), try unit("wrong"))
        var field = try TCPSimulator(port: 0, units: [1: right])
        let port = field.port
        let site = try folder.load(Self.site, port: port)
        try await withGateway(site) {
            _ = try await waitFor("online")
            let first = try await writeOnceHeard(30, site: site)
            #expect(first.state == .verified, "\(first.verdict)")
            #expect(right.value(of: "setpoint")?.number == 30)

            field.stop()
            field = try TCPSimulator(port: port, units: [1: wrong])
            let text = try await waitFor("wrong device")
            #expect(text.contains("drive: another device answers: holding 100 = 7 expected, 8 found"), "\(text)")
            let report = try write(40, site: site)
            #expect(report.state == .rejected && report.verdict.contains("wrong_device"), "\(report.verdict)")
            #expect(wrong.writes.isEmpty && wrong.value(of: "setpoint")?.number == 20)

            field.stop()
            field = try TCPSimulator(port: port, units: [1: right])
            _ = try await waitFor("online")
            let again = try await writeOnceHeard(50, site: site)
            #expect(again.state == .verified, "\(again.verdict)")
            #expect(right.value(of: "setpoint")?.number == 50)
        }
        field.stop()
    }
}
