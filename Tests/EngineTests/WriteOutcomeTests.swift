import GatewayTesting
import Model
import Testing

@testable import Engine

/// What `Poller.write` says about devices that do this and that. Nothing takes time here.
@Suite(.timeLimit(.minutes(1))) struct WriteOutcomeTests {
    static func point(_ rule: WriteRule = WriteRule(mode: .single), bits: ClosedRange<Int>? = nil) -> Point {
        Point(
            name: "p", table: .holding, protocolAddress: 10, encoding: Encoding(type: .uint16, bits: bits),
            kind: .setpoint, write: rule)
    }

    static func sequence(rollback: Bool = true) -> WriteRule {
        var rule = WriteRule(mode: .single)
        rule.unlock = [.register(100, 0x55AA)]
        rule.commit = [.register(101, 1)]
        if rollback { rule.rollback = [.register(100, 0)] }
        return rule
    }

    /// A poller that nobody runs, over a bus on which answers and time-outs take no time.
    static func rig(
        _ point: Point, _ device: WritableDevice
    ) -> (poller: Poller, bus: ScriptedBus) {
        let clock = ManualClock()
        let bus = ScriptedBus(clock: clock, replyTime: .zero)
        device.install(on: bus, unit: 1)
        let connection = Connection(name: "bus", channel: .tcp(Endpoint(host: "plc", port: 502)), timeout: .zero)
        let known = Device(
            id: "d1", profile: "test/device", revision: 1, connection: "bus", unit: 1, owner: "us", points: [point])
        let polled = PolledDevice(device: known, layout: 1, cost: .tcp)
        let poller = Poller(
            connection: connection, devices: [polled], bus: bus, journal: MemoryJournal(), clock: clock,
            board: StatusBoard(), phase: 0)
        return (poller, bus)
    }

    @Test(arguments: [
        (WritableDevice.Behaviour.honest, WriteOutcome.verified(.int(50))),
        (.clamps(40), .clamped(.int(40))), (.deaf, .differs(.int(7))), (.refuses(2), .refused(2)),
        (.refuses(4), .refused(4)), (.mute, .verified(.int(50))),
        (.dead, .indeterminate("no answer in time; it now reads 7")),
    ])
    func aDeviceIsTakenAtWhatItShows(behaviour: WritableDevice.Behaviour, outcome: WriteOutcome) async {
        let rig = Self.rig(Self.point(), WritableDevice([10: 7], behaviour: behaviour))
        #expect(await rig.poller.write("d1", point: "p", value: .int(50)) == outcome)
        #expect(rig.bus.writes.map(\.write) == [.register(10, 50)], "one write, whatever became of it")
    }

    @Test func aDeviceThatCannotBeReadIsNotWritten() async {
        let rig = Self.rig(Self.point(), WritableDevice())
        for failure in [BusError.noResponse, .linkDown("gone"), .garbled("noise"), .refused(2)] {
            rig.bus.fail(1, failure)
            guard case .notSent = await rig.poller.write("d1", point: "p", value: .int(50)) else {
                Issue.record("\(failure)")
                continue
            }
        }
        #expect(rig.bus.writes.isEmpty)
    }

    @Test func onceItIsKnownToBeDeadADeviceIsNotEvenAsked() async {
        let rig = Self.rig(Self.point(), WritableDevice())
        rig.bus.fail(1, .noResponse)
        _ = await rig.poller.write("d1", point: "p", value: .int(50))
        rig.bus.forgetRequests()
        guard case .notSent(let reason) = await rig.poller.write("d1", point: "p", value: .int(50)) else {
            Issue.record("a dead device was written")
            return
        }
        #expect(reason.contains("does not answer"))
        #expect(rig.bus.traffic.isEmpty)
    }

    @Test func whatDoesNotExistOrDoesNotFitIsNotSent() async {
        let rig = Self.rig(Self.point(WriteRule(mode: .single, high: 40)), WritableDevice())
        for (device, point, value) in [("d2", "p", 1), ("d1", "q", 1), ("d1", "p", 41), ("d1", "p", 70_000)] {
            let outcome = await rig.poller.write(device, point: point, value: .int(Int64(value)))
            guard case .notSent = outcome else {
                Issue.record("\(device) \(point) \(value): \(outcome)")
                continue
            }
        }
        #expect(rig.bus.traffic.isEmpty)
    }

    @Test func bitsOfASharedRegisterAreMergedOrMasked() async {
        let merged = WritableDevice([10: 0xABCD])
        let rig = Self.rig(Self.point(bits: 4...7), merged)
        #expect(await rig.poller.write("d1", point: "p", value: .int(1)) == .verified(.int(1)))
        #expect(merged[10] == 0xAB1D)
        let masked = WritableDevice([10: 0xABCD])
        let other = Self.rig(Self.point(WriteRule(mode: .mask), bits: 4...7), masked)
        #expect(await other.poller.write("d1", point: "p", value: .int(1)) == .verified(.int(1)))
        #expect(masked[10] == 0xAB1D)
        #expect(other.bus.writes.map(\.write) == [.mask(10, and: 0xFF0F, or: 0x0010)])
    }

    @Test func aSequenceUnlocksWritesAndCommits() async {
        let rig = Self.rig(Self.point(Self.sequence()), WritableDevice([10: 7]))
        #expect(await rig.poller.write("d1", point: "p", value: .int(50)) == .verified(.int(50)))
        #expect(rig.bus.writes.map(\.write) == [.register(100, 0x55AA), .register(10, 50), .register(101, 1)])
    }

    @Test(arguments: 0...2)
    func aSequenceThatIsRefusedIsRolledBack(at place: Int) async {
        let rig = Self.rig(Self.point(Self.sequence()), WritableDevice([10: 7], behaviour: .refusesWrite(place)))
        let outcome = await rig.poller.write("d1", point: "p", value: .int(50))
        if place < 2 {
            #expect(outcome == .refused(4))
        } else {
            #expect(
                outcome
                    == .indeterminate(
                        "refused with exception 4 (server device failure) (while committing); it now reads 50"))
        }
        let sent = rig.bus.writes.map(\.write)
        #expect(sent.count == place + 2)
        #expect(sent.last == .register(100, 0))
        #expect(Set(sent).count == sent.count, "each of them once")
    }

    @Test(arguments: 0...2)
    func aSequenceThatLosesAnAnswerIsNeverCalledDone(at place: Int) async {
        let rig = Self.rig(Self.point(Self.sequence()), WritableDevice([10: 7], behaviour: .losesWrite(place)))
        switch (place, await rig.poller.write("d1", point: "p", value: .int(50))) {
        case (0, .notSent), (1, .indeterminate), (2, .indeterminate): break
        case (_, let outcome): Issue.record("\(place): \(outcome)")
        }
        #expect(Set(rig.bus.writes.map(\.write)).count == rig.bus.writes.count, "each of them once")
    }

    @Test func aReadBackResolvesWhatWasUnknown() async {
        let rig = Self.rig(Self.point(), WritableDevice([10: 7]))
        #expect(await rig.poller.readBack("d1", point: "p") == .value(.int(7)))
        rig.bus.fail(1, .linkDown("gone"))
        #expect(await rig.poller.readBack("d1", point: "p") == .unreachable("gone"))
        #expect(rig.bus.writes.isEmpty)
    }

    @Test func noEndOfASequenceClaimsMoreThanIsKnown() {
        let failures = [WriteFailure.refused(2), .refused(4), .notSent("n"), .indeterminate("i")]
        for rule in [WriteRule(mode: .single), Self.sequence(), Self.sequence(rollback: false)] {
            for acknowledged in 0...(rule.unlock.count + rule.commit.count) {
                for failure in failures {
                    for (found, holds) in [(nil, false), (.int(7), false), (.int(50), true)] as [(PointValue?, Bool)] {
                        let end = SequenceBreak(acknowledged: acknowledged, failure: failure, rule: rule)
                        let failed = end.outcome(wasRolledBack: false, found: found, holds: holds)
                        let outcome = end.outcome(wasRolledBack: true, found: found, holds: holds)
                        switch (outcome, acknowledged) {
                        case (.verified, _): #expect(holds && rule.unlock.isEmpty)
                        case (.refused, 1...), (.notSent, 1...):
                            #expect(!holds || acknowledged < rule.unlock.count, "\(end)")
                        case (.refused, _), (.notSent, _), (.indeterminate, _): break
                        case (.differs, _), (.clamped, _), (.unverified, _), (.wrongDevice, _):
                            Issue.record("nothing was acknowledged: \(end)")
                        }
                        guard acknowledged > 0 else { continue }
                        guard case .indeterminate = failed else {
                            Issue.record("not rolled back, and yet: \(failed)")
                            continue
                        }
                    }
                }
            }
        }
    }
}
