import Model
import Testing

@Suite struct ReadPlanTests {
    static func point(
        _ name: String, _ address: UInt16, _ type: ValueType = .float32, every: Duration = .seconds(1),
        sync: String? = nil,
        destructive: Bool = false
    ) -> Point {
        Point(
            name: name, table: .holding, protocolAddress: address, encoding: Encoding(type: type), every: every,
            syncGroup: sync, isDestructiveRead: destructive)
    }

    static func spans(_ plan: ReadPlan) -> [String] {
        plan.jobs.flatMap { $0.blocks.map(\.span.description) }
    }

    @Test func neighboursShareARequestUpToTheLimitWithoutSplittingAValue() {
        let points = (0..<100).map { Self.point("p\($0)", UInt16($0 * 2)) }
        let plan = ReadPlan(points: points, limits: DeviceLimits(), cost: .tcp)
        #expect(Self.spans(plan) == ["holding 0…123", "holding 124…199"])
    }

    @Test func gapZeroForbidsBridging() {
        let points = [Self.point("a", 0), Self.point("b", 4)]
        #expect(Self.spans(ReadPlan(points: points, limits: DeviceLimits(gap: 0), cost: .tcp)).count == 2)
        #expect(Self.spans(ReadPlan(points: points, limits: DeviceLimits(), cost: .tcp)) == ["holding 0…5"])
    }

    @Test func slowLinesBridgeLessThanTheNetwork() {
        let line = RequestCost(line: SerialLine(path: "/dev/x", baud: 9600))
        #expect(line.worthwhileGap(in: .holding) < RequestCost.tcp.worthwhileGap(in: .holding))
        #expect(line.worthwhileGap(in: .holding) > 5)
    }

    @Test func destructivePointsAreNeverBridgedTo() {
        let points = [Self.point("a", 0), Self.point("b", 4, destructive: true), Self.point("c", 8)]
        #expect(Self.spans(ReadPlan(points: points, limits: DeviceLimits(), cost: .tcp)).count == 3)
    }

    @Test func aDestructivePointOfAnotherPeriodIsNotReadOver() {
        var slow = Self.point("b", 4, destructive: true)
        slow.every = .seconds(60)
        let points = [Self.point("a", 0), slow, Self.point("c", 8)]
        let spans = Self.spans(ReadPlan(points: points, limits: DeviceLimits(), cost: .tcp))
        #expect(spans == ["holding 0…1", "holding 8…9", "holding 4…5"])
    }

    @Test func aRegisterThatCannotBeReadIsNeitherReadNorReadOver() {
        var trigger = Self.point("b", 4)
        trigger.write = WriteRule(mode: .multiple, readback: .nowhere)
        var points = [Self.point("a", 0), trigger, Self.point("c", 8)]
        let apart = ["holding 0…1", "holding 8…9"]
        #expect(Self.spans(ReadPlan(points: points, limits: DeviceLimits(), cost: .tcp)) == apart)
        // Where it is written elsewhere, its own address is read as that of any point.
        points[1].write?.target = RegisterSpan(table: .holding, start: 40, registerCount: 2)
        #expect(Self.spans(ReadPlan(points: points, limits: DeviceLimits(), cost: .tcp)) == ["holding 0…9"])
        points[1].write?.target = nil
        points[2].scaleReference = .factor(point: "b")
        #expect(Self.spans(ReadPlan(points: points, limits: DeviceLimits(), cost: .tcp)) == ["holding 0…9"])
    }

    @Test func aSyncGroupIsReadByOneRequest() {
        let points = [Self.point("a", 0, sync: "s"), Self.point("b", 60, sync: "s", destructive: false)]
        let plan = ReadPlan(points: points, limits: DeviceLimits(gap: 0), cost: .tcp)
        #expect(Self.spans(plan) == ["holding 0…61"])
    }

    @Test func periodsHaveJobsOfTheirOwn() {
        let points = [Self.point("a", 0), Self.point("b", 2, every: .seconds(60))]
        let plan = ReadPlan(points: points, limits: DeviceLimits(), cost: .tcp)
        #expect(plan.jobs.map(\.period) == [.seconds(1), .seconds(60)])
    }

    @Test func aRefusedBlockIsCutDownToOneValueInBoundedTime() {
        let points = (0..<60).map { Self.point("p\($0)", UInt16($0 * 2)) }
        var cuts: Set<RegisterCut> = []
        var requests = 0
        var refused = ReadPlan(points: points, limits: DeviceLimits(), cost: .tcp).jobs[0].blocks
        // The device refuses whatever contains address 74.
        while let block = refused.first, block.items.count > 1 {
            requests += 1
            cuts.formUnion(block.cutsAfterRefusal)
            let plan = ReadPlan(points: points, limits: DeviceLimits(), cost: .tcp, cuts: cuts)
            refused = plan.jobs[0].blocks.filter { $0.span.start <= 74 && 74 < $0.span.end }
        }
        #expect(refused.map(\.span.description) == ["holding 74…75"])
        #expect(requests <= 6)
    }

    @Test func limitsMakeImpossibleAndRangeMakesUncertain() {
        var point = Self.point("t", 0)
        point.range = NumericRange(low: 180, high: 260)
        point.limits = NumericRange(low: 0, high: 400)
        #expect(point.judged(.value(.float(230))).1.isEmpty)
        #expect(point.judged(.value(.float(300))) == (.float(300), QualityReasons(.outOfRange)))
        #expect(point.judged(.value(.float(500))) == (.null, QualityReasons(.impossible)))
    }

    @Test func deviceHeldExponentsScaleExactly() {
        let value = PointValue.int(2305).scaled(by: .int(-1), .exponent(point: "sf"))
        #expect(value == .value(.decimal(DecimalNumber(mantissa: 2305, exponent: -1))))
        #expect(PointValue.int(1).scaled(by: .double(0.5), .exponent(point: "sf")) == .bad(.decodeError))
    }

    @Test func anOverloadedLineIsSeenBeforehand() {
        let line = SerialLine(path: "/dev/x", baud: 9600)
        let points = (0..<300).map { Self.point("p\($0)", UInt16($0 * 2)) }
        let plan = ReadPlan(points: points, limits: DeviceLimits(), cost: RequestCost(line: line))
        let load = BusLoad(plans: [(plan: plan, pause: .zero)], cost: RequestCost(line: line))
        #expect(load.utilisation > 1)
        #expect(load.stretch > 1)
        #expect(load.periods == [.seconds(1)])
        let fastest = load.fastest(.seconds(1))
        #expect(fastest / .seconds(1) >= load.stretch && fastest / .seconds(1) < load.stretch + 0.1)
        #expect(load.fastest(.seconds(60)) / .seconds(60) >= load.stretch)
    }
}
