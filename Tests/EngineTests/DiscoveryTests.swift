import GatewayTesting
import Model
import Testing

@testable import Engine

/// When a poller asks a device for its models, in virtual time.
@Suite(.timeLimit(.minutes(1))) struct DiscoveryTests {
    static let selection = SunSpecSelection(
        wanted: [103],
        models: [
            SunSpecModel(
                ids: [103], prefix: "inverter", length: 2,
                points: [
                    Point(name: "power", table: .holding, protocolAddress: 2, encoding: Encoding(type: .uint16))
                ])
        ])
    static let chain = SunSpecChain(
        base: 40_000, entries: [SunSpecChain.Entry(id: 103, start: 40_002, length: 2)], end: 40_006)
    static let registers: [UInt16: UInt16] = [
        40_000: 0x5375, 40_001: 0x6E53, 40_002: 103, 40_003: 2, 40_004: 7, 40_006: 0xFFFF,
    ]

    static func device(_ chain: SunSpecChain?) -> Device {
        let device = Device(
            id: "d1", profile: "p/q", revision: 1, connection: "bus", unit: 1, owner: "us",
            points: selection.points(of: selection.nominal), sunSpec: selection)
        return chain.map { device.holding($0) } ?? device.undiscovered
    }

    struct Rig {
        let clock = ManualClock()
        let journal = MemoryJournal()
        let board = StatusBoard()
        let bus: ScriptedBus
        let poller: Poller
        let found: AsyncStream<DiscoveredChain>

        init(_ device: Device) {
            bus = ScriptedBus(clock: clock)
            let stream = AsyncStream<DiscoveredChain>.makeStream()
            found = stream.stream
            let connection = Connection(
                name: "bus", channel: .tcp(Endpoint(host: "plc", port: 502)), timeout: .seconds(1), inFlight: 2)
            poller = Poller(
                connection: connection,
                devices: [PolledDevice(device: device, layout: 1, cost: .tcp, at: clock.uptime)], bus: bus,
                journal: journal, clock: clock, board: board, found: stream.continuation, phase: 0)
        }

        func run(for duration: Duration, then change: () -> Void = {}, for rest: Duration = .zero) async {
            await withTaskGroup(of: Void.self) { group in
                group.addTask { [poller] in await poller.run() }
                // Two workers and the one who asks for models; there is a place on the bus for each request.
                await clock.advance(by: duration, sleepers: 3)
                change()
                await clock.advance(by: rest, sleepers: 3)
                await clock.waitForSleepers(3)
                group.cancelAll()
            }
        }

        var walks: Int { bus.requests.count { $0.span.start == 40_000 && $0.span.registerCount == 2 } }
    }

    @Test func aDeviceIsAskedAndWhatItHoldsIsToldOnce() async {
        let rig = Rig(Self.device(nil))
        WritableDevice(Self.registers).install(on: rig.bus, unit: 1)
        await rig.run(for: .milliseconds(900))
        var iterator = rig.found.makeAsyncIterator()
        #expect(await iterator.next() == DiscoveredChain(device: "d1", chain: Self.chain))
        #expect(rig.board.status(of: "d1")?.discovery == .found(Self.chain, missing: []))
        #expect(rig.walks == 1)
        #expect(rig.journal.entries.isEmpty, "nothing is polled before")
    }

    @Test func aDeadDeviceIsAskedEverMoreRarely() async {
        let rig = Rig(Self.device(nil))
        rig.bus.fail(1, .noResponse)
        await rig.run(for: .seconds(600))
        #expect((8...30).contains(rig.bus.requests.count), "\(rig.bus.requests.count)")
        #expect(rig.board.status(of: "d1")?.discovery == .failed("it does not answer (timeout)"))
        #expect(rig.board.status(of: "d1")?.state == .offline)
    }

    @Test func aDeviceWithoutModelsIsAskedOnceAMinuteInTheEnd() async {
        let rig = Rig(Self.device(nil))
        rig.bus.answer(1, with: 3)
        await rig.run(for: .seconds(600))
        #expect((10...18).contains(rig.walks), "\(rig.walks)")
        #expect(
            rig.board.status(of: "d1")?.discovery == .failed("there is no mark SunS at holding 40000, 50000, 0"))
    }

    @Test func aKnownDeviceIsNotWalkedAgainWhileItHoldsWhatItDid() async {
        let rig = Rig(Self.device(Self.chain))
        WritableDevice(Self.registers).install(on: rig.bus, unit: 1)
        await rig.run(for: .seconds(60), then: { rig.bus.reopen() }, for: .seconds(60))
        // Once a connection its mark, its model and its end are looked at, as the device's identity.
        #expect(rig.bus.requests.count { $0.span.start == 40_002 } == 2)
        #expect(rig.board.status(of: "d1")?.identity == .confirmed)
        let values = rig.journal.entries.compactMap { if case .readings(let batch) = $0.body { batch } else { nil } }
        #expect(Set(values.flatMap(\.values)) == [.int(7)])
        #expect(Set(values.flatMap(\.reasons)) == [[]])
    }

    @Test func aDeviceThatHoldsSomethingElseIsSuspectUntilItIsPolledForThat() async {
        let rig = Rig(Self.device(Self.chain))
        WritableDevice(Self.registers).install(on: rig.bus, unit: 1)
        var other = Self.registers
        (other[40_002], other[40_003], other[40_004], other[40_005]) = (1, 1, 9, 103)
        (other[40_006], other[40_007], other[40_009]) = (2, 55, 0xFFFF)
        let changed = WritableDevice(other)
        await rig.run(
            for: .seconds(10),
            then: {
                changed.install(on: rig.bus, unit: 1)
                rig.bus.reopen()
            }, for: .seconds(10))
        let batches = rig.journal.entries.compactMap { if case .readings(let batch) = $0.body { batch } else { nil } }
        let wrong = batches.flatMap { zip($0.values, $0.reasons) }.filter { $0.0 != .int(7) }
        #expect(wrong.count >= 9, "\(batches.flatMap(\.values))")
        #expect(Set(wrong.map(\.1)) == [QualityReasons(.configSuspect)])
        var iterator = rig.found.makeAsyncIterator()
        #expect(await iterator.next()?.chain.entries.map(\.start) == [40_002, 40_005])
    }
}
