import Engine
import Testing

struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return state ^ (state >> 29)
    }
}

@Suite struct PendingIntervalsTests {
    @Test func whatIsSentIsOwedUntilItIsAcknowledged() {
        var pending = PendingIntervals(live: 5)
        pending.sentLive(5)
        pending.sentLive(6)
        let first = pending.acknowledged(5)
        let second = pending.acknowledged(5)
        #expect(first && !second)
        #expect(pending.unacknowledged == [PositionInterval(low: 6, high: 7), PositionInterval(low: 7, high: nil)])
    }

    @Test func anOutageLeavesAClosedIntervalBehind() {
        var pending = PendingIntervals(live: 1)
        pending.sentLive(1)
        pending.disconnected()
        pending.connected(next: 10)
        #expect(pending.live == 10)
        #expect(pending.nextBacklog == 1)
        #expect(pending.backlogCount == 9)
        #expect(pending.inFlightCount == 0)
    }

    @Test func aRestartTurnsEverythingStoredIntoBacklog() {
        let stored = [PositionInterval(low: 3, high: 5), PositionInterval(low: 8, high: nil)]
        let pending = PendingIntervals(restoring: stored, next: 20)
        #expect(pending.live == 20)
        #expect(pending.backlogCount == 2 + 12)
        #expect(pending.unacknowledged.map(\.low) == [3, 8, 20])
    }

    @Test func refusedRowsAreSentAgain() {
        var pending = PendingIntervals(live: 1)
        pending.sentLive(1)
        pending.refused(1)
        #expect(pending.nextBacklog == 1)
    }

    @Test func evictionTellsWhatWasNotDelivered() {
        var pending = PendingIntervals(live: 1)
        for position in 1...4 { pending.sentLive(UInt64(position)) }
        pending.acknowledged(2)
        pending.disconnected()
        let lost = pending.evicted(below: 4)
        #expect(lost == [1...1, 3...3])
        #expect(pending.nextBacklog == 4)
    }

    @Test(arguments: 0..<40)
    func nothingIsLostOrOwedTwiceUnderRandomEvents(seed: Int) {
        var generator = SeededGenerator(state: UInt64(seed) &* 7919 &+ 1)
        var pending = PendingIntervals(live: 1)
        var owed: Set<Position> = []
        var flying: Set<Position> = []
        var next: Position = 1
        for _ in 0..<600 {
            switch Int.random(in: 0..<9, using: &generator) {
            case 0, 1:
                owed.insert(next)
                next += 1
            case 2, 3:
                guard pending.live < next else { continue }
                flying.insert(pending.live)
                pending.sentLive(pending.live)
            case 4:
                guard let position = pending.nextBacklog else { continue }
                flying.insert(position)
                pending.sentBacklog(position)
            case 5:
                guard let position = flying.randomElement(using: &generator) else { continue }
                flying.remove(position)
                owed.remove(position)
                pending.acknowledged(position)
            case 6:
                guard let position = flying.randomElement(using: &generator) else { continue }
                flying.remove(position)
                pending.refused(position)
            case 7:
                flying = []
                pending.disconnected()
                pending.connected(next: next)
            default: pending = PendingIntervals(restoring: pending.unacknowledged, next: next); flying = []
            }
            let claimed = pending.unacknowledged.flatMap { Array($0.low..<max($0.low, $0.high ?? next)) }
            #expect(claimed.count == Set(claimed).count)
            #expect(Set(claimed) == owed, "seed \(seed)")
        }
    }
}
