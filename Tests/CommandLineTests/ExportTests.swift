import Engine
import Foundation
import Model
import SQLiteJournal
import Testing

@testable import Gateway

/// The rows that AI teams get, made by the desk that a gateway runs and read from the ledger that it writes.
@Suite struct ExportTests {
    /// A desk with a ledger on disk and a device that does as it is told.
    private struct Plant {
        let ledger: SQLiteLedger
        var desk: CommandDesk
        var now = Moment(utc: Fixture.now, uptime: .seconds(1000))
        var number: UInt64 = 0
        var value = PointValue.int(7)
        let site: Site

        init(_ folder: String) async throws {
            site = try Fixture.load(folder)
            ledger = try SQLiteLedger(folder: folder, clock: SystemClock())
            desk = CommandDesk(site: ControlSite(site), at: now)
            try await follow(desk.start(at: now))
        }

        mutating func follow(_ effects: [DeskEffect]) async throws {
            for effect in effects {
                switch effect {
                case .commit(let records, let leaves): _ = try await ledger.commit(records, leaves: leaves)
                case .write(let write):
                    value = write.value
                    try await handle(.wrote(write.tag, .verified(write.value)))
                case .collect(let plan): try await collect(plan)
                case .look(let point): try await handle(.looked(point, .value(value)))
                case .publish, .readBack, .acknowledge, .answer, .beat: continue
                }
            }
        }

        mutating func handle(_ event: DeskEvent) async throws { try await follow(desk.handle(event, at: now)) }

        private mutating func collect(_ plan: OutcomePlan) async throws {
            let samples = (0..<130).map { index in
                ReadingSample(
                    point: "chiller1/power", epoch: 1, number: UInt64(index), time: plan.anchor + .seconds(index - 65),
                    value: .double(index < 65 ? 100 : 94), reasons: [])
            }
            try await handle(.outcome(OutcomeBuilder(plan).build(samples: ["chiller1/power": samples], periods: [:])))
        }

        mutating func pass(_ seconds: Int) async throws {
            for _ in 0..<seconds {
                now = Moment(utc: now.utc + .seconds(1), uptime: now.uptime + .seconds(1))
                number += 1
                let sample = ReadingSample(
                    point: Fixture.point, epoch: 1, number: number, time: now.utc, value: value, reasons: [])
                try await handle(.readings([sample]))
            }
        }

        mutating func ask(_ value: String, as name: String, _ category: IssuerCategory) async throws -> CommandID {
            var generator = SystemRandomNumberGenerator()
            let id = CommandID(at: now.utc, using: &generator)
            let value = try JSONValue(parsing: Array(value.utf8)).pointValue
            let change = Command.ExpectedChange(
                point: "chiller1/power", change: -6, unit: "kW", within: .seconds(60))
            let command = Command(
                id: id, gateway: "gw-07", point: Fixture.point, action: .set, value: value, unit: "Cel",
                issued: now.utc, expires: now.utc + .seconds(600), lease: Command.Lease(duration: .seconds(600)),
                origin: Command.Origin(category: category, actor: name),
                evidence: [Command.Evidence(point: "chiller1/power", epoch: 1, number: 3)],
                rationale: Command.Rationale(text: "a, \"b\"", confidence: 0.8, expected: [change]),
                recommendation: "rec-1")
            try await handle(
                .request(
                    IncomingRequest(
                        command: command, digest: command.document.bytes.suffix(32), sender: Sender(name: name))))
            return id
        }

        mutating func decide(_ id: CommandID, isApproval: Bool) async throws {
            try await handle(
                .decision(
                    IncomingDecision(
                        id: id, gateway: "gw-07", digest: desk.active.first { $0.id == id }?.digest ?? [],
                        expires: now.utc + .seconds(60), isApproval: isApproval,
                        reason: isApproval ? nil : .comfort, note: "because", sender: Sender(name: "alice"))))
        }
    }

    private func lines(_ folder: String, _ format: CommandExport.Format, from: UnixTime? = nil) throws -> [String] {
        var lines: [String] = []
        let damaged = try CommandExport(path: folder, format: format, from: from).run {
            lines.append(String(decoding: $0, as: UTF8.self))
        }
        #expect(damaged.isEmpty)
        return lines
    }

    @Test func eachCommandIsARowFromStateToOutcome() async throws {
        let folder = try StateFolder()
        defer { folder.remove() }
        var plant = try await Plant(folder.path)
        try await plant.pass(1)
        let denied = try await plant.ask("7.2", as: "chw-opt", .ai)
        try await plant.pass(5)
        try await plant.decide(denied, isApproval: false)
        let approved = try await plant.ask("7.5", as: "chw-opt", .ai)
        try await plant.pass(3)
        try await plant.decide(approved, isApproval: true)
        let rejected = try await plant.ask("14", as: "alice", .operator)
        try await plant.pass(70)
        await plant.ledger.close()

        let rows = try lines(folder.path, .jsonl).map { try JSONValue(parsing: Array($0.utf8)) }
        #expect(rows.map { $0["id"]?.text } == [denied, approved, rejected].map(\.description))
        #expect(rows[0]["decision"]?["reason"] == .string("comfort"))
        #expect(rows[0]["decision"]?["state"] == .string("denied"))
        #expect(rows[0]["decision"]?["after_s"] == .integer(5))
        #expect(rows[0]["action"] == nil)

        let row = rows[1]
        #expect(row["issuer"] == .string("chw-opt"))
        #expect(row["state"]?["guards"]?.elements.contains { $0["guard"] == .string("step") } ?? false)
        #expect(row["state"]?["evidence"]?.elements.count == 1)
        #expect(row["recommendation"]?["recommendation"] == .string("rec-1"))
        #expect(row["decision"]?["by"] == .array([.string("alice")]))
        #expect(row["decision"]?["after_s"] == .integer(3))
        #expect(row["action"]?["readback"]?.double == 7.5)
        #expect(row["action"]?["state"] == .string("verified"))
        #expect(row["outcome"]?["measures"]?.elements.first?["observed"]?.double == -6)
        #expect(row["outcome"]?["usable"] == .bool(true))

        #expect(rows[2]["decision"]?["code"] == .string("out_of_limits"))
        #expect(rows[2]["recommendation"]?["value"] == .integer(14))
    }

    @Test func csvIsTheSameFlatAndAStretchCanBeAskedFor() async throws {
        let folder = try StateFolder()
        defer { folder.remove() }
        var plant = try await Plant(folder.path)
        try await plant.pass(1)
        _ = try await plant.ask("14", as: "alice", .operator)
        try await plant.pass(10)
        let later = plant.now.utc
        let shown = try await plant.ask("7.5", as: "alice", .operator)
        try await plant.pass(70)
        await plant.ledger.close()

        let all = try lines(folder.path, .csv)
        #expect(all.count == 3)
        #expect(all.allSatisfy { $0.split(separator: ",", omittingEmptySubsequences: false).count == 42 })
        let part = try lines(folder.path, .csv, from: later)
        #expect(part.count == 2)
        let head = part[0].split(separator: ",").map(String.init)
        let cells = part[1].split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        let row = Dictionary(zip(head, cells)) { $1 }
        #expect(row["id"] == shown.description)
        #expect(row["value"] == "7.5")
        #expect(row["decision"] == "approved")
        #expect(row["state"] == "verified")
        #expect(row["measure"] == "chiller1/power")
        #expect(row["observed"] == "-6")
        #expect(row["usable"] == "true")
    }

    @Test func withoutALedgerThatIsSaid() {
        #expect(throws: LedgerError.self) { try CommandExport(path: "/nonexistent", format: .csv) }
    }
}
