import Model
import Testing

/// The walk along a chain of models, over registers that make sense and over those that do not.
@Suite struct SunSpecWalkTests {
    /// Registers that a device answers for; everything else it refuses.
    static func chain(
        at base: UInt16 = 40_000, _ models: [(id: UInt16, length: UInt16)], end: UInt16? = 0xFFFF
    ) -> [Int: UInt16] {
        var words = [Int(base): UInt16(0x5375), Int(base) + 1: 0x6E53]
        var next = Int(base) + 2
        for model in models {
            words[next] = model.id
            words[next + 1] = model.length
            for offset in 0..<Int(model.length) { words[next + 2 + offset] = 7 }
            next += 2 + Int(model.length)
        }
        if let end { (words[next], words[next + 1]) = (end, 0) }
        return words
    }

    /// How the walk ends, and how many requests it took.
    static func walk(_ words: [Int: UInt16], elsewhere: UInt16? = nil) -> (SunSpecWalk.Step, Int) {
        var walk = SunSpecWalk()
        var requests = 0
        while case .read(let span) = walk.step, requests < 1000 {
            requests += 1
            let read = (Int(span.start)..<span.end).compactMap { words[$0] ?? elsewhere }
            walk.received(read.count == span.registerCount ? .words(read) : .refused)
        }
        return (walk.step, requests)
    }

    static func entries(_ step: SunSpecWalk.Step) -> [SunSpecChain.Entry]? {
        if case .found(let chain) = step { chain.entries } else { nil }
    }

    @Test(arguments: [UInt16(40_000), 50_000, 0])
    func aChainIsFoundWhereverItMayBegin(base: UInt16) {
        let (step, requests) = Self.walk(Self.chain(at: base, [(1, 66), (103, 50), (160, 48)]))
        let starts = [2, 70, 122].map { base + $0 }
        let expected = SunSpecChain(
            base: base,
            entries: zip([(1, 66), (103, 50), (160, 48)], starts).map {
                SunSpecChain.Entry(id: $0.0, start: $1, length: $0.1)
            }, end: base + 172)
        #expect(step == .found(expected))
        #expect(requests <= 7)
    }

    @Test func aDeviceWithoutTheMarkIsNone() {
        let words = [40_000: UInt16(0x5375), 40_001: 0x6E54]
        #expect(Self.walk(words).0 == .failed("there is no mark SunS at holding 40000, 50000, 0"))
        #expect(Self.walk([:], elsewhere: 0).0 == .failed("there is no mark SunS at holding 40000, 50000, 0"))
    }

    @Test func aChainThatBreaksOffHasWhatCameBefore() throws {
        let (refused, _) = Self.walk(Self.chain([(1, 65), (101, 50)], end: nil))
        #expect(Self.entries(refused)?.map(\.id) == [1, 101])
        let (zeros, _) = Self.walk(Self.chain([(1, 65), (101, 50)], end: nil), elsewhere: 0)
        #expect(Self.entries(zeros)?.map(\.id) == [1, 101])
        if case .found(let chain) = refused { #expect(chain.end == nil) }
        #expect(
            Self.walk(Self.chain([], end: nil)).0 == .failed("there is no model behind the mark at holding 40000"))
        #expect(Self.walk(Self.chain([])).0 == .failed("there is no model behind the mark at holding 40000"))
    }

    @Test func aModelWithoutRegistersIsPassed() {
        let (step, _) = Self.walk(Self.chain([(1, 66), (500, 0), (103, 50)]))
        #expect(Self.entries(step)?.map(\.id) == [1, 500, 103])
        #expect(Self.entries(step)?.last?.start == 40_072)
    }

    @Test(arguments: [(UInt16(1), UInt16(0)), (1, 1), (0x0101, 0x0101)])
    func aChainThatNeverEndsIsGivenUp(id: UInt16, length: UInt16) {
        var words: [Int: UInt16] = [40_000: 0x5375, 40_001: 0x6E53]
        var address = 40_002
        while address + 1 < 65_536 {
            (words[address], words[address + 1]) = (id, length)
            address += 2 + Int(length)
        }
        let (step, requests) = Self.walk(words, elsewhere: id)
        guard case .failed(let reason) = step else {
            Issue.record("\(step)")
            return
        }
        #expect(reason.contains("do not come to an end") || reason.contains("beyond the last address"))
        #expect(requests <= 101)
    }

    @Test func aLengthThatLeadsBeyondTheLastAddressIsToldWithItsModel() {
        var words = Self.chain([(1, 66), (103, 50)])
        words[40_071] = 60_000
        #expect(
            Self.walk(words).0 == .failed("model 103 of 60000 registers at 40070 leads beyond the last address"))
    }

    @Test func whateverADeviceAnswersTheWalkEnds() {
        for seed in UInt64(1)...300 {
            var state = seed
            func random() -> UInt64 {
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                return state >> 33
            }
            var walk = SunSpecWalk()
            var requests = 0
            while case .read(let span) = walk.step {
                requests += 1
                guard requests < 200 else { break }
                switch random() % 8 {
                case 0 where requests > 3: walk.received(.refused)
                case 1 where requests > 3: walk.received(.words([]))
                default:
                    let isMark = requests <= 2 && random() % 2 == 0
                    walk.received(
                        .words(
                            isMark
                                ? SunSpecChain.mark
                                : (0..<span.registerCount).map { _ in UInt16(random() % 300) }))
                }
            }
            #expect(requests < 110, "seed \(seed)")
        }
    }
}

@Suite struct SunSpecLayoutTests {
    static let selection = SunSpecSelection(
        wanted: [103, 160],
        models: [
            SunSpecModel(
                ids: [101, 103], prefix: "inverter", length: 3,
                points: [point("power", 2, scale: "power_sf"), point("power_sf", 3), point("late", 4)]),
            SunSpecModel(
                ids: [160], prefix: "mppt", length: 4, points: [point("sf", 2), point("n", 3)],
                repeated: SunSpecModel.Repeat(start: 4, stride: 2, points: [point("current", 1, scale: "sf")])),
        ])

    static func point(_ name: String, _ address: UInt16, scale: String? = nil) -> Point {
        Point(
            name: name, table: .holding, protocolAddress: address, encoding: Encoding(type: .int16),
            scaleReference: scale.map { .exponent(point: $0) })
    }

    static func chain(_ entries: [(UInt16, UInt16, Int)]) -> SunSpecChain {
        SunSpecChain(
            base: 0, entries: entries.map { SunSpecChain.Entry(id: $0.0, start: $0.1, length: $0.2) }, end: 99)
    }

    @Test func pointsAreWhereTheirModelsAreAndScaledByTheirOwn() {
        let points = Self.selection.points(of: Self.chain([(1, 2, 6), (103, 10, 3), (103, 20, 3)]))
        #expect(
            points.map(\.name) == [
                "inverter_power", "inverter_power_sf", "inverter_late", "inverter2_power", "inverter2_power_sf",
                "inverter2_late",
            ])
        #expect(points.map(\.protocolAddress) == [12, 13, 14, 22, 23, 24])
        #expect(points[3].scaleReference == .exponent(point: "inverter2_power_sf"))
    }

    @Test func aShorterModelHasFewerPoints() {
        let points = Self.selection.points(of: Self.chain([(103, 10, 1), (103, 20, 2)]))
        #expect(
            points.map(\.name) == ["inverter2_power", "inverter2_power_sf"], "no value without the scale that it needs")
    }

    @Test(arguments: [(2, 0), (3, 0), (4, 1), (8, 3), (9, 3)])
    func blocksRepeatToTheEndOfTheModel(length: Int, blocks: Int) {
        let points = Self.selection.points(of: Self.chain([(160, 10, length)])).filter { $0.name.hasSuffix("current") }
        #expect(points.count == blocks)
        #expect(points.map(\.name) == (0..<blocks).map { "mppt_\($0 + 1)_current" })
        #expect(points.map(\.protocolAddress) == (0..<blocks).map { UInt16(15 + 2 * $0) })
    }

    @Test func aDeviceCanBeFoundAnew() {
        let device = Device(
            id: "d", profile: "p/q", revision: 1, connection: "c", unit: 1, owner: "o",
            points: [Self.point("own", 900)] + Self.selection.points(of: Self.selection.nominal),
            sunSpec: Self.selection)
        #expect(device.undiscovered.points.map(\.name) == ["own"])
        let found = device.holding(Self.chain([(103, 10, 3)]))
        #expect(found.points.map(\.name) == ["own", "inverter_power", "inverter_power_sf", "inverter_late"])
        #expect(found.identity.count == 3)
        #expect(found.undiscovered == device.undiscovered)
        #expect(found.holding(Self.chain([(160, 10, 4)])).points.map(\.name).last == "mppt_1_current")
        #expect(Self.selection.missing(in: Self.chain([(103, 10, 3)])) == [160])
    }
}
