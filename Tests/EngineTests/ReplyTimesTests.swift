import Engine
import GatewayTesting
import Model
import Testing

@Suite struct ReplyTimesTests {
    static let bounds = Duration.milliseconds(100)...Duration.seconds(1)

    static func trusted(_ reply: Duration) -> ReplyTimes {
        var times = ReplyTimes(bounds: bounds)
        for _ in 0..<ReplyTimes.repliesToTrust { times.answered(after: reply) }
        return times
    }

    @Test func theConfiguredTimeOutHoldsUntilEnoughRepliesWereSeen() {
        var times = ReplyTimes(bounds: Self.bounds)
        for _ in 1..<ReplyTimes.repliesToTrust {
            times.answered(after: .milliseconds(5))
            #expect(times.timeout == .seconds(1))
        }
        times.answered(after: .milliseconds(5))
        #expect(times.timeout == .milliseconds(100))
    }

    @Test(arguments: [(5, 100...100), (50, 150...195), (200, 600...780), (400, 1000...1000)])
    func itIsThreeTimesTheSlowestReplyWithinTheBounds(milliseconds: Int, allowed: ClosedRange<Int>) {
        let timeout = Self.trusted(.milliseconds(milliseconds)).timeout
        #expect((.milliseconds(allowed.lowerBound) ... .milliseconds(allowed.upperBound)).contains(timeout))
    }

    @Test func aTimeOutWidensAtOnceAndNarrowsLaterEachTimeThatItMayHaveBeenWrong() {
        var times = Self.trusted(.milliseconds(5))
        var needed = ReplyTimes.repliesToTrust
        for _ in 0..<8 {
            times.timedOut()
            needed = min(needed * 2, ReplyTimes.mostRepliesToTrust)
            for _ in 0..<needed {
                #expect(times.timeout == .seconds(1))
                times.answered(after: .milliseconds(5))
            }
            #expect(times.timeout == .milliseconds(100))
        }
    }

    @Test func aTimeOutAtTheConfiguredLimitCostsNoTrust() {
        var times = ReplyTimes(bounds: Self.bounds)
        times.timedOut()
        for _ in 0..<ReplyTimes.repliesToTrust { times.answered(after: .milliseconds(5)) }
        #expect(times.timeout == .milliseconds(100))
    }

    @Test func theSameLowerAndUpperBoundNarrowNothing() {
        var times = ReplyTimes(bounds: .seconds(1) ... .seconds(1))
        for _ in 0..<1000 { times.answered(after: .milliseconds(1)) }
        #expect(times.timeout == .seconds(1))
    }

    /// How devices of the field answer, in milliseconds.
    enum Behaviour: String, CaseIterable {
        case steady, jittery, longTailed, oneInHundredSlow, oneInThousandSlow, getsSlow, drifts

        func reply(_ index: Int, _ random: inout SeededGenerator) -> Double {
            let uniform = Double.random(in: 0..<1, using: &random)
            switch self {
            case .steady: return 20 + uniform
            case .jittery: return 5 + 80 * uniform
            case .longTailed: return min(950, 10 / max(1e-3, 1 - uniform).squareRoot())
            case .oneInHundredSlow: return uniform < 0.01 ? 700 : 15
            case .oneInThousandSlow: return uniform < 0.001 ? 700 : 15
            case .getsSlow: return index < 5000 ? 12 : 480
            case .drifts: return 10 + 800 * Double(index) / 10_000
            }
        }
    }

    /// 10,000 polls of a device that always answers within the configured time: what narrowing spoils must be next to
    /// nothing, and never two polls in a row, which would have the unit taken for dead.
    @Test(arguments: Behaviour.allCases, [1, 2, 3] as [UInt64])
    func narrowingCausesNoBurstOfTimeOuts(behaviour: Behaviour, seed: UInt64) {
        var random = SeededGenerator(seed)
        var times = ReplyTimes(bounds: Self.bounds)
        var timeouts = 0
        var wasTimeout = false
        var waited = Duration.zero
        for index in 0..<10_000 {
            let reply = Duration.microseconds(Int64(clamping: behaviour.reply(index, &random) * 1000))
            let isTimeout = reply > times.timeout
            #expect(!(isTimeout && wasTimeout), "\(behaviour), seed \(seed): two in a row at \(index)")
            waited += times.timeout
            if isTimeout {
                timeouts += 1
                times.timedOut()
            } else {
                times.answered(after: reply)
            }
            wasTimeout = isTimeout
        }
        #expect(timeouts <= 15, "\(behaviour), seed \(seed): \(timeouts) of 10,000")
        let isFast = behaviour == .steady || behaviour == .jittery
        #expect(!isFast || (timeouts == 0 && waited / 10_000 < .milliseconds(300)), "\(behaviour), seed \(seed)")
    }

    @Test func lostFramesCostTheNarrowedTimeAtFirstAndTheConfiguredOneAfterwards() {
        var times = Self.trusted(.milliseconds(5))
        let first = times.timeout
        times.timedOut()
        #expect(first == .milliseconds(100) && times.timeout == .seconds(1))
    }
}

@Suite struct DurationDigestTests {
    @Test(arguments: [1, 2, 3] as [UInt64])
    func quantilesAreRightToAQuarter(seed: UInt64) throws {
        var random = SeededGenerator(seed)
        var digest = DurationDigest()
        var all: [Int64] = []
        for _ in 0..<DurationDigest.generation {
            let microseconds = Int64(16 * (1 << Double.random(in: 0..<20, using: &random).rounded(.down).asInt))
            let value = Int64.random(in: microseconds...(microseconds * 2), using: &random)
            all.append(value)
            digest.add(.microseconds(value))
        }
        all.sort()
        for share in [0.1, 0.5, 0.9, 0.99, 1] {
            let exact = all[min(all.count - 1, Int(clamping: (Double(all.count) * share).rounded(.up)) - 1)]
            let quantile = try #require(digest.quantile(share)?.microseconds)
            #expect((exact...(exact + exact / 4 + 16)).contains(quantile), "seed \(seed), \(share): \(exact)")
        }
    }

    @Test func whatIsOldIsForgotten() {
        var digest = DurationDigest()
        digest.add(.seconds(5))
        for _ in 0..<(2 * DurationDigest.generation) { digest.add(.milliseconds(1)) }
        #expect(digest.quantile(1).map { $0 < .milliseconds(2) } == true)
        #expect(digest.count <= 2 * DurationDigest.generation)
    }

    @Test func severalAreLookedAtTogether() {
        var whole = DurationDigest()
        for milliseconds in 1...100 {
            var one = DurationDigest()
            for _ in 0..<5000 { one.add(.milliseconds(milliseconds)) }
            whole.merge(one)
        }
        let median = whole.quantile(0.5)
        #expect(median.map { (.milliseconds(50) ... .milliseconds(63)).contains($0) } == true, "\(median as Any)")
        #expect(DurationDigest().quantile(0.5) == nil)
    }
}

extension Double {
    fileprivate var asInt: Int { Int(clamping: self) }
}

@Suite struct ProbeBudgetTests {
    /// Bus time that probes of so many dead units take, each asked whenever it may be.
    static func spent(cost: Duration, over time: Duration) -> Duration {
        var budget = ProbeBudget(at: .zero, longest: cost)
        var now = Duration.zero
        var spent = Duration.zero
        while now < time {
            if budget.mayProbe(at: now) {
                now += cost
                spent += cost
                budget.spent(cost, at: now)
            } else {
                now += .milliseconds(100)
            }
        }
        return spent
    }

    @Test(arguments: [20, 300, 1100, 5000])
    func probesTakeTwoPercentInTheLongRunAndABoundedBurstAtFirst(milliseconds: Int) {
        let cost = Duration.milliseconds(milliseconds)
        let spent = Self.spent(cost: cost, over: .seconds(10_000))
        #expect(spent <= .seconds(200) + max(.seconds(1), cost) + cost)
        #expect(spent >= .seconds(190))
    }

    @Test func answersThatCostNothingAreNotHeldUp() {
        var budget = ProbeBudget(at: .zero, longest: .seconds(1))
        for unit in 0..<20 {
            #expect(budget.mayProbe(at: .milliseconds(unit * 40)))
            budget.spent(.milliseconds(40), at: .milliseconds(unit * 40))
        }
    }
}
