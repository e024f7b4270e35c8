import Engine
import Testing

@Suite struct PollScheduleTests {
    static func schedule(_ periods: [Duration]) -> PollSchedule {
        let jobs = periods.enumerated().map { (slot: PollSchedule.Slot(device: $0, job: 0), period: $1) }
        return PollSchedule(jobs: jobs, start: .zero, phase: 0)
    }

    @Test func cadenceDoesNotDriftWithLatePolls() {
        var schedule = Self.schedule([.seconds(1)])
        var deadlines: [Duration] = []
        for second in 0..<10 {
            if let due = schedule.take(at: .milliseconds(second * 1000 + 130)) { deadlines.append(due.deadline) }
        }
        #expect(deadlines == (0..<10).map { .seconds($0) })
    }

    @Test func overrunsAreSkippedAndCountedNeverPiledUp() {
        var schedule = Self.schedule([.seconds(1)])
        _ = schedule.take(at: .zero)
        let late = schedule.take(at: .milliseconds(4500))
        #expect(late?.missed == 3)
        #expect(late?.deadline == .seconds(4))
        let again = schedule.take(at: .milliseconds(4600))
        #expect(again == nil)
        #expect(schedule.nextDeadline() == .seconds(5))
    }

    @Test func busyDevicesWaitAndTheOthersGo() {
        var schedule = Self.schedule([.seconds(1), .milliseconds(500)])
        let first = schedule.take(at: .seconds(2))
        let second = schedule.take(at: .seconds(2))
        #expect(Set([first?.slot.device, second?.slot.device]) == [0, 1])
        let none = schedule.take(at: .seconds(9), busy: [0, 1])
        #expect(none == nil)
        let other = schedule.take(at: .seconds(9), busy: [0])
        #expect(other?.slot.device == 1)
    }

    @Test func aHundredDevicesDoNotFireAtOnce() {
        var schedule = Self.schedule(Array(repeating: .seconds(1), count: 100))
        var most = 0
        for millisecond in 0..<1000 {
            var fired = 0
            while schedule.take(at: .milliseconds(millisecond)) != nil { fired += 1 }
            most = max(most, fired)
        }
        #expect(most <= 3)
    }
}

@Suite struct UnitHealthTests {
    static func fail(_ health: inout UnitHealth, at now: Duration, isAlone: Bool = false) -> UnitHealth.Change {
        health.timedOut(at: now, timeout: .milliseconds(300), deadUnits: 1, isAlone: isAlone, jitter: 0)
    }

    @Test func oneTimeoutIsForgivenTwoOpenTheBreaker() {
        var health = UnitHealth()
        let first = Self.fail(&health, at: .zero)
        #expect(first == .none)
        #expect(health.mayAsk(at: .zero))
        let second = Self.fail(&health, at: .seconds(1))
        #expect(second == .wentDown)
        #expect(!health.mayAsk(at: .milliseconds(1500)))
        #expect(health.mayAsk(at: .seconds(2)))
    }

    @Test func anAnswerBetweenTimeoutsKeepsItClosed() {
        var health = UnitHealth()
        for second in 0..<10 {
            let change = Self.fail(&health, at: .seconds(second))
            #expect(change == .none)
            let answer = health.answered()
            #expect(answer == .none)
        }
    }

    @Test func oneGoodProbeIsRecovery() {
        var health = UnitHealth()
        _ = Self.fail(&health, at: .zero)
        _ = Self.fail(&health, at: .zero)
        let change = health.answered()
        #expect(change == .recovered)
        #expect(health.mayAsk(at: .zero))
    }

    @Test func probesOfADeadUnitCostTwoPercentInTheLongRun() {
        var health = UnitHealth()
        var now = Duration.zero
        var spent = Duration.zero
        _ = Self.fail(&health, at: now)
        _ = Self.fail(&health, at: now)
        while now < .seconds(36_000) {
            guard case .open(let probeAt, _) = health.state else { break }
            now = probeAt + .milliseconds(300)
            spent += .milliseconds(300)
            _ = Self.fail(&health, at: now)
        }
        #expect(spent / now <= 0.021)
        #expect(spent / now > 0.01)
    }
}
