import Engine
import GatewayTesting
import Model
import Synchronization
import Testing

@Suite struct PollerTests {
    static func device(_ id: String, unit: UInt8) -> PolledDevice {
        let point = Point(
            name: "value", table: .holding, protocolAddress: 0, encoding: Encoding(type: .uint16), every: .seconds(1))
        let device = Device(
            id: id, profile: "a/b", revision: 1, connection: "c", unit: unit, owner: "o", points: [point])
        return PolledDevice(device: device, layout: LayoutID(unit), cost: .tcp)
    }

    static func poller(_ bus: ScriptedBus, _ journal: MemoryJournal, _ clock: ManualClock, units: [UInt8]) -> Poller {
        let connection = Connection(
            name: "c", channel: .serial(SerialLine(path: "/dev/x", baud: 19_200)), timeout: .milliseconds(300))
        return Poller(
            connection: connection, devices: units.map { device("d\($0)", unit: $0) }, bus: bus, journal: journal,
            clock: clock, board: StatusBoard(), phase: 0)
    }

    static func batches(_ journal: MemoryJournal, _ unit: UInt8) -> [ReadingBatch] {
        journal.bodies.compactMap {
            if case .readings(let batch) = $0, batch.layout == LayoutID(unit) { batch } else { nil }
        }
    }

    @Test func aSilentUnitIsBadInEveryReadingAndTheOthersKeepTheirPeriod() async {
        let clock = ManualClock()
        let journal = MemoryJournal()
        let isBack = Atomic<Bool>(false)
        let returns = { @Sendable in isBack.load(ordering: .relaxed) }
        let bus = ScriptedBus(clock: clock) { unit, _ in unit == 2 && !returns() ? .failure(.noResponse) : .success([7])
        }
        let poller = Self.poller(bus, journal, clock, units: [1, 2, 3])
        clock.expectSleepers(1)
        let task = Task { await poller.run() }
        await clock.advance(by: .seconds(60))
        for unit in [UInt8(1), 3] {
            let batches = Self.batches(journal, unit)
            #expect((58...61).contains(batches.count), "unit \(unit) was read \(batches.count) times")
            #expect(batches.allSatisfy { $0.values == [.int(7)] })
        }
        let silent = Self.batches(journal, 2)
        #expect((58...61).contains(silent.count))
        #expect(silent.allSatisfy { $0.values == [.null] && $0.reasons == [QualityReasons(.timeout)] })
        #expect(bus.requests.count { $0.unit == 2 } <= 10)
        isBack.store(true, ordering: .relaxed)
        await clock.advance(by: .seconds(20))
        #expect(Self.batches(journal, 2).last?.values == [.int(7)])
        clock.expectSleepers(0)
        task.cancel()
        await task.value
    }

    @Test func countersAreContiguous() async {
        let clock = ManualClock()
        let journal = MemoryJournal()
        let bus = ScriptedBus(clock: clock) { _, _ in .success([1]) }
        let poller = Self.poller(bus, journal, clock, units: [1])
        clock.expectSleepers(1)
        let task = Task { await poller.run() }
        await clock.advance(by: .seconds(20))
        #expect(Self.batches(journal, 1).flatMap(\.numbers) == Array(0..<UInt64(Self.batches(journal, 1).count)))
        clock.expectSleepers(0)
        task.cancel()
        await task.value
    }

    @Test(arguments: [
        (BusError.linkDown("x"), QualityReason.commDown), (.noResponse, .timeout), (.garbled("x"), .protocolError),
        (.refused(1), .notImplemented), (.refused(2), .badAddress), (.refused(4), .deviceFailure),
        (.refused(6), .deviceBusy),
        (.refused(11), .commDown),
    ])
    func everyFaultHasItsReason(error: BusError, reason: QualityReason) async {
        let clock = ManualClock()
        let journal = MemoryJournal()
        let bus = ScriptedBus(clock: clock) { _, _ in .failure(error) }
        let poller = Self.poller(bus, journal, clock, units: [1])
        clock.expectSleepers(1)
        let task = Task { await poller.run() }
        await clock.advance(by: .milliseconds(900))
        #expect(Self.batches(journal, 1).first?.reasons == [QualityReasons(reason)])
        clock.expectSleepers(0)
        task.cancel()
        await task.value
    }
}
