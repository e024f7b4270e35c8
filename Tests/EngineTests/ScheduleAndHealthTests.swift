import Engine
import Model
import Testing

@Suite struct PollScheduleTests {
    static func schedule(_ periods: [Duration], phase: Double = 0) -> PollSchedule {
        let jobs = periods.enumerated().map { (slot: PollSchedule.Slot(device: $0, job: 0), period: $1) }
        return PollSchedule(jobs: jobs, start: .zero, phase: phase)
    }

    @Test func theCadenceDoesNotDriftWithTheTimeThatAReadTakes() throws {
        var schedule = Self.schedule([.seconds(1)])
        var now = Duration.zero
        for round in 0..<1000 {
            now = max(now, try #require(schedule.nextDeadline()))
            let taken = schedule.take(at: now)
            let due = try #require(taken)
            #expect(due.deadline == .seconds(round))
            #expect(due.missed == 0)
            now += .milliseconds(round % 2 == 0 ? 937 : 3)
        }
    }

    @Test func theEarliestDeadlineGoesFirst() throws {
        var schedule = Self.schedule(Array(repeating: .seconds(1), count: 4), phase: 0.3)
        var deadlines: [Duration] = []
        while deadlines.count < 4, let due = schedule.take(at: .milliseconds(999)) { deadlines.append(due.deadline) }
        #expect(deadlines == deadlines.sorted())
    }

    @Test func whatASlowBusCouldNotKeepIsSkippedAndCounted() throws {
        var schedule = Self.schedule([.seconds(1)])
        let first = schedule.take(at: .zero)
        #expect(first?.missed == 0)
        let taken = schedule.take(at: .milliseconds(4500))
        let late = try #require(taken)
        #expect(late.missed == 3)
        #expect(late.deadline == .seconds(4))
        let tooEarly = schedule.take(at: .milliseconds(4600))
        #expect(tooEarly == nil)
        #expect(schedule.nextDeadline() == .seconds(5))
    }

    @Test func aHundredDevicesDoNotFireTogether() {
        var schedule = Self.schedule(Array(repeating: .seconds(1), count: 100))
        var perTenMilliseconds = [Int](repeating: 0, count: 100)
        for slice in 0..<100 {
            while schedule.take(at: .milliseconds(slice * 10 + 10) - .nanoseconds(1)) != nil {
                perTenMilliseconds[slice] += 1
            }
        }
        #expect(perTenMilliseconds.reduce(0, +) == 100)
        #expect(perTenMilliseconds.allSatisfy { $0 <= 2 })
    }

    @Test func aLongPeriodStartsWithinTheFirstSecond() {
        let schedule = Self.schedule([.seconds(3600)], phase: 0.9)
        #expect(schedule.nextDeadline().map { $0 < .seconds(1) } == true)
    }

    @Test func aBusyDeviceIsPassedOver() {
        var schedule = Self.schedule([.seconds(1), .seconds(1)])
        let due = schedule.take(at: .seconds(1) - .nanoseconds(1), busy: [0])
        #expect(due?.slot.device == 1)
        #expect(schedule.nextDeadline(busy: [0, 1]) == nil)
    }
}

@Suite struct UnitHealthTests {
    /// The delays between the probes of a unit that stays dead.
    static func delays(timeout: Duration, deadUnits: Int, isAlone: Bool, count: Int = 24) -> [Duration] {
        var health = UnitHealth()
        var now = Duration.zero
        var delays: [Duration] = []
        for _ in 0..<count {
            _ = health.timedOut(at: now, timeout: timeout, deadUnits: deadUnits, isAlone: isAlone, jitter: 0)
            if case .open(let probeAt, _) = health.state {
                delays.append(probeAt - now)
                now = probeAt
            }
        }
        return delays
    }

    @Test func silentUnitIsSkippedUntilBackoffEnds() {
        var health = UnitHealth()
        let timeout = Duration.seconds(1)
        #expect(health.answered() == .none)
        #expect(health.timedOut(at: .zero, timeout: timeout, deadUnits: 1, isAlone: false, jitter: 0) == .none)
        #expect(health.mayAsk(at: .zero))
        #expect(health.timedOut(at: .zero, timeout: timeout, deadUnits: 1, isAlone: false, jitter: 0) == .wentDown)
        #expect(!health.mayAsk(at: .milliseconds(999)))
        #expect(health.mayAsk(at: .seconds(1)))
    }

    @Test func aUnitThatNeverAnsweredIsGivenUpAfterOneTimeOut() {
        var health = UnitHealth()
        let change = health.timedOut(at: .zero, timeout: .seconds(1), deadUnits: 1, isAlone: false, jitter: 0)
        #expect(change == .wentDown)
        #expect(!health.mayAsk(at: .milliseconds(999)))
        #expect(health.mayAsk(at: .seconds(1)))
    }

    @Test func delaysDoubleUpToTheBound() {
        let delays = Self.delays(timeout: .seconds(1), deadUnits: 1, isAlone: false)
        #expect(delays.prefix(6) == [.seconds(1), .seconds(2), .seconds(4), .seconds(8), .seconds(16), .seconds(32)])
        #expect(delays.last.map { abs($0.inSeconds - 1 / 0.015) < 0.001 } == true)
    }

    @Test(arguments: [1, 3, 20])
    func probesOfAllDeadUnitsTogetherTakeAtMostTwoPercent(deadUnits: Int) throws {
        let timeout = Duration.milliseconds(700)
        let delay = try #require(Self.delays(timeout: timeout, deadUnits: deadUnits, isAlone: false).last)
        #expect(Double(deadUnits) * (timeout / delay) <= 0.020_001)
    }

    @Test func aUnitThatIsAloneIsProbedEveryFiveSeconds() {
        #expect(Self.delays(timeout: .seconds(3), deadUnits: 1, isAlone: true).last == .seconds(5))
    }

    @Test func oneAnswerClosesTheBreakerAndForgetsTheDelay() {
        var health = UnitHealth()
        for _ in 0..<10 {
            _ = health.timedOut(at: .zero, timeout: .seconds(1), deadUnits: 1, isAlone: false, jitter: 0.5)
        }
        #expect(health.answered() == .recovered)
        #expect(health.mayAsk(at: .zero))
        #expect(health.answered() == .none)
        #expect(health.timedOut(at: .zero, timeout: .seconds(1), deadUnits: 1, isAlone: false, jitter: 0) == .none)
    }
}
