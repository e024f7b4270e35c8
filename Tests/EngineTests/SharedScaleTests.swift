import GatewayTesting
import Model
import Testing

@testable import Engine

/// Points of different periods that need one register: what one poll knows and another needs.
@Suite(.timeLimit(.minutes(1))) struct SharedScaleTests {
    private static func point(
        _ name: String, _ address: UInt16, every: Duration, scale: String? = "sf", sync: String? = nil
    ) -> Point {
        Point(
            name: name, table: .holding, protocolAddress: address, encoding: Encoding(type: .int16),
            scaleReference: scale.map { .exponent(point: $0) }, every: every, syncGroup: sync)
    }

    /// Words: 7 everywhere, −1 at the scale, 500.
    private static func rig(_ points: [Point]) -> PollerRig {
        let rig = PollerRig([points])
        rig.bus.script(1) { span in
            .success((Int(span.start)..<span.end).map { $0 == 500 ? 0xFFFF : 7 })
        }
        return rig
    }

    private static let scaled = PointValue.decimal(DecimalNumber(mantissa: 7, exponent: -1))

    /// The values of a point, in the order in which they were journaled.
    private static func values(of point: Int, _ rig: PollerRig) -> [PointValue] {
        rig.batches(of: 1).flatMap { batch in
            zip(batch.points, batch.values).filter { Int($0.0) == point }.map(\.1)
        }
    }

    @Test func pointsOfAllPeriodsAreScaledByOneRegister() async throws {
        let rig = Self.rig([
            Self.point("fast", 0, every: .seconds(1)), Self.point("slow", 1, every: .seconds(20)),
            Self.point("slowest", 2, every: .seconds(60)), Self.point("sf", 500, every: .seconds(5), scale: nil),
        ])
        try await rig.run { await rig.clock.advance(by: .seconds(121)) }
        for point in 0...2 {
            let values = Self.values(of: point, rig)
            #expect(!values.isEmpty && values.allSatisfy { $0 == Self.scaled }, "point \(point): \(values)")
        }
    }

    @Test func whatIsReadAlongIsPublishedByItsOwnJobOnly() async throws {
        let rig = Self.rig([
            Self.point("fast", 0, every: .seconds(1)), Self.point("slow", 1, every: .seconds(10)),
            Self.point("sf", 500, every: .seconds(1), scale: nil),
        ])
        try await rig.run { await rig.clock.advance(by: .milliseconds(29_990)) }
        #expect(Self.values(of: 2, rig).count == 30)
        #expect(Self.values(of: 1, rig).count == 3)
    }

    @Test func aSyncGroupThatMakesAPointFasterTakesItsScaleAlong() async throws {
        let rig = Self.rig([
            Self.point("slow", 0, every: .seconds(60), sync: "g"),
            Self.point("fast", 1, every: .seconds(1), scale: nil, sync: "g"),
            Self.point("sf", 500, every: .seconds(60), scale: nil),
        ])
        try await rig.run { await rig.clock.advance(by: .milliseconds(4990)) }
        let values = Self.values(of: 0, rig)
        #expect(values.count == 5 && values.allSatisfy { $0 == Self.scaled }, "\(values)")
    }

    @Test func aScaleThatCannotBeReadSaysWhy() async throws {
        let rig = Self.rig([
            Self.point("fast", 0, every: .seconds(1)), Self.point("slow", 1, every: .seconds(20)),
            Self.point("sf", 500, every: .seconds(1), scale: nil),
        ])
        rig.bus.script(1) {
            $0.end > 500 ? .failure(.refused(2)) : .success(Array(repeating: 7, count: $0.registerCount))
        }
        try await rig.run { await rig.clock.advance(by: .seconds(61)) }
        let reasons = Set(rig.batches(of: 1).flatMap { zip($0.points, $0.reasons) }.filter { $0.0 < 2 }.map(\.1))
        #expect(reasons == [QualityReasons(.badAddress)])
    }
}
