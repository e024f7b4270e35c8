import Engine
import GatewayTesting
import Model
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(1))) struct ControlRoomTests {
    /// Everything outside of the room: notes what happens, and how many commits the ledger had taken by then.
    final class Surroundings: SetpointWriter, ControlUplink, OutcomeSource {
        struct Notes {
            var writes: [(write: SetpointWrite, commits: Int)] = []
            var readBacks: [SetpointWrite] = []
            var looks: [String] = []
            var events: [(event: CommandEvent, commits: Int)] = []
            var acknowledged: [(token: DeliveryToken, commits: Int)] = []
            var answers: [DeliveryToken: DeskRefusal?] = [:]
            var outcomes: [Outcome] = []
            var unrecorded: [SetpointWrite] = []
            var next: WriteOutcome?
            var value = PointValue.double(7)
        }

        let notes = Mutex(Notes())
        let ledger: MemoryLedger

        init(_ ledger: MemoryLedger) { self.ledger = ledger }

        func write(_ write: SetpointWrite) async -> WriteOutcome {
            notes.withLock { notes in
                notes.writes.append((write, ledger.commits))
                if let next = notes.next { return next }
                notes.value = write.value
                return .verified(write.value)
            }
        }

        func readBack(_ write: SetpointWrite) async -> ReadBack {
            notes.withLock { notes in
                notes.readBacks.append(write)
                return .value(notes.value)
            }
        }

        func look(_ point: String) async -> ReadBack {
            notes.withLock { notes in
                notes.looks.append(point)
                return .value(notes.value)
            }
        }

        func beat(_ point: String, _ value: PointValue) async -> String? { nil }

        func publish(_ message: DeskMessage) async {
            if case .event(let event) = message { notes.withLock { $0.events.append((event, ledger.commits)) } }
            if case .outcome(let outcome) = message { notes.withLock { $0.outcomes.append(outcome) } }
        }

        func acknowledge(_ token: DeliveryToken) async {
            notes.withLock { $0.acknowledged.append((token, ledger.commits)) }
        }

        func answer(_ token: DeliveryToken, refusal: DeskRefusal?) async {
            notes.withLock { $0.answers[token] = refusal }
        }

        func willWriteUnrecorded(_ write: SetpointWrite) async {
            notes.withLock { $0.unrecorded.append(write) }
        }

        func outcome(of plan: OutcomePlan) async -> Outcome? {
            OutcomeBuilder(plan).build(samples: [:], periods: [:])
        }

        func states(_ number: UInt64) -> [CommandState] {
            notes.withLock { notes in
                notes.events.filter { $0.event.id == ControlFixture.id(number) }.map(\.event.state)
            }
        }
    }

    struct World {
        let clock = ManualClock()
        let ledger = MemoryLedger()
        let outside: Surroundings
        let room: ControlRoom

        init(_ ledger: MemoryLedger? = nil, site: ControlSite = ControlFixture.site()) {
            let ledger = ledger ?? self.ledger
            outside = Surroundings(ledger)
            room = ControlRoom(
                site: site, ledger: ledger, writer: outside, uplink: outside, outcomes: outside, clock: clock)
        }

        var now: Moment { Moment(utc: clock.utc, uptime: clock.uptime) }

        func tellReadings() async {
            await room.submit(
                .readings([
                    ControlFixture.sample("a", .double(7), at: now),
                    ControlFixture.sample("running", .bool(true), at: now),
                ]))
        }

        func ask(_ number: UInt64, value: Double = 7.5) async {
            await room.submit(.request(ControlFixture.request(ControlFixture.command(number, value: value, at: now))))
        }

        /// Lets everybody work until `condition` holds.
        func wait(_ condition: () -> Bool) async -> Bool {
            for _ in 0..<200_000 {
                if condition() { return true }
                await Task.yield()
            }
            return false
        }

        /// Runs the room for as long as `body` takes.
        func running(_ body: (World) async throws -> Void) async rethrows {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { await room.run() }
                defer { group.cancelAll() }
                try await body(self)
            }
        }
    }

    @Test func nothingLeavesBeforeItsCommit() async throws {
        let world = World()
        await world.running { world in
            await world.tellReadings()
            await world.ask(1)
            #expect(await world.wait { world.outside.states(1).last == .verified })
            let notes = world.outside.notes.withLock { ($0.writes, $0.events, $0.acknowledged) }
            // The start is one commit, receiving to executing the second, the verified write the third.
            #expect(notes.0.map(\.commits) == [2])
            #expect(notes.0.map(\.write.tag) == [WriteTag(command: ControlFixture.id(1))])
            #expect(notes.1.map(\.event.state) == [.received, .approved, .executing, .written, .verified])
            #expect(notes.1.map(\.commits) == [2, 2, 2, 3, 3])
            #expect(notes.2.map(\.commits) == [2])
        }
    }

    @Test func whileTheRoomRestsNothingIsWrittenAndAfterwardsItIs() async throws {
        let world = World()
        await world.running { world in
            await world.tellReadings()
            await world.room.rest(within: .seconds(3))
            await world.ask(1)
            #expect(await world.wait { world.outside.states(1).last == .approved })
            #expect(world.outside.notes.withLock { $0.writes.isEmpty })
            await world.room.resume()
            #expect(await world.wait { world.outside.states(1).last == .verified })
        }
    }

    @Test func withoutALedgerRequestsAreRefusedAndALockoutIsKept() async throws {
        let world = World()
        await world.running { world in
            await world.tellReadings()
            #expect(await world.wait { world.ledger.commits == 1 })
            world.ledger.fail(.unavailable("disk full"))
            await world.ask(1)
            #expect(await world.wait { world.outside.states(1) == [.rejected] })
            #expect(world.outside.notes.withLock { $0.events.last?.event.code } == .auditUnavailable)
            #expect(world.outside.notes.withLock { $0.writes.isEmpty })
            let lockout = IncomingOrder(.lockout(.site, isOn: true), sender: Sender(name: "room"), token: 99)
            await world.room.submit(.order(lockout))
            world.ledger.fail(nil)
            await world.clock.advance(by: .seconds(3))
            #expect(await world.wait { world.outside.notes.withLock { $0.answers[99] != nil } })
            await world.tellReadings()
            await world.ask(2)
            #expect(await world.wait { world.outside.states(2).contains(.rejected) })
            #expect(world.outside.notes.withLock { $0.events.last?.event.code } == .lockedOut)
        }
    }

    @Test func withoutALedgerNothingIsSaidUnderTheIdOfACommandInEffect() async throws {
        let world = World()
        await world.running { world in
            await world.tellReadings()
            let request = ControlFixture.request(ControlFixture.command(1, value: 7.5, at: world.now))
            await world.room.submit(.request(request))
            #expect(await world.wait { world.outside.states(1).last == .verified })
            world.ledger.fail(.unavailable("disk full"))
            await world.ask(2)
            #expect(await world.wait { world.outside.states(2) == [.rejected] })
            await world.room.submit(.request(request))
            #expect(await world.wait { world.outside.notes.withLock { $0.answers[1] != nil } })
            #expect(world.outside.states(1).last == .verified)
            #expect(world.outside.notes.withLock { $0.events.last?.event.code } == .auditUnavailable)
        }
    }

    @Test(arguments: 1...3)
    func aCrashBetweenAnyTwoCommitsNeverWritesTwice(commits: Int) async throws {
        let first = World()
        await first.running { world in
            await world.tellReadings()
            #expect(await world.wait { world.ledger.commits == 1 })
            world.ledger.die(after: commits - 1)
            await world.ask(1)
            #expect(await world.wait { !world.outside.states(1).isEmpty })
            let last: CommandState = [.rejected, .executing, .verified][commits - 1]
            #expect(await world.wait { world.outside.states(1).last == last })
            #expect(await world.wait { world.outside.notes.withLock { $0.writes.count } == min(1, commits - 1) })
        }
        first.ledger.revive()
        let written = first.outside.notes.withLock { $0.writes.count }
        let second = World(first.ledger)
        second.outside.notes.withLock { $0.value = first.outside.notes.withLock { $0.value } }
        await second.running { world in
            await world.tellReadings()
            await world.ask(1)
            #expect(await world.wait { world.outside.states(1).contains(.verified) })
        }
        #expect(written + second.outside.notes.withLock { $0.writes.count } == 1)
        #expect(second.outside.notes.withLock { $0.readBacks.count } == (commits == 2 ? 1 : 0))
    }

    @Test func aRoomThatGoesOnForAnotherKnowsWhatItRead() async throws {
        let first = World()
        await first.running { world in
            await world.tellReadings()
            await world.ask(1)
            #expect(await world.wait { world.outside.states(1).last == .verified })
        }
        let second = World(first.ledger)
        if let readings = await first.room.readings { await second.room.adopt(readings) }
        await second.running { world in
            await world.ask(2, value: 7.6)
            #expect(await world.wait { world.outside.states(2).last == .verified })
        }
    }

    @Test func stoppingTakesBackWhatIsLeased() async throws {
        let world = World()
        await world.running { world in
            await world.tellReadings()
            await world.ask(1)
            #expect(await world.wait { world.outside.states(1).last == .verified })
            async let isQuiet = world.room.drain(within: .seconds(5))
            #expect(await world.wait { world.outside.states(1).last == .reverted })
            for _ in 0..<300 { await world.clock.advance(by: .milliseconds(20)) }
            #expect(await isQuiet)
            #expect(world.outside.states(1).suffix(2) == [.reverting, .reverted])
            #expect(world.outside.notes.withLock { $0.writes.last?.write.value } == .int(7))
        }
    }

    @Test func aFullInboxRefusesRequestsAndTakesWhatADeviceSaid() async {
        let world = World()
        for number in 0..<UInt64(ControlRoom.inboxLimit) { await world.ask(number + 1) }
        let request = ControlFixture.request(ControlFixture.command(5000, at: world.now))
        #expect(await !world.room.submit(.request(request)))
        let tag = WriteTag(command: ControlFixture.id(1))
        #expect(await world.room.submit(.wrote(tag, .verified(.int(1)))))
    }
}
