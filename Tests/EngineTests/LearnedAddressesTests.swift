import GatewayTesting
import Model
import Testing

@testable import Engine

@Suite(.timeLimit(.minutes(1))) struct LearnedAddressesTests {
    private static func refuse(_ rig: PollerRig, _ address: UInt16) {
        rig.bus.script(1) { span in
            span.start <= address && Int(address) < span.end
                ? .failure(.refused(2)) : .success((0..<span.registerCount).map { span.start + UInt16($0) })
        }
    }

    /// What a first run over 100 registers with one refused address finds out.
    private static func learn(_ address: UInt16) async throws -> LearnedAddresses {
        let rig = PollerRig([registers(Array(0..<100))])
        refuse(rig, address)
        try await rig.run { await rig.clock.advance(by: .milliseconds(990)) }
        return try #require(rig.board.status(of: "d1")).learned
    }

    @Test func aRestartSpendsNoRequestOnWhatIsKnownToBeRefused() async throws {
        let learned = try await Self.learn(37)
        #expect(learned.refused.map(\.description) == ["holding 37"])
        let rig = PollerRig([registers(Array(0..<100))], learned: learned)
        Self.refuse(rig, 37)
        try await rig.run { await rig.clock.advance(by: .milliseconds(4990)) }
        #expect(rig.bus.requests.allSatisfy { $0.span.start > 37 || $0.span.end <= 37 })
        #expect(rig.batches(of: 1).count == 5)
        for batch in rig.batches(of: 1) {
            #expect(batch.count == 100 && batch.reasons.count { $0 == QualityReasons(.badAddress) } == 1)
        }
        #expect(rig.board.status(of: "d1")?.state == .degraded)
    }

    @Test func whatWasRefusedIsAskedAgainAfterAWhileAndForgottenWhenItAnswers() async throws {
        let learned = try await Self.learn(37)
        let rig = PollerRig([registers(Array(0..<100))], learned: learned)
        rig.bus.script(1) { span in .success((0..<span.registerCount).map { span.start + UInt16($0) }) }
        try await rig.run { await rig.clock.advance(by: PolledDevice.parkingTime + .seconds(5)) }
        let status = try #require(rig.board.status(of: "d1"))
        #expect(status.learned.refused.isEmpty)
        #expect(status.state == .online)
        #expect(rig.batches(of: 1).first?.reasons.contains(QualityReasons(.badAddress)) == true)
        #expect(rig.batches(of: 1).last?.reasons.allSatisfy(\.isEmpty) == true)
    }

    @Test func aDeviceThatRefusesEverythingWhileItStartsIsReadByOneRequestAsSoonAsItIsReady() async throws {
        let rig = PollerRig([registers(Array(0..<10))])
        rig.bus.script(1) { _ in .failure(.refused(2)) }
        try await rig.run {
            await rig.clock.advance(by: .milliseconds(2990))
            #expect(rig.board.status(of: "d1")?.learned.isEmpty == true)
            rig.bus.script(1) { span in .success((0..<span.registerCount).map { span.start + UInt16($0) }) }
            await rig.clock.advance(by: .seconds(1))
        }
        #expect(rig.board.status(of: "d1")?.learned == LearnedAddresses())
        #expect(rig.bus.requests.last?.span.registerCount == 10)
    }

    @Test func aSpanThatThePlanNoLongerAsksForIsNotHeldAgainstTheDevice() {
        let device = Device(
            id: "d", profile: "p/q", revision: 1, connection: "c", unit: 1, owner: "o", points: registers([0, 1]))
        let span = RegisterSpan(table: .holding, start: 7, registerCount: 2)
        let polled = PolledDevice(
            device: device, layout: 1, cost: .tcp, learned: LearnedAddresses(refused: [span]), at: .zero)
        #expect(polled.learned.refused.isEmpty)
    }
}

@Suite struct DeviceStatusTests {
    @Test func theRecentErrorRateForgetsWhatIsLongAgo() {
        var status = DeviceStatus()
        for _ in 0..<10 { status.countPoll(failed: true) }
        #expect((status.recentlyFailed, status.recentPolls) == (10, 10))
        for _ in 0..<60 { status.countPoll(failed: false) }
        #expect((status.recentlyFailed, status.recentPolls, status.failedPolls) == (4, 64, 10))
    }

    @Test func aDeviceWhoseValuesTheDeadbandHoldsBackIsStillSeenToAnswer() async throws {
        let rig = PollerRig([registers([0], deadband: 5)])
        try await rig.run {
            await rig.clock.advance(by: .milliseconds(1990))
            let first = rig.board.status(of: "d1")?.lastGood
            await rig.clock.advance(by: .seconds(2))
            let second = rig.board.status(of: "d1")?.lastGood
            #expect(first.flatMap { first in second.map { $0 - first } } == .seconds(2))
        }
    }
}
