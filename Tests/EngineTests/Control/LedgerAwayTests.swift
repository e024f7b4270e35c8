import Engine
import GatewayTesting
import Model
import Synchronization
import Testing

/// What was granted ends in time also while nothing can be recorded, and nothing else happens.
@Suite(.timeLimit(.minutes(1))) struct LedgerAwayTests {
    typealias World = ControlRoomTests.World
    typealias Plant = DeskTests.Plant
    static let full = LedgerError.unavailable("disk full")

    private func leaves(_ ledger: MemoryLedger, _ kind: String) throws -> [JSONValue] {
        try ledger.leaves.map { try JSONValue(parsing: $0) }.filter { $0["kind"] == .string(kind) }
    }

    private func writes(_ world: World) -> [PointValue] {
        world.outside.notes.withLock { $0.writes.map(\.write.value) }
    }

    /// Lets time pass in small steps, with readings.
    private func pass(_ seconds: Int, _ world: World) async {
        for _ in 0..<seconds {
            await world.clock.advance(by: .seconds(1))
            let value = world.outside.notes.withLock { $0.value }
            await world.room.submit(
                .readings([
                    ControlFixture.sample("a", value, at: world.now),
                    ControlFixture.sample("running", .bool(true), at: world.now),
                ]))
            for _ in 0..<200 { await Task.yield() }
        }
    }

    private func take(_ number: UInt64, _ world: World, lease: Int) async {
        var command = ControlFixture.command(number, value: 7.5, at: world.now)
        command.lease = Command.Lease(duration: .seconds(lease))
        await world.room.submit(.request(ControlFixture.request(command)))
        #expect(await world.wait { world.outside.states(number).last == .verified })
    }

    @Test(arguments: [false, true])
    func aLeaseEndsAtItsFallbackAndIsRecordedOnceTheLedgerIsBack(isReadable: Bool) async throws {
        let world = World()
        try await world.running { world in
            await world.tellReadings()
            await take(1, world, lease: 10)
            world.ledger.fail(Self.full, isReadable: isReadable)
            await world.ask(2)
            #expect(await world.wait { world.outside.states(2) == [.rejected] })
            await pass(12, world)
            #expect(await world.wait { writes(world) == [.double(7.5), .int(7)] })
            #expect(world.outside.notes.withLock { $0.unrecorded.map(\.value) } == [.int(7)])
            // Nothing is said that is not recorded.
            #expect(world.outside.states(1).last == .verified)
            world.ledger.fail(nil)
            await pass(4, world)
            #expect(await world.wait { world.outside.states(1).suffix(2) == [.reverting, .reverted] })
            #expect(writes(world) == [.double(7.5), .int(7)])
            let reverts = try leaves(world.ledger, "revert").map { $0["late"] }
            let away = try leaves(world.ledger, "ledger_away").map { $0["writes"]?.integer(in: 0...Int64.max) }
            #expect(reverts == [.bool(true)] && away == [1])
            await world.ask(3)
            #expect(await world.wait { world.outside.states(3).last == .verified })
        }
    }

    @Test func aCrashBeforeTheLedgerIsBackFindsTheLeaseOver() async throws {
        let first = World()
        await first.running { world in
            await world.tellReadings()
            await take(1, world, lease: 5)
            world.ledger.fail(Self.full)
            await pass(8, world)
            #expect(await world.wait { writes(world).last == .int(7) })
        }
        first.ledger.fail(nil)
        let second = World(first.ledger)
        await second.clock.advance(by: .seconds(20), sleepers: 0)
        await second.running { world in
            #expect(await world.wait { world.outside.states(1).last == .reverted })
            #expect(writes(world).allSatisfy { $0 == .int(7) })
        }
    }

    @Test func aStartWithALedgerThatCanOnlyBeReadEndsWhatIsOver() async throws {
        let first = World()
        await first.running { world in
            await world.tellReadings()
            await take(1, world, lease: 5)
        }
        first.ledger.fail(Self.full, isReadable: true)
        let second = World(first.ledger)
        await second.clock.advance(by: .seconds(20), sleepers: 0)
        await second.running { world in
            #expect(await world.wait { writes(world) == [.int(7)] })
            world.outside.ledger.fail(nil)
            await pass(4, world)
            #expect(await world.wait { world.outside.states(1).last == .reverted })
        }
    }

    @Test func whatTheDeviceSaidWhenTheLedgerWentIsNotForgotten() async throws {
        let world = World()
        await world.running { world in
            await world.tellReadings()
            #expect(await world.wait { world.ledger.commits == 1 })
            // The grant is recorded, what became of the write is not.
            world.ledger.die(after: 1)
            var command = ControlFixture.command(1, value: 7.5, at: world.now)
            command.lease = Command.Lease(duration: .seconds(5))
            await world.room.submit(.request(ControlFixture.request(command)))
            #expect(await world.wait { writes(world) == [.double(7.5)] })
            await pass(8, world)
            #expect(await world.wait { writes(world) == [.double(7.5), .int(7)] })
            world.ledger.revive()
            await pass(4, world)
            #expect(await world.wait { world.outside.states(1).last == .reverted })
        }
    }

    @Test func anAttemptThatFailedBeforeTheLedgerWentIsMadeAgain() async throws {
        let world = World()
        await world.running { world in
            await world.tellReadings()
            await take(1, world, lease: 5)
            world.outside.notes.withLock { $0.next = .notSent("link down") }
            await pass(6, world)
            #expect(writes(world) == [.double(7.5), .int(7)])
            world.outside.notes.withLock { $0.next = nil }
            world.ledger.fail(Self.full)
            await pass(8, world)
            #expect(await world.wait { writes(world) == [.double(7.5), .int(7), .int(7)] })
        }
    }

    @Test func aStopTakesBackWithoutTheLedger() async throws {
        let world = World()
        await world.running { world in
            await world.tellReadings()
            await take(1, world, lease: 500)
            world.ledger.fail(Self.full)
            async let isQuiet = world.room.drain(within: .seconds(5))
            #expect(await world.wait { writes(world).last == .int(7) })
            for _ in 0..<300 { await world.clock.advance(by: .milliseconds(20)) }
            #expect(await isQuiet)
        }
    }

    @Test func aLockoutStopsAtOnceAndIsConfirmedOnceItIsRecorded() async throws {
        let world = World()
        await world.running { world in
            await world.tellReadings()
            await take(1, world, lease: 500)
            world.ledger.fail(Self.full)
            let order = IncomingOrder(.lockout(.site, isOn: true), sender: Sender(name: "room"), token: 99)
            // The outage is noticed by the first commit; an order may be that one.
            await world.room.submit(.order(order))
            #expect(await world.wait { writes(world).last == .int(7) })
            #expect(world.outside.notes.withLock { $0.answers[99] == nil })
            world.ledger.fail(nil)
            await pass(3, world)
            #expect(await world.wait { world.outside.notes.withLock { $0.answers[99] != nil } })
            await world.ask(2)
            #expect(await world.wait { world.outside.states(2).last == .rejected })
        }
    }

    // MARK: - Nothing else

    @Test func whatWaitsIsNotWrittenAndWhatIsPreemptedDoesNotComeBack() throws {
        var plant = try Plant()
        try plant.ask(1, lease: 500)
        try plant.answer()
        try plant.ask(2, ControlFixture.room, value: 8, lease: 10)
        try plant.answer()
        #expect(plant.states(1).last == .preempted)
        // Waits behind a read-back.
        try plant.ask(3, ControlFixture.chief, value: 7.9)
        let desk = plant.desk.keepsake.withoutLedger(after: plant.desk)
        plant.desk = desk
        _ = plant.takeWrite()
        try plant.handle(.wrote(WriteTag(command: ControlFixture.id(3)), .notSent("link down")))
        try plant.pass(12)
        try plant.answer()
        #expect(plant.value["a"] == .int(7))
        #expect(plant.states(2).last == .reverted && plant.states(1).last == .reverted)
    }

    @Test func theEntryOfAWriteNamesFallbackAndLease() throws {
        var plant = try Plant()
        try plant.ask(1, lease: 30)
        try plant.answer()
        var leaves: [JSONValue] = []
        for case .commit(_, let added) in plant.effects { leaves += try added.map { try JSONValue(parsing: $0) } }
        let executing = leaves.first { $0["event"]?["state"] == .string("executing") }
        #expect(executing?["fallback"] == .integer(7) && executing?["lease_s"] == .integer(30))
        #expect(leaves.contains { $0["event"]?["state"] == .string("verified") && $0["until"] != nil })
    }

    @Test func whoDecidesOrOrdersByMessageIsToldThatNothingIsRecorded() async throws {
        let world = World()
        await world.running { world in
            await world.tellReadings()
            let large = ControlFixture.command(1, ControlFixture.rival, value: 8.5, at: world.now)
            await world.room.submit(.request(ControlFixture.request(large, ControlFixture.rival)))
            #expect(await world.wait { world.outside.states(1).last == .held })
            world.ledger.fail(.unavailable("disk full"))
            await world.ask(2)
            #expect(await world.wait { world.outside.states(2) == [.rejected] })
            let chief = Sender(name: "chief")
            let decision = IncomingDecision(
                id: ControlFixture.id(1), gateway: "gw", digest: ControlFixture.request(large).digest,
                expires: world.now.utc + .seconds(60), isApproval: true, sender: chief, token: 8)
            await world.room.submit(.decision(decision))
            let copy = IncomingOrder.Copy(
                digest: [1], issued: world.now.utc, expires: world.now.utc + .seconds(60))
            let lane = IncomingOrder.Order.lane(issuer: "opt", point: "chiller1/a", .shadow)
            await world.room.submit(.order(IncomingOrder(lane, sender: chief, copy: copy, token: 9)))
            #expect(await world.wait { world.outside.notes.withLock { $0.answers[9] != nil } })
            let events = world.outside.notes.withLock { $0.events.map(\.event).suffix(2) }
            #expect(events.map(\.id) == [ControlFixture.id(1), nil])
            #expect(events.map(\.state) == [.held, .rejected])
            #expect(events.map(\.code) == [.auditUnavailable, .auditUnavailable])
            #expect(events.map(\.point) == ["chiller1/a", "chiller1/a"])
        }
    }
}
