import GatewayTesting
import Model
import Testing

@testable import Engine

/// A poller over a scripted bus, in virtual time.
struct PollerRig {
    let clock: ManualClock
    let journal = MemoryJournal()
    let board = StatusBoard()
    let bus: ScriptedBus
    let start: Duration
    let poller: Poller

    /// - Parameter devices: points of each device; units count from 1, names are `d1`, `d2` and so on.
    init(
        _ devices: [[Point]], limits: DeviceLimits = DeviceLimits(), learned: LearnedAddresses = LearnedAddresses(),
        identity: [IdentityCheck] = [], clock: ManualClock = ManualClock()
    ) {
        self.clock = clock
        let bus = ScriptedBus(clock: clock)
        self.bus = bus
        let now = clock.uptime
        start = now
        let connection = Connection(name: "bus", channel: .tcp(Endpoint(host: "plc", port: 502)), timeout: .seconds(1))
        let polled = devices.enumerated().map { index, points in
            let device = Device(
                id: "d\(index + 1)", profile: "test/device", revision: 1, connection: "bus", unit: UInt8(index + 1),
                owner: "us", limits: limits, identity: identity, points: points)
            bus.answer(UInt8(index + 1), with: 7)
            return PolledDevice(
                device: device, layout: LayoutID(index + 1), cost: .tcp, learned: learned, at: now)
        }
        poller = Poller(
            connection: connection, devices: polled, bus: bus, journal: journal, clock: clock, board: board, phase: 0)
    }

    /// Polls while `body` moves time, then stops.
    func run(_ body: () async throws -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { [poller] in await poller.run() }
            try await body()
            await clock.waitForSleepers(1)
            group.cancelAll()
        }
    }

    func batches(of device: Int) -> [ReadingBatch] {
        journal.entries.compactMap { entry in
            guard case .readings(let batch) = entry.body, batch.layout == LayoutID(device) else { return nil }
            return batch
        }
    }

    func times(of unit: UInt8) -> [Duration] {
        bus.requests.filter { $0.unit == unit }.map { $0.time - start }
    }
}

func registers(_ addresses: [UInt16], every: Duration = .seconds(1), deadband: Double? = nil) -> [Point] {
    addresses.map {
        Point(
            name: "r\($0)", table: .holding, protocolAddress: $0, encoding: Encoding(type: .uint16), deadband: deadband,
            every: every)
    }
}

@Suite(.timeLimit(.minutes(1))) struct PollerTests {
    @Test(arguments: [0, 1_700_000_000_000, 1_795_218_000_000] as [Int64])
    func whatIsReadByAClockThatWasNotSetIsUncertain(_ start: Int64) async throws {
        let rig = PollerRig([registers([0])], clock: ManualClock(utc: UnixTime(milliseconds: start)))
        try await rig.run { await rig.clock.advance(by: .milliseconds(1990)) }
        let reasons = rig.batches(of: 1).flatMap(\.reasons)
        let isSet = start == 1_795_218_000_000
        #expect(!reasons.isEmpty)
        #expect(reasons.allSatisfy { $0 == (isSet ? [] : QualityReasons(.clockSuspect)) })
    }

    @Test func everyDeviceIsReadOnceAPeriodAtItsPhase() async throws {
        let rig = PollerRig([registers([0]), registers([0]), registers([0])])
        try await rig.run { await rig.clock.advance(by: .milliseconds(9990)) }
        for unit in UInt8(1)...3 {
            let times = rig.times(of: unit)
            #expect(times.count == 10)
            let periods = zip(times.dropFirst(), times).map { $0 - $1 }
            #expect(periods.allSatisfy { abs(($0 - .seconds(1)).inSeconds) < 0.011 }, "\(times)")
        }
        #expect(rig.bus.closings == 1)
    }

    @Test func aSlowDeviceGetsTheTimeThatItsProfileSays() async throws {
        let rig = PollerRig([registers([0])], limits: DeviceLimits(timeout: .seconds(3)))
        rig.bus.fail(1, .noResponse)
        try await rig.run { await rig.clock.advance(by: .milliseconds(3500)) }
        let times = rig.times(of: 1)
        #expect(times.count == 2 && times[1] - times[0] >= .seconds(3), "\(times)")
    }

    @Test func theTimeOfTheConnectionCountsWhereItIsLonger() async throws {
        let rig = PollerRig([registers([0])], limits: DeviceLimits(timeout: .milliseconds(100)))
        rig.bus.fail(1, .noResponse)
        try await rig.run { await rig.clock.advance(by: .milliseconds(1500)) }
        #expect(rig.times(of: 1).count == 2)
    }

    @Test func betweenTwoRequestsADeviceRestsAsLongAsItsProfileSays() async throws {
        let rig = PollerRig([registers([0, 200, 400])], limits: DeviceLimits(gap: 0, pause: .milliseconds(50)))
        try await rig.run { await rig.clock.advance(by: .milliseconds(900)) }
        let times = rig.times(of: 1)
        #expect(times.count == 3)
        #expect(zip(times.dropFirst(), times).allSatisfy { $0 - $1 >= .milliseconds(60) }, "\(times)")
    }

    @Test func oneDeadUnitAmongThreeLeavesTheOthersTheirPeriod() async throws {
        let rig = PollerRig([registers([0]), registers([0]), registers([0])])
        rig.bus.fail(2, .noResponse)
        try await rig.run { await rig.clock.advance(by: .seconds(600)) }
        for unit in [UInt8(1), 3] { #expect(rig.times(of: unit).count >= 585, "unit \(unit)") }
        let settled = rig.bus.requests.filter { $0.unit == 2 && $0.time - rig.start > .seconds(200) }
        let spent = settled.reduce(Duration.zero) { $0 + $1.timeout }
        #expect(spent <= .seconds(9), "2 % of 400 s, and what was saved before: \(spent)")
        // Behind a gateway that waits for a dead unit the others wait with it: nothing is narrowed there.
        #expect(rig.bus.requests.allSatisfy { $0.timeout == .seconds(1) })
        #expect(rig.batches(of: 2).count > 580)
        #expect(rig.batches(of: 2).allSatisfy { $0.values == [.null] && $0.reasons == [QualityReasons(.timeout)] })
        #expect(rig.board.status(of: "d2")?.state == .offline)
        #expect(rig.board.status(of: "d1")?.state == .online)
    }

    @Test func aUnitThatIsAloneBehindItsEndpointIsWaitedForAsLongAsItUsuallyNeeds() async throws {
        let rig = PollerRig([registers([0])])
        try await rig.run {
            await rig.clock.advance(by: .seconds(60))
            rig.bus.fail(1, .noResponse)
            await rig.clock.advance(by: .seconds(3))
        }
        let timeouts = rig.bus.requests.map(\.timeout)
        #expect(timeouts.prefix(32).allSatisfy { $0 == .seconds(1) })
        #expect(timeouts[33..<60].allSatisfy { $0 == .milliseconds(100) })
        // The 62nd is the one that is lost.
        #expect(timeouts.dropFirst(61).prefix(2) == [.milliseconds(100), .seconds(1)], "then as long as is configured")
        let timing = try #require(rig.board.status(of: "d1")?.timing)
        #expect(timing.timeout == .seconds(1) && timing.replies.quantile(0.5).map { $0 < .milliseconds(13) } == true)
    }

    @Test func aRecoveredUnitIsGoodWithinOneProbe() async throws {
        let rig = PollerRig([registers([0, 500]), registers([0])])
        rig.bus.fail(1, .noResponse)
        try await rig.run {
            await rig.clock.advance(by: .seconds(300))
            let before = rig.times(of: 1).count
            rig.bus.answer(1, with: 9)
            while rig.times(of: 1).count == before { await rig.clock.advance(by: .milliseconds(100)) }
            await rig.clock.advance(by: .seconds(1))
        }
        let first = rig.batches(of: 1).first { $0.reasons.contains([]) }
        #expect(first?.values == [.int(9), .int(9)])
        #expect(rig.board.status(of: "d1")?.state == .online)
    }

    @Test func aDeviceThatIsDownIsToldByAGapRecordWhenItIsBack() async throws {
        let rig = PollerRig([registers([0]), registers([0])])
        try await rig.run {
            await rig.clock.advance(by: .milliseconds(9990))
            rig.bus.fail(1, .linkDown("connection refused"))
            await rig.clock.advance(by: .seconds(30))
            rig.bus.answer(1, with: 9)
            await rig.clock.advance(by: .seconds(5))
        }
        let gaps = rig.journal.entries.compactMap { if case .gap(let gap) = $0.body { gap } else { nil } }
        #expect(gaps.map(\.reason) == [.deviceDown] && gaps.first?.device == "d1")
        let silent = rig.batches(of: 1).filter { $0.reasons == [QualityReasons(.commDown)] }
        #expect(gaps.first?.count == UInt64(silent.count) && silent.count >= 29)
        #expect(gaps.first.map { $0.to - $0.from >= .seconds(28) } == true)
    }

    @Test func aLinkThatIsDownMakesEveryPointOfEveryDeviceCommDown() async throws {
        let rig = PollerRig([registers([0, 500]), registers([0])])
        for unit in UInt8(1)...2 { rig.bus.fail(unit, .linkDown("connection refused")) }
        try await rig.run { await rig.clock.advance(by: .milliseconds(4990)) }
        let all = rig.batches(of: 1) + rig.batches(of: 2)
        #expect(rig.batches(of: 1).count == 5)
        #expect(rig.batches(of: 2).count == 5)
        #expect(all.allSatisfy { $0.reasons.allSatisfy { $0 == QualityReasons(.commDown) } })
        #expect(rig.batches(of: 1).allSatisfy { $0.count == 2 })
        // The second block of a poll is not asked any more.
        #expect(rig.bus.requests.allSatisfy { $0.span.start == 0 })
    }

    @Test(
        arguments: [
            (1, .notImplemented), (2, .badAddress), (3, .badAddress), (4, .deviceFailure), (5, .deviceBusy),
            (6, .deviceBusy), (8, .deviceFailure), (0x0A, .commDown), (0x0B, .commDown),
        ] as [(UInt8, QualityReason)])
    func exceptionsHaveTheirReasons(code: UInt8, reason: QualityReason) async throws {
        let rig = PollerRig([registers([0])])
        rig.bus.fail(1, .refused(code))
        try await rig.run { await rig.clock.advance(by: .milliseconds(4990)) }
        let batches = rig.batches(of: 1)
        #expect(batches.count == 5)
        #expect(batches.allSatisfy { $0.reasons == [QualityReasons(reason)] }, "\(batches.map(\.reasons))")
    }

    @Test func aBusyDeviceIsAskedThreeTimesAndNotMore() async throws {
        let rig = PollerRig([registers([0])])
        rig.bus.fail(1, .refused(6))
        try await rig.run { await rig.clock.advance(by: .milliseconds(990)) }
        #expect(rig.bus.requests.count == 3)
    }

    @Test func whatIsGarbledIsAProtocolErrorAndTheUnitIsAskedAgain() async throws {
        let rig = PollerRig([registers([0])])
        rig.bus.fail(1, .garbled("CRC"))
        try await rig.run { await rig.clock.advance(by: .milliseconds(9990)) }
        #expect(rig.times(of: 1).count == 10)
        #expect(rig.batches(of: 1).allSatisfy { $0.reasons == [QualityReasons(.protocolError)] })
    }

    @Test func oneRefusedAddressCostsOnePointAndNoPollIsSilent() async throws {
        // Two full blocks, so that halves of the first could grow into the second.
        let rig = PollerRig([registers(Array(0..<200))])
        rig.bus.script(1) { span in
            span.start <= 74 && 74 < span.end
                ? .failure(.refused(2)) : .success((0..<span.registerCount).map { span.start + UInt16($0) })
        }
        try await rig.run { await rig.clock.advance(by: .milliseconds(4990)) }
        let batches = rig.batches(of: 1)
        #expect(batches.count == 5)
        for batch in batches {
            #expect(Set(batch.points).count == 200, "points are missing")
            #expect(batch.count == 200)
            for (point, (value, reasons)) in zip(batch.points, zip(batch.values, batch.reasons)) {
                if point == 74 {
                    #expect(reasons == QualityReasons(.badAddress))
                } else {
                    #expect(value == .int(Int64(point)) && reasons.isEmpty)
                }
            }
        }
        #expect(rig.board.status(of: "d1")?.learned.refused.map(\.description) == ["holding 74"])
        let repeated = rig.bus.requests.filter { $0.span.start == 74 && $0.span.registerCount == 1 }
        #expect(repeated.count == 1)
    }

    @Test func numbersAreContiguousAfterTheDeadband() async throws {
        let rig = PollerRig([registers([0], deadband: 2)])
        try await rig.run {
            for word in [UInt16(10), 11, 12, 13, 13, 20, 9, 9] {
                rig.bus.answer(1, with: word)
                await rig.clock.advance(by: .seconds(1))
            }
        }
        let batches = rig.batches(of: 1)
        #expect(batches.map(\.values) == [[.int(10)], [.int(13)], [.int(20)], [.int(9)]])
        #expect(batches.flatMap(\.numbers) == [0, 1, 2, 3])
    }

    @Test func aDeadbandNeverHidesAFaultAndIsSilentForSixtyPeriodsAtMost() async throws {
        let rig = PollerRig([registers([0], deadband: 1000)])
        try await rig.run {
            await rig.clock.advance(by: .milliseconds(120_500))
            #expect(rig.batches(of: 1).count == 3)
            rig.bus.fail(1, .garbled("CRC"))
            await rig.clock.advance(by: .seconds(1))
        }
        #expect(rig.batches(of: 1).last?.reasons == [QualityReasons(.protocolError)])
        #expect(rig.batches(of: 1).flatMap(\.numbers) == [0, 1, 2, 3])
    }

    @Test func pollsThatASlowBusMissesAreToldAsOneGap() async throws {
        let rig = PollerRig([registers([0], every: .milliseconds(100))])
        rig.bus.fail(1, .noResponse)
        try await rig.run {
            await rig.clock.advance(by: .milliseconds(1500))
            rig.bus.answer(1, with: 1)
            await rig.clock.advance(by: .seconds(10))
        }
        let gaps = rig.journal.entries.compactMap { entry -> GapRecord? in
            if case .gap(let gap) = entry.body, gap.reason == .notPolled { gap } else { nil }
        }
        #expect(gaps.count == 1)
        #expect(gaps.first?.device == "d1")
        let missed = gaps.reduce(0) { $0 + $1.count }
        #expect(missed == rig.board.status(of: "d1")?.missedPolls)
        // Polled or told as missed: every deadline of 11.5 seconds is accounted for.
        #expect((114...116).contains(UInt64(rig.batches(of: 1).count) + missed))
    }

    @Test(arguments: [-3600, 3600])
    func aClockThatIsSetDuringARequestPutsNoValueHalfwayBetweenOldAndNew(seconds: Int) async throws {
        let rig = PollerRig([registers([0])])
        rig.bus.script(1) { [clock = rig.clock] _ in
            clock.stepUTC(by: .seconds(seconds))
            return .success([1])
        }
        try await rig.run { await rig.clock.advance(by: .milliseconds(1500)) }
        let offsets = zip(rig.batches(of: 1), rig.times(of: 1)).enumerated().map { index, poll in
            let halfway = ManualClock().utc + poll.1 + .milliseconds(5)
            return poll.0.times[0] - halfway - .seconds(seconds * (index + 1))
        }
        #expect(!offsets.isEmpty && offsets.allSatisfy { $0 == .zero }, "\(offsets)")
    }

    @Test func readNowTellsValuesInTheOrderOfTheProfile() async throws {
        let rig = PollerRig([registers([300, 0], every: .seconds(3600))])
        rig.bus.script(1) { span in .success((0..<span.registerCount).map { span.start + UInt16($0) }) }
        try await rig.run {
            await rig.clock.advance(by: .seconds(5))
            async let rows = rig.poller.readNow("d1")
            await rig.clock.waitForSleepers(2)
            await rig.clock.advance(by: .milliseconds(10), sleepers: 2)
            await rig.clock.waitForSleepers(2)
            await rig.clock.advance(by: .milliseconds(10), sleepers: 1)
            #expect(await rows?.map(\.value) == [.int(300), .int(0)])
        }
    }
}

@Suite struct LossTallyTests {
    private let start = UnixTime(milliseconds: 0)

    /// What is told of ten minutes in which the polls of the seconds that `isLost` names are lost.
    private func records(_ reason: GapReason, every: Duration, where isLost: (Int) -> Bool) -> [GapRecord] {
        var tally = LossTally(reason, longestSilence: every)
        var records: [GapRecord] = []
        for second in 0..<600 {
            let now = start + .seconds(second)
            if isLost(second) { tally.add(1, from: now, to: now, at: .seconds(second)) }
            let record = tally.record(device: "d", at: .seconds(second), isOver: !isLost(second))
            if let record { records.append(record) }
        }
        let last = tally.record(device: "d", at: .seconds(600), isOver: false, isLast: true)
        return records + (last.map { [$0] } ?? [])
    }

    @Test func aLossThatGoesOnIsToldNowAndThen() {
        let records = records(.notPolled, every: .seconds(60)) { _ in true }
        #expect(records.count == 10)
        #expect(records.reduce(0) { $0 + $1.count } == 600)
    }

    @Test func aLossThatIsOverIsToldAtOnce() {
        let records = records(.deviceDown, every: .seconds(600)) { (100..<130).contains($0) }
        let span = (start + .seconds(100), start + .seconds(129))
        #expect(records == [GapRecord(device: "d", from: span.0, to: span.1, reason: .deviceDown, count: 30)])
    }

    @Test func aLossThatComesAndGoesIsToldOnceAMinuteAndCountedWhole() {
        let records = records(.deviceDown, every: .seconds(600)) { $0 % 2 == 0 }
        #expect(records.count <= 11)
        #expect(records.reduce(0) { $0 + $1.count } == 300)
        #expect(zip(records, records.dropFirst()).allSatisfy { $0.to < $1.from })
    }

    @Test func aClockThatIsSetBackDoesNotTurnTheTimesOfALossAround() {
        var tally = LossTally(.notPolled, longestSilence: .seconds(60))
        let later = start + .seconds(3600)
        tally.add(1, from: later, to: later, at: .seconds(1))
        tally.add(1, from: start, to: start, at: .seconds(2))
        let record = tally.record(device: "d", at: .seconds(3), isOver: true)
        #expect(record == GapRecord(device: "d", from: start, to: later, reason: .notPolled, count: 2))
    }
}
