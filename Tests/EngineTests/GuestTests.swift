import GatewayTesting
import Model
import Synchronization
import Testing

@testable import Engine

private final class Flag: Sendable {
    private let state = Mutex(false)
    var isUp: Bool { state.withLock { $0 } }

    func raise() {
        state.withLock { $0 = true }
    }
}

/// Looking for units between polls, and polls that rest, in virtual time.
@Suite(.timeLimit(.minutes(1))) struct GuestTests {
    /// Asks a silent unit over and over, as a scan does.
    static func seek(_ rig: PollerRig, _ count: Int, wait: Duration) async {
        for _ in 0..<count {
            let bus = rig.bus
            _ = await rig.poller.asGuest { () async -> Bool in
                let span = RegisterSpan(table: .holding, start: 0, registerCount: 1)
                return (try? await bus.read(span, unit: 99, timeout: wait)) != nil
            }
        }
    }

    /// Seeks while `body` moves time, and moves it further until the last request has come to its end.
    static func whileSeeking(_ rig: PollerRig, wait: Duration, _ body: () async -> Void) async {
        let ended = Flag()
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                await seek(rig, 10_000, wait: wait)
                ended.raise()
            }
            await body()
            group.cancelAll()
            while !ended.isUp {
                await rig.clock.advance(by: .milliseconds(10))
                await Task.yield()
            }
        }
    }

    /// Moves time in steps that are short against a request, so that nobody's sleep is jumped over.
    static func step(_ rig: PollerRig, _ duration: Duration) async {
        let end = rig.clock.uptime + duration
        while rig.clock.uptime < end {
            await rig.clock.advance(by: .milliseconds(10))
            // Whoever was woken works on the poller's queue: behind these calls it has done so.
            for _ in 0..<20 { _ = await rig.poller.isStopped }
            await Task.yield()
        }
    }

    @Test func aGuestOnABusWithRoomCostsNoPoll() async throws {
        let rig = PollerRig([registers([0]), registers([0])])
        try await rig.run {
            await Self.whileSeeking(rig, wait: .milliseconds(100)) { await Self.step(rig, .seconds(20)) }
        }
        for unit in UInt8(1)...2 {
            let times = rig.times(of: unit)
            #expect(times.count >= 18, "unit \(unit): \(times.count)")
        }
        #expect(rig.times(of: 99).count >= 15)
    }

    /// How long after the moments at which it was due a unit was asked, at the most; it was due for the first time at `first`.
    static func lateness(_ rig: PollerRig, unit: UInt8, first: Duration) -> Duration {
        rig.times(of: unit).enumerated().map { $1 - first - .seconds(1) * $0 }.max() ?? .zero
    }

    @Test(arguments: [50, 100, 400])
    func aPollWaitsForOneRequestOfAGuestAndForNoOther(milliseconds: Int) async throws {
        let wait = Duration.milliseconds(milliseconds)
        let devices = (0..<3).map { _ in registers([0]) }
        let alone = PollerRig(devices)
        try await alone.run { await alone.clock.advance(by: .milliseconds(990)) }
        let rig = PollerRig(devices)
        rig.bus.script(99) { _ in .failure(.noResponse) }
        try await rig.run { await Self.whileSeeking(rig, wait: wait) { await Self.step(rig, .seconds(30)) } }
        for unit in UInt8(1)...3 {
            let first = try #require(alone.times(of: unit).first)
            #expect(rig.times(of: unit).count >= 29, "no poll is lost")
            // The request that is under way, the polls of the other two, and the step of the clock.
            let worst = Self.lateness(rig, unit: unit, first: first)
            #expect(worst <= wait + .milliseconds(2 * 10 + 10), "unit \(unit): \(worst)")
        }
        #expect(rig.times(of: 99).count >= 10)
    }

    @Test func aGuestSendsNothingWhileSomebodyHasTheLine() async throws {
        let rig = PollerRig([registers([0])])
        try await rig.run {
            await rig.clock.advance(by: .milliseconds(1500))
            await rig.poller.pause()
            #expect(await rig.poller.asGuest { true } == nil)
            await rig.poller.resume()
            #expect(await rig.poller.asGuest { true } == true)
        }
    }

    @Test func onABusThatIsFullAGuestGetsAQuarterOfTheTime() async throws {
        // Forty devices at 10 ms each ten times a second: four times as much as there is time for.
        let rig = PollerRig((0..<40).map { _ in registers([0], every: .milliseconds(100)) })
        try await rig.run {
            await Self.whileSeeking(rig, wait: .milliseconds(50)) {
                await rig.clock.advance(by: .seconds(20))
                let guests = rig.times(of: 99).count
                #expect(guests > 20 && Double(guests) * 0.05 <= 20 * 0.27, "\(guests) requests of 50 ms in 20 s")
            }
        }
    }

    @Test func pollsThatRestAreBadAndToldAndGoOn() async throws {
        let rig = PollerRig([registers([0])])
        try await rig.run {
            await rig.clock.advance(by: .seconds(5))
            await rig.poller.pause()
            let before = rig.times(of: 1).count
            await rig.clock.advance(by: .seconds(10))
            #expect(rig.times(of: 1).count == before, "nothing is asked")
            #expect(rig.bus.closings == 1, "the channel is free for somebody else")
            let row = await rig.poller.readNow("d1")?.first
            #expect(row?.reasons == QualityReasons(.commDown))
            await rig.poller.resume()
            await rig.clock.advance(by: .seconds(5))
            #expect(rig.times(of: 1).count >= before + 4)
        }
        let resting = rig.batches(of: 1).filter { $0.reasons == [QualityReasons(.outOfService)] }
        #expect(!resting.isEmpty && resting.allSatisfy { $0.values == [.null] })
        let gaps = rig.journal.entries.compactMap { entry -> GapRecord? in
            if case .gap(let gap) = entry.body { return gap }
            return nil
        }
        #expect(gaps.map(\.reason) == [.notPolled])
        #expect(gaps.first.map { (9...11).contains($0.count) } == true, "\(gaps)")
        #expect(rig.board.status(of: "d1")?.state == .online)
    }

    @Test func nothingIsWrittenWhilePollsRest() async throws {
        let rig = PollerRig([registers([0])])
        try await rig.run {
            await rig.clock.advance(by: .seconds(1))
            await rig.poller.pause()
            let outcome = await rig.poller.write("d1", point: "r0", value: .int(5))
            guard case .notSent = outcome else {
                Issue.record("\(outcome)")
                return
            }
            await rig.poller.resume()
        }
        #expect(rig.bus.writes.isEmpty)
    }

    @Test func aGuestOfAPollerThatHasStoppedSendsNothing() async throws {
        let rig = PollerRig([registers([0])])
        try await rig.run { await rig.clock.advance(by: .seconds(1)) }
        let value = await rig.poller.asGuest { true }
        #expect(value == nil)
    }
}
