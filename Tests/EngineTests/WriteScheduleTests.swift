import GatewayTesting
import Model
import Synchronization
import Testing

@testable import Engine

private final class Outcomes: Sendable {
    private let outcomes = Mutex<[WriteOutcome]>([])

    var all: [WriteOutcome] { outcomes.withLock { $0 } }

    func append(_ outcome: WriteOutcome) {
        outcomes.withLock { $0.append(outcome) }
    }
}

/// Commands among polls, in virtual time: every request takes 10 ms.
@Suite(.timeLimit(.minutes(1))) struct WriteScheduleTests {
    /// A poller with devices `d1`, `d2` and so on, each of which has a setpoint `p` at address 10.
    struct Rig {
        let clock = ManualClock()
        let bus: ScriptedBus
        let poller: Poller
        let device = WritableDevice([10: 7])

        init(
            _ devices: [[Point]], channel: Connection.Channel = .tcp(Endpoint(host: "plc", port: 502)),
            settle: Duration = .zero, inFlight: Int = 1
        ) {
            let bus = ScriptedBus(clock: clock)
            self.bus = bus
            let rule = WriteRule(mode: .single, settle: settle)
            let setpoint = Point(
                name: "p", table: .holding, protocolAddress: 10, encoding: Encoding(type: .uint16), kind: .setpoint,
                every: .seconds(3600), write: rule)
            let polled = devices.enumerated().map { index, points in
                PolledDevice(
                    device: Device(
                        id: "d\(index + 1)", profile: "test/device", revision: 1, connection: "bus",
                        unit: UInt8(index + 1), owner: "us", limits: DeviceLimits(gap: 0), points: points + [setpoint]),
                    layout: LayoutID(index + 1), cost: .tcp)
            }
            for unit in devices.indices { device.install(on: bus, unit: UInt8(unit + 1)) }
            poller = Poller(
                connection: Connection(name: "bus", channel: channel, timeout: .seconds(1), inFlight: inFlight),
                devices: polled, bus: bus, journal: MemoryJournal(), clock: clock, board: StatusBoard(), phase: 0)
        }

        /// Polls while `body` moves time, then stops.
        func run(_ body: () async throws -> Void) async throws {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { [poller] in await poller.run() }
                try await body()
                group.cancelAll()
                // Whoever is in the middle of a request gets its answer.
                while await !poller.isStopped { await Task.yield() }
                await Task.yield()
            }
        }

        /// Moves time until `isDone`.
        func advance(until isDone: () async -> Bool) async {
            while await !isDone() {
                await clock.advance(by: .milliseconds(1))
                // Whoever was woken works on the poller's queue: behind these calls it has done so.
                for _ in 0..<10 { _ = await poller.isStopped }
            }
        }

        /// Writes to several devices at once, after the poller has them all in its queue, or has refused them.
        func write(_ devices: [String]) async -> [WriteOutcome] {
            let before = await poller.slots.urgentCount
            let results = Outcomes()
            await withTaskGroup(of: Void.self) { group in
                for device in devices {
                    group.addTask { [poller] in
                        let outcome = await poller.write(device, point: "p", value: .int(50))
                        results.append(outcome)
                    }
                }
                while await poller.slots.urgentCount + results.all.count < before + devices.count {
                    await Task.yield()
                }
                await advance { results.all.count == devices.count }
            }
            return results.all
        }
    }

    static let spread = registers([100, 200, 300, 400, 500])

    /// Where in the traffic the first write and the reads around it are.
    static func transaction(in traffic: [ScriptedBus.Traffic]) -> ClosedRange<Int>? {
        guard let write = traffic.firstIndex(where: { if case .write = $0 { true } else { false } }) else { return nil }
        return (write - 1)...(write + 1)
    }

    @Test func underAFloodOfCommandsAPollWaitsForOneOfThem() async throws {
        let rig = Rig([registers([100], every: .milliseconds(500)), []])
        let begun = rig.clock.uptime
        try await rig.run {
            await rig.advance { rig.bus.requests.contains { $0.span.start == 100 } }
            while rig.clock.uptime < begun + .seconds(5) {
                _ = await rig.write(Array(repeating: "d2", count: 10))
            }
        }
        let polls = rig.bus.requests.filter { $0.unit == 1 && $0.span.start == 100 }.map(\.time)
        let first = try #require(polls.first)
        #expect(polls.count >= 9)
        // A write and its read-back are one transaction of three requests at the most, each of 10 ms.
        let worst = polls.enumerated().map { $1 - first - .milliseconds(500) * $0 }.max() ?? .zero
        #expect(worst <= .milliseconds(35), "\(worst)")
    }

    @Test func aCommandGoesBetweenTwoRequestsOfTheSamePoll() async throws {
        let rig = Rig([Self.spread])
        try await rig.run {
            await rig.advance { rig.bus.requests.contains { $0.span.start == 200 } }
            #expect(await rig.write(["d1"]) == [.verified(.int(50))])
            await rig.advance { rig.bus.requests.contains { $0.span.start == 500 } }
        }
        let starts = rig.bus.traffic.compactMap { traffic -> UInt16 in
            switch traffic {
            case .read(let request): request.span.start
            case .write(let write): write.write.span.start + 1000
            }
        }
        let write = try #require(starts.firstIndex(of: 1010))
        #expect(starts[(write - 1)...(write + 1)] == [10, 1010, 10], "\(starts)")
        let before = try #require(starts.firstIndex(of: 200))
        #expect(write - 1 == before + 1, "at the next frame boundary: \(starts)")
    }

    @Test func nothingIsSaidToTheUnitMeanwhileAlthoughOthersAreAsked() async throws {
        let rig = Rig([Self.spread, Self.spread, Self.spread], settle: .milliseconds(400), inFlight: 4)
        try await rig.run {
            await rig.advance { rig.bus.requests.count > 5 }
            #expect(await rig.write(["d1"]) == [.verified(.int(50))])
        }
        let traffic = rig.bus.traffic
        let own = traffic.indices.filter { traffic[$0].unit == 1 }
        let range = try #require(Self.transaction(in: own.map { traffic[$0] }))
        let (first, last) = (own[range.lowerBound], own[range.upperBound])
        #expect(traffic[first...last].contains { $0.unit != 1 }, "400 ms of settling are not lost to the others")
    }

    @Test(arguments: [true, false])
    func duringALongSettleOnlyATCPConnectionServesOthers(isTCP: Bool) async throws {
        let line = SerialLine(path: "/dev/ttyS0", baud: 19_200)
        let rig = Rig(
            [[], registers([100], every: .milliseconds(50))],
            channel: isTCP ? .tcp(Endpoint(host: "plc", port: 502)) : .serial(line), settle: .milliseconds(500))
        try await rig.run {
            await rig.advance { rig.bus.requests.contains { $0.unit == 2 } }
            #expect(await rig.write(["d1"]) == [.verified(.int(50))])
        }
        let traffic = rig.bus.traffic
        let write = try #require(traffic.firstIndex { if case .write = $0 { true } else { false } })
        let readBack = try #require(traffic[write...].firstIndex { $0.unit == 1 && $0 != traffic[write] })
        #expect((readBack - write > 5) == isTCP, "\(readBack - write - 1) requests in between")
        guard case .read(let request) = traffic[readBack], case .write(let sent) = traffic[write] else { return }
        #expect(request.time - sent.time >= .milliseconds(510), "settled before it was read back")
    }

    @Test func thePollThatACommandInterruptsDoesNotHoldUpOthersDuringTheSettle() async throws {
        let rig = Rig([Self.spread, registers([100], every: .milliseconds(50))], settle: .milliseconds(500))
        try await rig.run {
            await rig.advance { rig.bus.requests.contains { $0.span.start == 300 } }
            #expect(await rig.write(["d1"]) == [.verified(.int(50))])
            await rig.advance { rig.bus.requests.contains { $0.span.start == 500 } }
        }
        let traffic = rig.bus.traffic
        let write = try #require(traffic.firstIndex { if case .write = $0 { true } else { false } })
        let readBack = try #require(traffic[(write + 1)...].firstIndex { $0.unit == 1 })
        #expect(readBack - write > 8, "\(readBack - write - 1) requests in between")
    }

    @Test func aFloodOfCommandsLeavesPollsTheirShare() async throws {
        let rig = Rig([registers([100], every: .milliseconds(100)), []])
        let start = rig.clock.uptime
        try await rig.run {
            for _ in 0..<5 {
                let outcomes = await rig.write(Array(repeating: "d2", count: 50))
                #expect(outcomes == Array(repeating: .verified(.int(50)), count: 50))
            }
        }
        let elapsed = rig.clock.uptime - start
        let polls = rig.bus.requests.count { $0.unit == 1 && $0.span.start == 100 }
        #expect(elapsed >= .seconds(7), "250 commands of 30 ms")
        #expect(Double(polls) >= elapsed.inSeconds * 10 * 0.95, "\(polls) polls in \(elapsed)")
        #expect(rig.bus.writes.count == 250)
    }

    @Test func moreCommandsThanTheQueueHoldsAreSaidToBeUnsent() async throws {
        let rig = Rig([[]])
        try await rig.run {
            let outcomes = await rig.write(Array(repeating: "d1", count: Poller.writeLimit + 10))
            let unsent = outcomes.count { if case .notSent = $0 { true } else { false } }
            #expect(unsent == 10)
            #expect(rig.bus.writes.count == Poller.writeLimit)
        }
    }

    @Test func aStoppedPollerSendsNothingMore() async throws {
        let rig = Rig([registers([100])])
        try await rig.run { await rig.advance { rig.bus.requests.count > 2 } }
        while rig.bus.closings == 0 { await Task.yield() }
        rig.bus.forgetRequests()
        guard case .notSent = await rig.poller.write("d1", point: "p", value: .int(50)) else {
            Issue.record("written after the stop")
            return
        }
        #expect(rig.bus.traffic.isEmpty)
        #expect(rig.bus.closings == 1)
    }
}
