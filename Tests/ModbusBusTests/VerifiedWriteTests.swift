import Engine
import Foundation
import GatewayTesting
import ModbusBus
import Model
import NIOCore
import NIOPosix
import Simulator
import Testing

/// `Poller.write` against simulated devices over real channels, judged by the device's own log.
@Suite(.serialized, .timeLimit(.minutes(2))) struct VerifiedWriteTests {
    static let point = Point(
        name: "p", table: .holding, protocolAddress: 7, encoding: Encoding(type: .uint16), kind: .setpoint,
        every: .milliseconds(20), write: WriteRule(mode: .single, low: 0, high: 40_000))
    /// What the device itself takes, where it clamps.
    static let narrow: Point = {
        var narrow = point
        narrow.write?.high = 20_000
        return narrow
    }()

    static func poller(_ channel: Connection.Channel, timeout: Duration = .milliseconds(60)) -> Poller {
        let connection = Connection(name: "c", channel: channel, timeout: timeout)
        let clock = TestClock()
        let device = Device(
            id: "d", profile: "test/device", revision: 1, connection: "c", unit: 1, owner: "us", points: [point])
        return Poller(
            connection: connection, devices: [PolledDevice(device: device, layout: 1, cost: .tcp)],
            bus: Buses.make(connection, loop: StreamBusTests.loops.next(), clock: clock), journal: MemoryJournal(),
            clock: clock, board: StatusBoard(), phase: 0)
    }

    /// Polls while `body` runs.
    static func polling(_ poller: Poller, _ body: () async throws -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await poller.run() }
            try await body()
            group.cancelAll()
        }
    }

    struct Generator: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return state ^ state >> 31
        }
    }

    @Test(arguments: [
        (Fault?.none, WriteOutcome.verified(.int(30_000))), (.clamp, .clamped(.int(20_000))),
        (.deafWrites, .differs(.int(1))), (.muteWrites, .verified(.int(30_000))),
    ])
    func theOutcomeIsWhatTheDeviceShows(fault: Fault?, outcome: WriteOutcome) async throws {
        let unit = SimulatedUnit(points: [Self.narrow])
        unit.set("p", .int(1))
        let server = try TCPSimulator(port: 0, units: [1: unit])
        defer { server.stop() }
        server.faults.set(fault, unit: 1)
        let poller = Self.poller(.tcp(Endpoint(host: "127.0.0.1", port: server.port)))
        try await Self.polling(poller) {
            #expect(await poller.write("d", point: "p", value: .int(30_000)) == outcome)
        }
        #expect(unit.writes.map(\.words) == [[30_000]])
    }

    @Test(arguments: [
        (Fault.clamp, WriteOutcome.clamped(.int(20_000))), (.deafWrites, .differs(.int(1))),
        (.muteWrites, .verified(.int(30_000))),
    ])
    func onASerialLineTooTheOutcomeIsWhatTheDeviceShows(fault: Fault, outcome: WriteOutcome) async throws {
        let terminal = try PseudoTerminal()
        let line = SerialLine(
            path: terminal.slavePath, baud: 115_200, format: SerialFormat(dataBits: 8, parity: .none, stopBits: 1))
        let unit = SimulatedUnit(points: [Self.narrow])
        unit.set("p", .int(1))
        let server = try SerialSimulator(line: line, descriptor: terminal.master, units: [1: unit])
        defer { terminal.close() }
        defer { server.stop() }
        server.faults.set(fault, unit: 1)
        let poller = Self.poller(.serial(line))
        try await Self.polling(poller) {
            #expect(await poller.write("d", point: "p", value: .int(30_000)) == outcome)
        }
        #expect(unit.writes.map(\.words) == [[30_000]])
    }

    /// Each call writes a value of its own: the log says how often it arrived.
    @Test(arguments: [1, 2, 3] as [UInt64])
    func whateverGoesWrongNoCallReachesTheDeviceTwice(seed: UInt64) async throws {
        let device = try UnreliableDevice(seed: seed)
        defer { device.stop() }
        let poller = Self.poller(.tcp(Endpoint(host: "127.0.0.1", port: device.port)))
        var outcomes: [String: Int] = [:]
        try await Self.polling(poller) {
            for value in UInt16(1)...150 {
                let outcome = await poller.write("d", point: "p", value: .int(Int64(value)))
                outcomes["\(outcome)".prefix { $0 != "(" }.description, default: 0] += 1
                let arrived = device.writes.count { $0 == value }
                let comment = Comment("seed \(seed), value \(value): \(outcome)")
                switch outcome {
                case .verified(let shown):
                    #expect(arrived == 1 && device.register == value && shown == .int(Int64(value)), comment)
                case .notSent: #expect(arrived == 0, comment)
                case .refused: #expect(arrived == 1 && device.register != value, comment)
                case .differs, .clamped, .wrongDevice, .unverified: Issue.record(comment)
                case .indeterminate: #expect(arrived == 1, comment)
                }
            }
            try await Task.sleep(for: .milliseconds(300))
        }
        #expect(Set(device.writes).count == device.writes.count, "seed \(seed): some value arrived twice")
        #expect(outcomes["verified", default: 0] > 50 && outcomes["indeterminate", default: 0] > 5, "\(outcomes)")
    }

    @Test func onASerialLineTooNoCallReachesTheDeviceTwice() async throws {
        let terminal = try PseudoTerminal()
        let line = SerialLine(
            path: terminal.slavePath, baud: 115_200, format: SerialFormat(dataBits: 8, parity: .none, stopBits: 1))
        let unit = SimulatedUnit(points: [Self.point])
        let server = try SerialSimulator(line: line, descriptor: terminal.master, units: [1: unit])
        defer { terminal.close() }
        defer { server.stop() }
        let poller = Self.poller(.serial(line))
        var random = Generator(state: 4)
        try await Self.polling(poller) {
            for value in 1...60 {
                let fault = [Fault?.none, .muteWrites, .deafWrites, .clamp].randomElement(using: &random)
                server.faults.set(fault ?? nil, unit: 1)
                _ = await poller.write("d", point: "p", value: .int(Int64(value)))
            }
        }
        let values = unit.writes.map { $0.words[0] }
        #expect(values.count > 10)
        #expect(Set(values).count == values.count, "some value arrived twice")
    }

    @Test func aVerifiedWriteToAnIdleDeviceTakesMilliseconds() async throws {
        let unit = SimulatedUnit(points: [Self.point])
        let server = try TCPSimulator(port: 0, units: [1: unit])
        defer { server.stop() }
        let poller = Self.poller(.tcp(Endpoint(host: "127.0.0.1", port: server.port)), timeout: .seconds(1))
        var times: [Duration] = []
        try await Self.polling(poller) {
            for value in 1...300 {
                let start = ContinuousClock.now
                #expect(await poller.write("d", point: "p", value: .int(Int64(value))) == .verified(.int(Int64(value))))
                times.append(start.duration(to: .now))
            }
        }
        times.sort()
        #expect(times[150] < .milliseconds(10), "p50 \(times[150]), p99 \(times[297])")
    }
}
