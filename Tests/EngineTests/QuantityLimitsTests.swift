import GatewayTesting
import Model
import Testing

@testable import Engine

/// Devices that give fewer registers by one request than the protocol allows.
@Suite(.timeLimit(.minutes(1))) struct QuantityLimitsTests {
    /// Gives up to `limit` registers at once.
    private static func give(_ rig: PollerRig, upTo limit: Int, else error: BusError) {
        rig.bus.script(1) { span in
            span.registerCount > limit
                ? .failure(error) : .success((0..<span.registerCount).map { span.start + UInt16($0) })
        }
    }

    @Test(arguments: [UInt8(2), 3], [1, 16, 32, 50])
    func theLimitIsFoundByFewRequestsAndKept(exception: UInt8, limit: Int) async throws {
        let rig = PollerRig([registers(Array(0..<125) + Array(1000..<1125))])
        Self.give(rig, upTo: limit, else: .refused(exception))
        try await rig.run { await rig.clock.advance(by: .seconds(30)) }
        let learned = try #require(rig.board.status(of: "d1")).learned
        let found = try #require(learned.registerLimit)
        #expect(found <= limit && found > limit / 2)
        #expect(learned.refused.isEmpty && learned.cuts.isEmpty)
        let refused = rig.bus.requests.count { $0.span.registerCount > limit }
        #expect(refused <= 2 * (125 / limit) + 2, "\(refused) refused requests")
        #expect(rig.batches(of: 1).last?.reasons.allSatisfy(\.isEmpty) == true)

        let again = PollerRig([registers(Array(0..<125))], learned: learned)
        Self.give(again, upTo: limit, else: .refused(exception))
        try await again.run { await again.clock.advance(by: .seconds(3)) }
        #expect(again.bus.requests.allSatisfy { $0.span.registerCount <= limit })
    }

    @Test(arguments: [UInt8(2), 3])
    func oneBlockThatIsRefusedAndGivenInHalvesIsEnough(exception: UInt8) async throws {
        // 36 registers and 22 of them, as an energy meter has them.
        let rig = PollerRig([registers(Array(0..<36) + Array(200..<222))])
        Self.give(rig, upTo: 32, else: .refused(exception))
        try await rig.run { await rig.clock.advance(by: .milliseconds(990)) }
        let learned = try #require(rig.board.status(of: "d1")).learned
        #expect(learned == LearnedAddresses(registerLimit: 22))
        // The block, its halves, the other block, and the two registers on both sides of the cut.
        let begin = ["holding 0…35", "holding 0…17", "holding 18…35", "holding 200…221", "holding 17…18"]
        #expect(rig.bus.requests.prefix(5).map(\.span.description) == begin)
        #expect(rig.bus.requests.count { $0.span.registerCount > 32 } == 1)
        #expect(rig.batches(of: 1).first?.reasons.allSatisfy(\.isEmpty) == true)
    }

    @Test func aBorderInTheMiddleIsNoLimitAndIsAskedAboutOnce() async throws {
        let points = registers(Array(0..<36) + Array(2000..<2010))
        let rig = PollerRig([points])
        rig.bus.script(1) { span in
            span.start < 18 && span.end > 18
                ? .failure(.refused(2)) : .success(Array(repeating: 1, count: span.registerCount))
        }
        try await rig.run { await rig.clock.advance(by: .seconds(10)) }
        let learned = try #require(rig.board.status(of: "d1")).learned
        #expect(learned == LearnedAddresses(cuts: [RegisterCut(table: .holding, address: 18)]))
        #expect(learned.unexplainedCuts(between: points) == [RegisterCut(table: .holding, address: 18)])
        #expect(!learned.forbidsGaps(between: points))
        #expect(rig.bus.requests.count { $0.span.start < 18 && $0.span.end > 18 } == 2)
    }

    @Test func silenceAboutLargeBlocksIsUnderstoodToo() async throws {
        let rig = PollerRig([registers(Array(0..<100))])
        Self.give(rig, upTo: 32, else: .noResponse)
        try await rig.run { await rig.clock.advance(by: .seconds(120)) }
        let learned = try #require(rig.board.status(of: "d1")).learned
        let found = try #require(learned.registerLimit)
        #expect((13...32).contains(found))
        #expect(rig.board.status(of: "d1")?.state == .online)
        #expect(rig.bus.requests.count { $0.span.registerCount > 32 } <= 12)
        let settled = rig.bus.requests.last { $0.span.registerCount > 32 }
        #expect(try #require(settled).time - rig.start < .seconds(60))
    }

    @Test func aDeadUnitIsNotTakenForOneThatGivesLittle() async throws {
        let rig = PollerRig([registers(Array(0..<100))])
        rig.bus.fail(1, .noResponse)
        try await rig.run {
            await rig.clock.advance(by: .seconds(60))
            rig.bus.answer(1, with: 7)
            await rig.clock.advance(by: .seconds(60))
        }
        #expect(rig.board.status(of: "d1")?.learned == LearnedAddresses())
        #expect(rig.bus.requests.last?.span.registerCount == 100)
    }

    @Test func aBorderWithinABlockIsNoLimit() async throws {
        let rig = PollerRig([registers(Array(0..<100))])
        rig.bus.script(1) { span in
            span.start < 90 && span.end > 90
                ? .failure(.refused(2)) : .success(Array(repeating: 1, count: span.registerCount))
        }
        try await rig.run { await rig.clock.advance(by: .seconds(5)) }
        let learned = try #require(rig.board.status(of: "d1")).learned
        #expect(learned.registerLimit == nil && !learned.cuts.isEmpty && learned.refused.isEmpty)
        #expect(rig.bus.requests.contains { $0.span.registerCount == 50 })
    }

    @Test func aRefusedAddressIsNoLimit() async throws {
        let rig = PollerRig([registers(Array(0..<125))])
        rig.bus.script(1) { span in
            span.start <= 37 && 37 < span.end
                ? .failure(.refused(2)) : .success(Array(repeating: 1, count: span.registerCount))
        }
        try await rig.run { await rig.clock.advance(by: .seconds(5)) }
        let learned = try #require(rig.board.status(of: "d1")).learned
        #expect(learned.registerLimit == nil && learned.refused.map(\.description) == ["holding 37"])
    }

    @Test func aRefusedHoleIsToldFromALimit() async throws {
        let points = registers(Array(0..<20) + Array(22..<40))
        let rig = PollerRig([points])
        rig.bus.script(1) { span in
            span.start < 22 && span.end > 20
                ? .failure(.refused(2)) : .success(Array(repeating: 1, count: span.registerCount))
        }
        try await rig.run { await rig.clock.advance(by: .seconds(5)) }
        let learned = try #require(rig.board.status(of: "d1")).learned
        #expect(learned.registerLimit == nil && learned.refused.isEmpty)
        #expect(learned.forbidsGaps(between: points))
        #expect(!LearnedAddresses(cuts: [RegisterCut(table: .holding, address: 10)]).forbidsGaps(between: points))
    }
}
