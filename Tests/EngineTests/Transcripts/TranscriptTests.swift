import Foundation
import GatewayTesting
import Model
import Testing

@testable import Engine

/// What the scheduler puts on the wire, in virtual time, as Tests/Fixtures/transcripts/<case>/wire.txt tells it.
/// `RECORD_FIXTURES=1` writes them anew, for a person to read the difference.
@Suite(.timeLimit(.minutes(1))) struct TranscriptTests {
    static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("Fixtures/transcripts").path

    static let line = SerialLine(path: "/dev/ttyUSB0", baud: 19_200)

    struct Rig {
        let clock = ManualClock()
        let board = StatusBoard()
        let bus: TranscriptBus
        let poller: Poller

        /// - Parameter devices: points of each device; units count from 1.
        init(_ devices: [[Point]], line: SerialLine? = TranscriptTests.line) {
            let (clock, board) = (self.clock, self.board)
            bus = TranscriptBus(clock: clock, line: line)
            let channel = line.map { Connection.Channel.serial($0) } ?? .tcp(Endpoint(host: "plc", port: 502))
            let polled = devices.enumerated().map { index, points in
                let device = Device(
                    id: "d\(index + 1)", profile: "test/device", revision: 1, connection: "bus",
                    unit: UInt8(index + 1), owner: "us", points: points)
                return PolledDevice(device: device, layout: LayoutID(index + 1), cost: .tcp)
            }
            poller = Poller(
                connection: Connection(name: "bus", channel: channel, timeout: .seconds(1)), devices: polled,
                bus: bus, journal: MemoryJournal(), clock: clock, board: board, phase: 0, chance: { 0 })
        }

        func answer(_ unit: UInt8, after milliseconds: Int = 10) {
            bus.script(unit) { _, span in .word(7, of: span, after: .milliseconds(milliseconds)) }
        }

        func run(_ body: () async throws -> Void) async throws {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { [poller] in await poller.run() }
                try await body()
                await clock.waitForSleepers(1)
                group.cancelAll()
            }
        }
    }

    /// Compares with what is written down, or writes it down.
    static func check(_ name: String, _ head: String, _ transcript: String) throws {
        let said = head.split(separator: "\n").map { "# \($0)\n" }.joined() + "\n" + transcript
        let path = "\(folder)/\(name)/wire.txt"
        if ProcessInfo.processInfo.environment["RECORD_FIXTURES"] == "1" {
            try FileManager.default.createDirectory(atPath: "\(folder)/\(name)", withIntermediateDirectories: true)
            try said.write(toFile: path, atomically: true, encoding: .utf8)
        }
        let expected = try String(contentsOfFile: path, encoding: .utf8)
        let difference = zip(said.split(separator: "\n"), expected.split(separator: "\n")).first { $0 != $1 }
        #expect(
            said == expected,
            "\(name): \(difference.map { "'\($0)' instead of '\($1)'" } ?? "one of them ends earlier")")
    }

    @Test func backOffCurve() async throws {
        let rig = Rig([registers([0]), registers([0])])
        rig.answer(2)
        rig.bus.script(1) { time, span in
            (.seconds(40) ..< .seconds(500)).contains(time) ? .silence : .word(7, of: span, after: .milliseconds(10))
        }
        try await rig.run { await rig.clock.advance(by: .seconds(530)) }
        try Self.check(
            "back-off-curve",
            """
            A unit that answers, is dead from 0:40 to 8:20 and comes back; the other unit of the line is not shown.
            The first time-out is the narrowed one, the second what is configured. Probes back off by doubling, then keep to
            2 % of the bus time; now and then one waits as long as is configured, and the first answer ends that.
            """, rig.bus.text(of: [1], from: .seconds(38), to: .seconds(526)))
    }

    @Test func oneDeadUnitAmongTen() async throws {
        let rig = Rig(Array(repeating: registers([0, 1, 2, 3]), count: 10))
        for unit in UInt8(1)...10 where unit != 4 { rig.answer(unit) }
        try await rig.run { await rig.clock.advance(by: .milliseconds(6500)) }
        try Self.check(
            "one-dead-unit-among-ten",
            """
            Ten units every second on a line of 19,200 baud, unit 4 is dead from the start. It is given up after one
            time-out and probed after a second, then less and less; what its time-outs delay is caught up at once.
            """, rig.bus.text(to: .seconds(6)))
    }

    @Test func aCommandBetweenPolls() async throws {
        var setpoint = Point(
            name: "p", table: .holding, protocolAddress: 10, encoding: Encoding(type: .uint16), kind: .setpoint,
            every: .seconds(60))
        setpoint.write = WriteRule(mode: .single, low: 0, high: 100)
        let rig = Rig([registers([100, 300, 500, 700]) + [setpoint], registers([0])])
        rig.answer(2, after: 30)
        rig.answer(1, after: 30)
        try await rig.run {
            await rig.step(.milliseconds(1040))
            async let outcome = rig.poller.write("d1", point: "p", value: .int(50))
            while await rig.poller.slots.urgentCount == 0 { await Task.yield() }
            await rig.step(.milliseconds(900))
            _ = await outcome
        }
        try Self.check(
            "command-between-polls",
            """
            A poll of four blocks is under way when a command comes at 1.040: its read before, write and read-back go out
            at the next frame boundary, nothing comes between them, and the poll goes on where it was.
            """, rig.bus.text(from: .milliseconds(990), to: .milliseconds(1300)))
    }

    @Test func anOverloadedBus() async throws {
        let rig = Rig(Array(repeating: registers([0]), count: 5))
        for unit in UInt8(1)...5 { rig.answer(unit, after: 300) }
        try await rig.run { await rig.clock.advance(by: .seconds(8)) }
        let missed = (1...5).map { "d\($0) \(rig.board.status(of: "d\($0)")?.missedPolls ?? 0)" }
        try Self.check(
            "overloaded-bus",
            """
            Five units that want 1.5 times what the line has. Everybody gets a share in turn, what cannot be kept is
            skipped and counted, and nothing piles up. Polls missed: \(missed.joined(separator: ", "))
            """, rig.bus.text(to: .seconds(6)))
    }

    @Test func aLateReplyOnSerial() async throws {
        let rig = Rig([registers([0], every: .milliseconds(500)), registers([0], every: .milliseconds(500))])
        rig.answer(2)
        rig.bus.script(1) { time, span in
            let isSlow = (.seconds(17) ..< .milliseconds(17_200)).contains(time)
            return .word(7, of: span, after: .milliseconds(isSlow ? 400 : 10))
        }
        try await rig.run { await rig.clock.advance(by: .seconds(21)) }
        try Self.check(
            "late-reply-on-serial",
            """
            Two units every half second. After 32 fast replies less is waited for; at 17 s unit 1 takes 400 ms once. The
            line rests for a response time and goes on with unit 2, but unit 1 is not asked again before its late reply
            can no longer come, and then the configured time-out holds.
            """, rig.bus.text(from: .milliseconds(15_400), to: .seconds(20)))
    }
}

extension TranscriptTests.Rig {
    /// Moves time in steps of a millisecond and lets everybody work in between, for when more than one sleeps.
    func step(_ duration: Duration) async {
        let end = clock.uptime + duration
        while clock.uptime < end {
            await clock.advance(by: .milliseconds(1))
            for _ in 0..<10 { _ = await poller.isStopped }
        }
    }
}
