import GatewayTesting
import Model
import Testing

@testable import Engine

/// Points that a device says it does not have.
@Suite(.timeLimit(.minutes(1))) struct AbsenceTests {
    private static func point(
        _ name: String, _ address: UInt16, _ meaning: QualityReason, scale: String? = nil
    ) -> Point {
        var encoding = Encoding(type: .uint16, sentinels: [0xFFFF])
        encoding.sentinelReason = meaning
        return Point(
            name: name, table: .holding, protocolAddress: address, encoding: encoding,
            scaleReference: scale.map { .exponent(point: $0) })
    }

    private static func poll(_ points: [Point], _ words: [UInt16]) async throws -> PollerRig {
        let rig = PollerRig([points])
        rig.bus.script(1) { span in .success(Array(words[Int(span.start)..<span.end])) }
        try await rig.run { await rig.clock.advance(by: .milliseconds(2500)) }
        return rig
    }

    @Test func aDeviceWithoutSomePointsIsOnlineAndThePointsSayThatItDoesNotHaveThem() async throws {
        let rig = try await Self.poll(
            [Self.point("a", 0, .notImplemented), Self.point("b", 1, .notImplemented)], [7, 0xFFFF])
        #expect(rig.batches(of: 1).last?.reasons == [[], QualityReasons(.notImplemented)])
        let status = try #require(rig.board.status(of: "d1"))
        #expect(status.state == .online && status.trouble == nil && status.failedPolls == 0)
    }

    @Test func aValueThatIsMissingJustNowIsATrouble() async throws {
        let rig = try await Self.poll([Self.point("a", 0, .sentinel), Self.point("b", 1, .sentinel)], [7, 0xFFFF])
        #expect(rig.batches(of: 1).last?.reasons == [[], QualityReasons(.sentinel)])
        #expect(rig.board.status(of: "d1")?.state == .degraded)
    }

    @Test func withoutItsScaleAPointIsNotThereEither() async throws {
        let rig = try await Self.poll(
            [Self.point("a", 0, .notImplemented, scale: "sf"), Self.point("sf", 1, .notImplemented)], [7, 0xFFFF])
        let absent = QualityReasons(.notImplemented)
        #expect(rig.batches(of: 1).last?.reasons == [absent, absent])
        #expect(rig.board.status(of: "d1")?.state == .online)
    }

    @Test func aDeviceThatRefusesTheFunctionCodeIsInTrouble() async throws {
        let rig = PollerRig([
            [Self.point("a", 0, .notImplemented, scale: "sf"), Self.point("sf", 1, .notImplemented)]
        ])
        rig.bus.script(1) { _ in .failure(.refused(1)) }
        try await rig.run { await rig.clock.advance(by: .milliseconds(2500)) }
        let refused = QualityReasons(.notImplemented)
        #expect(rig.batches(of: 1).last?.reasons == [refused, refused])
        let status = try #require(rig.board.status(of: "d1"))
        #expect(status.state != .online && status.trouble == "not_implemented")
    }
}
