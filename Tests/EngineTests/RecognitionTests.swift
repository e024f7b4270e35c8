import GatewayTesting
import Model
import Synchronization
import Testing

@testable import Engine

/// What a poller does about devices that are exchanged behind the same address, in virtual time.
@Suite(.timeLimit(.minutes(1))) struct RecognitionTests {
    /// The identity register is 100 and holds 7 in the right device.
    static let check = IdentityCheck.register(
        Point(name: "identify", table: .holding, protocolAddress: 100, encoding: Encoding(type: .uint16)),
        equals: .int(7))
    static let setpoint = Point(
        name: "p", table: .holding, protocolAddress: 10, encoding: Encoding(type: .uint16), kind: .setpoint,
        write: WriteRule(mode: .single))

    static func rig(_ identity: [IdentityCheck] = [check]) -> PollerRig {
        PollerRig([[setpoint]], identity: identity)
    }

    static func device(_ identity: UInt16, value: UInt16 = 42) -> WritableDevice {
        WritableDevice([100: identity, 10: value])
    }

    static func questions(_ rig: PollerRig) -> [Duration] {
        rig.bus.requests.filter { $0.span.start == 100 }.map { $0.time - rig.start }
    }

    static func exchange(_ device: WritableDevice, in rig: PollerRig) {
        device.install(on: rig.bus, unit: 1)
        rig.bus.reopen()
    }

    static func reasons(_ rig: PollerRig) -> [QualityReasons] {
        rig.batches(of: 1).flatMap(\.reasons)
    }

    @Test func aDeviceIsAskedWhoItIsOncePerConnection() async throws {
        let rig = Self.rig()
        Self.device(7).install(on: rig.bus, unit: 1)
        try await rig.run {
            await rig.clock.advance(by: .seconds(100))
            rig.bus.reopen()
            await rig.clock.advance(by: .seconds(100))
        }
        #expect(Self.questions(rig).count == 2)
        #expect(Set(Self.reasons(rig)) == [[]])
        #expect(rig.board.status(of: "d1")?.identity == .confirmed)
    }

    @Test func noReadingOfAnotherDeviceIsPublishedAsGoodAndItRecoversByItself() async throws {
        let rig = Self.rig()
        Self.device(7, value: 1).install(on: rig.bus, unit: 1)
        try await rig.run {
            await rig.clock.advance(by: .seconds(20))
            Self.exchange(Self.device(8, value: 2), in: rig)
            await rig.clock.advance(by: .seconds(20))
            #expect(
                rig.board.status(of: "d1")?.identity
                    == .wrong(expected: "holding 100 = 7", found: "8"))
            #expect(rig.board.status(of: "d1")?.state == .degraded)
            #expect(rig.board.status(of: "d1")?.trouble == "config_suspect")
            Self.exchange(Self.device(7, value: 3), in: rig)
            await rig.clock.advance(by: .seconds(20))
        }
        let readings = rig.batches(of: 1).flatMap { zip($0.values, $0.reasons) }
        let suspects = readings.filter { !$0.1.isEmpty }.map(\.0)
        #expect(suspects.filter { $0 == .int(2) }.count == readings.filter { $0.0 == .int(2) }.count)
        #expect(suspects.filter { $0 != .int(2) }.count <= 2, "one poll at each exchange may be of either device")
        #expect(readings.filter { $0.0 == .int(3) && $0.1.isEmpty }.count >= 18)
        #expect(rig.board.status(of: "d1")?.identity == .confirmed)
    }

    @Test func aUnitThatIsBackAfterSilenceIsAskedOnAnOpenConnection() async throws {
        let rig = Self.rig()
        Self.device(7).install(on: rig.bus, unit: 1)
        try await rig.run {
            await rig.clock.advance(by: .seconds(10))
            rig.bus.fail(1, .noResponse)
            await rig.clock.advance(by: .seconds(60))
            let before = Self.questions(rig).count
            Self.device(8).install(on: rig.bus, unit: 1)
            await rig.clock.advance(by: .seconds(10))
            #expect(before == 1, "a silent unit is not asked")
        }
        #expect(Self.reasons(rig).last == QualityReasons(.configSuspect))
    }

    @Test func aDeviceThatCannotBeCheckedIsReadAllTheSameAndSaidToBeUnverified() async throws {
        let rig = Self.rig([.deviceID(vendor: "Acme", product: nil)])
        Self.device(7).install(on: rig.bus, unit: 1)
        try await rig.run { await rig.clock.advance(by: .seconds(100)) }
        #expect(rig.bus.introductions.count == 1)
        #expect(Self.reasons(rig).count > 90 && Set(Self.reasons(rig)) == [[]])
        #expect(
            rig.board.status(of: "d1")?.identity
                == .unverified("it refuses Read Device Identification with exception 1"))
    }

    @Test func aDeviceThatIgnoresTheQuestionCostsATimeOutEverMoreRarely() async throws {
        let rig = Self.rig([.deviceID(vendor: "Acme", product: nil)])
        Self.device(7).install(on: rig.bus, unit: 1)
        rig.bus.name(1, .failure(.noResponse))
        try await rig.run { await rig.clock.advance(by: .seconds(300)) }
        #expect((7...12).contains(rig.bus.introductions.count), "\(rig.bus.introductions.count)")
        #expect(Set(Self.reasons(rig)) == [[]])
        #expect(rig.board.status(of: "d1")?.state == .online)
    }

    @Test func theDeviceIDIsAccepted() async throws {
        let rig = Self.rig([.deviceID(vendor: "Acme", product: "X")])
        Self.device(7).install(on: rig.bus, unit: 1)
        rig.bus.name(1, .success([0: "ACME Inc.", 1: "X100"]))
        try await rig.run { await rig.clock.advance(by: .seconds(10)) }
        #expect(rig.board.status(of: "d1")?.identity == .confirmed)
        #expect(rig.bus.introductions.count == 1)
    }

    // MARK: - Commands

    /// A poller that nobody runs: the command comes before any poll.
    static func idle(_ device: WritableDevice, _ identity: [IdentityCheck] = [check]) -> (
        poller: Poller, bus: ScriptedBus
    ) {
        let clock = ManualClock()
        let bus = ScriptedBus(clock: clock, replyTime: .zero)
        device.install(on: bus, unit: 1)
        let connection = Connection(name: "bus", channel: .tcp(Endpoint(host: "plc", port: 502)), timeout: .zero)
        let known = Device(
            id: "d1", profile: "test/device", revision: 1, connection: "bus", unit: 1, owner: "us", identity: identity,
            points: [setpoint])
        let poller = Poller(
            connection: connection, devices: [PolledDevice(device: known, layout: 1, cost: .tcp)], bus: bus,
            journal: MemoryJournal(), clock: clock, board: StatusBoard(), phase: 0)
        return (poller, bus)
    }

    @Test func aCommandBeforeTheFirstPollAsksItself() async {
        let rig = Self.idle(Self.device(7))
        #expect(await rig.poller.write("d1", point: "p", value: .int(50)) == .verified(.int(50)))
        #expect(rig.bus.requests.map(\.span.start) == [10, 100, 10])
    }

    @Test func anotherDeviceIsNeverWritten() async {
        let rig = Self.idle(Self.device(8))
        let outcome = await rig.poller.write("d1", point: "p", value: .int(50))
        #expect(outcome == .wrongDevice("another device answers: holding 100 = 7 expected, 8 found"))
        #expect(rig.bus.writes.isEmpty)
    }

    @Test func aDeviceThatCannotBeIdentifiedIsNeverWritten() async {
        let rig = Self.idle(Self.device(7), [.deviceID(vendor: "Acme", product: nil)])
        guard case .notSent(let reason) = await rig.poller.write("d1", point: "p", value: .int(50)) else {
            Issue.record("written")
            return
        }
        #expect(reason.contains("cannot be identified"))
        #expect(rig.bus.writes.isEmpty)
    }

    @Test func aCommandRightAfterAReconnectWaitsForTheQuestion() async {
        let rig = Self.idle(Self.device(7))
        _ = await rig.poller.write("d1", point: "p", value: .int(50))
        Self.device(8).install(on: rig.bus, unit: 1)
        rig.bus.reopen()
        guard case .wrongDevice = await rig.poller.write("d1", point: "p", value: .int(60)) else {
            Issue.record("written to another device")
            return
        }
        #expect(rig.bus.writes.count == 1)
    }

    /// The connection is lost between the question and the write, at every request of the command in turn.
    @Test(arguments: 0..<3)
    func aConnectionThatChangesWithinACommandNeverLeadsToAWriteToSomebodyUnknown(request: Int) async {
        let right = Self.device(7)
        let other = Self.device(8)
        let rig = Self.idle(right)
        let count = Mutex(0)
        rig.bus.script(1) { [bus = rig.bus] span in
            let number = count.withLock { count in
                defer { count += 1 }
                return count
            }
            let now = number > request ? other : right
            if number == request {
                other.install(on: bus, unit: 1)
                bus.reopen()
            }
            return .success((0..<span.registerCount).map { now[span.start + UInt16($0)] })
        }
        let outcome = await rig.poller.write("d1", point: "p", value: .int(50))
        #expect(other[10] == 42, "\(outcome)")
        if case .verified = outcome { #expect(right[10] == 50 && request == 2) }
    }

    @Test func whatAnotherDeviceShowsIsNoReadBack() async {
        let rig = Self.idle(Self.device(7))
        #expect(await rig.poller.readBack("d1", point: "p") == .value(.int(42)))
        Self.device(8).install(on: rig.bus, unit: 1)
        rig.bus.reopen()
        guard case .wrongDevice = await rig.poller.readBack("d1", point: "p") else {
            Issue.record("believed another device")
            return
        }
    }

    @Test func adHocReadsOfAnotherDeviceAreMarked() async {
        let rig = Self.idle(Self.device(8))
        let rows = await rig.poller.readNow("d1") ?? []
        #expect(rows.map(\.reasons) == [QualityReasons(.configSuspect)])
    }
}
