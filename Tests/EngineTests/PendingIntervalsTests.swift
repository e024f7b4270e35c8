import Engine
import GatewayTesting
import Testing

@Suite struct PendingIntervalsTests {
    /// The same thing as sets of positions.
    struct NaiveModel {
        var live: Position = 1
        var backlog: Set<Position> = []
        var inFlight: Set<Position> = []
        var parked: Set<Position> = []

        var unacknowledged: Set<Position> { backlog.union(inFlight).union(parked) }

        mutating func skipLive(to next: Position) {
            while live < next {
                backlog.insert(live)
                live += 1
            }
        }
    }

    static func positions(_ intervals: [PositionInterval], below live: Position) -> Set<Position> {
        Set(intervals.flatMap { Array($0.low..<($0.high ?? live)) })
    }

    @Test(arguments: 0..<60)
    func anySequenceOfEventsAgreesWithSetsOfPositions(seed: Int) {
        var random = SeededGenerator(UInt64(seed))
        var pending = PendingIntervals(live: 1)
        var model = NaiveModel()
        for step in 0..<300 {
            change(&pending, &model, &random)
            #expect(pending.live == model.live, "step \(step)")
            #expect(pending.backlogCount == UInt64(model.backlog.count), "step \(step)")
            #expect(pending.nextBacklog == model.backlog.min(), "step \(step)")
            #expect(pending.inFlightCount == model.inFlight.count, "step \(step)")
            #expect(pending.parkedCount == UInt64(model.parked.count), "step \(step)")
            #expect(pending.oldest == (model.unacknowledged.min() ?? model.live), "step \(step)")
            let stored = pending.unacknowledged
            #expect(stored.last == PositionInterval(low: pending.live, high: nil))
            #expect(Self.positions(stored, below: pending.live) == model.unacknowledged, "step \(step)")
            #expect(stored.allSatisfy { !$0.isEmpty })
            #expect(zip(stored, stored.dropFirst().dropLast()).allSatisfy { ($0.high ?? 0) < $1.low })
        }
    }

    private func change(
        _ pending: inout PendingIntervals, _ model: inout NaiveModel, _ random: inout SeededGenerator
    ) {
        switch Int.random(in: 0..<11, using: &random) {
        case 0, 1:
            pending.sentLive(pending.live)
            model.inFlight.insert(model.live)
            model.live += 1
        case 2:
            guard let position = pending.nextBacklog else { return }
            pending.sentBacklog(position)
            model.backlog.remove(position)
            model.inFlight.insert(position)
        case 3, 4:
            let position = model.inFlight.sorted().randomElement(using: &random) ?? 7
            #expect(pending.acknowledged(position) == (model.inFlight.remove(position) != nil))
        case 5:
            let position = model.inFlight.sorted().randomElement(using: &random) ?? 7
            pending.unsent(position)
            if model.inFlight.remove(position) != nil { model.backlog.insert(position) }
        case 9:
            let position = model.inFlight.sorted().randomElement(using: &random) ?? 7
            pending.park(position)
            if model.inFlight.remove(position) != nil { model.parked.insert(position) }
        case 10:
            if Bool.random(using: &random) {
                pending.unpark()
                model.backlog.formUnion(model.parked)
                model.parked = []
            } else {
                let position = pending.unparkOne()
                #expect((position == nil) == model.parked.isEmpty)
                if let position {
                    #expect(model.parked.remove(position) != nil)
                    model.backlog.insert(position)
                }
            }
        case 6:
            pending.disconnected()
            model.backlog.formUnion(model.inFlight)
            model.inFlight = []
        case 7:
            let next = model.live + UInt64.random(in: 0..<4, using: &random)
            pending.connected(next: next)
            model.skipLive(to: next)
        default: changeAsAnOperator(&pending, &model, &random)
        }
    }

    private func changeAsAnOperator(
        _ pending: inout PendingIntervals, _ model: inout NaiveModel, _ random: inout SeededGenerator
    ) {
        let low = UInt64.random(in: 0...model.live, using: &random)
        if Bool.random(using: &random) {
            let high = low + UInt64.random(in: 0..<5, using: &random)
            pending.replay(low...high)
            model.backlog.formUnion((low...high).filter { $0 < model.live })
        } else {
            let first = low / 2
            let lost = pending.evicted(below: first)
            model.skipLive(to: first)
            let gone = model.backlog.union(model.parked).filter { $0 < first }
            #expect(lost?.count ?? 0 == UInt64(gone.count))
            #expect(lost?.positions.lowerBound == gone.min() && lost?.positions.upperBound == gone.max())
            model.backlog.subtract(gone)
            model.parked.subtract(gone)
        }
    }

    @Test func aStoredStateComesBackWithEverythingAfterItAsBacklog() {
        var pending = PendingIntervals(live: 10)
        pending.sentLive(10)
        pending.sentLive(11)
        pending.sentLive(12)
        pending.acknowledged(11)
        let restored = PendingIntervals(restoring: pending.unacknowledged, next: 20)
        #expect(restored.live == 20)
        #expect(restored.nextBacklog == 10)
        #expect(restored.backlogCount == 9)
        #expect(restored.inFlightCount == 0)
    }

    @Test func aStateFromAJournalThatLostItsTailDoesNotReachBeyondItsEnd() {
        let stored = [PositionInterval(low: 3, high: 8), PositionInterval(low: 30, high: nil)]
        let restored = PendingIntervals(restoring: stored, next: 5)
        #expect(restored.live == 5)
        #expect(restored.backlogCount == 2)
    }

    @Test func aReplayUpToTheLargestPositionEndsAtWhatIsStored() {
        var pending = PendingIntervals(live: 10)
        pending.replay(5...UInt64.max)
        #expect(pending.nextBacklog == 5)
        #expect(pending.backlogCount == 5)
    }

    @Test func onlyTheBacklogCountsAsReplay() {
        var pending = PendingIntervals(live: 1)
        pending.connected(next: 3)
        pending.sentBacklog(1)
        pending.sentLive(3)
        #expect(pending.inFlightCount == 2)
        #expect(pending.replayInFlightCount == 1)
    }
}
