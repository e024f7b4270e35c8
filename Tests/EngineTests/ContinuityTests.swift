import Engine
import GatewayTesting
import Model
import Testing

struct ContinuityTests {
    /// Rows 1…count of one epoch, each with `n` = position − 1 of two points.
    private func rows(_ positions: ClosedRange<Position>, epoch: UInt32 = 1, from n: UInt64 = 0) -> [ReceivedRow] {
        positions.map { position in
            let number = n + position - positions.lowerBound
            return ReceivedRow(
                epoch: epoch, position: position, digest: position &* 0x9E37_79B9,
                readings: ["d/a", "d/b"].map { .init(point: $0, number: number) })
        }
    }

    private func gap(
        _ position: Position, epoch: UInt32 = 1, _ positions: ClosedRange<Position>?, _ reason: GapReason
    ) -> ReceivedRow {
        ReceivedRow(
            epoch: epoch, position: position, digest: position,
            gap: .init(positions: positions, reason: reason, count: 1))
    }

    private func verdict(_ rows: [ReceivedRow]) -> ContinuityVerdict {
        var check = ContinuityCheck()
        for row in rows { check.add(row) }
        return check.conclude()
    }

    @Test(arguments: [UInt64(1), 2, 3, 4, 5]) func completeRowsAreProvenInAnyOrder(seed: UInt64) {
        var random = SeededGenerator(seed)
        let all = rows(1...200) + rows(201...300, epoch: 2)
        let verdict = verdict(all.shuffled(using: &random))
        #expect(verdict.isProven)
        #expect(verdict.rows == 300 && verdict.readings == 600 && verdict.span == 1...300)
    }

    @Test func aMissingRowIsAnUnexplainedHole() {
        let verdict = verdict(rows(1...10).filter { $0.position != 4 && $0.position != 5 && $0.position != 8 })
        #expect(!verdict.isProven)
        #expect(verdict.unexplained.examples == [4...5, 8...8])
        // The numbers that are missing were in those rows: one fault is told once.
        #expect(verdict.numberHoles.count == 0)
    }

    @Test func aGapRecordExplainsTheRowsItNamesAndNoOthers() {
        let rest = rows(1...10).filter { !(3...6).contains($0.position) }
        let explained = verdict(rest + [gap(11, 3...6, .bufferEvicted)])
        #expect(explained.isProven)
        #expect(explained.explained == [.bufferEvicted: 4])
        #expect(verdict(rest + [gap(11, 3...5, .bufferEvicted)]).unexplained.examples == [6...6])
        #expect(verdict(rest + [gap(11, nil, .bufferEvicted)]).unexplained.examples == [3...6])
    }

    @Test func overlappingAndNestedGapRecordsAreCountedOnce() {
        let rest = rows(1...20).filter { !(3...12).contains($0.position) }
        let gaps = [gap(21, 1...8, .bufferEvicted), gap(22, 4...5, .diskError), gap(23, 9...12, .diskError)]
        let verdict = verdict(rest + gaps)
        #expect(verdict.isProven)
        #expect(verdict.explained == [.bufferEvicted: 6, .diskError: 4])
    }

    @Test func theSameRowAgainIsARedeliveryAndAnotherContentIsAChange() {
        let again = verdict(rows(1...5) + rows(2...3, from: 1))
        #expect(again.isProven && again.redeliveries == 2)
        var other = rows(2...2, from: 1)[0]
        other.digest += 1
        let changed = verdict(rows(1...5) + [other])
        #expect(!changed.isProven && changed.changed.examples == [2])
    }

    @Test func aNumberThatIsMissingBetweenCompleteRowsIsFound() {
        let verdict = verdict(rows(1...5) + rows(6...9, from: 7))
        #expect(verdict.unexplained.count == 0)
        #expect(verdict.numberHoles.examples.map(\.numbers) == [5...6, 5...6])
        #expect(!verdict.isProven)
    }

    @Test func aLossWithoutPositionsExcusesNumbersAroundIt() {
        let verdict = verdict(rows(1...5) + [gap(6, nil, .diskError)] + rows(7...9, from: 8))
        #expect(verdict.isProven)
    }

    @Test(arguments: [GapReason.deviceDown, .notPolled, .restart])
    func aLossThatNumbersNothingExcusesNoNumber(_ reason: GapReason) {
        let verdict = verdict(rows(1...5) + [gap(6, nil, reason)] + rows(7...9, from: 8))
        #expect(!verdict.isProven && verdict.numberHoles.count == 2)
    }

    @Test func aNumberThatComesTwiceIsFound() {
        let verdict = verdict(rows(1...5) + rows(6...6, from: 4))
        #expect(verdict.numbersTwice.count == 2 && !verdict.isProven)
    }

    @Test func numbersThatFallWhileSeqRisesAreFound() {
        var swapped = rows(1...4)
        (swapped[1].readings, swapped[2].readings) = (swapped[2].readings, swapped[1].readings)
        let verdict = verdict(swapped)
        #expect(verdict.outOfOrder.count == 2 && !verdict.isProven)
    }

    @Test func anEpochThatGoesBackIsFound() {
        let verdict = verdict(rows(1...3, epoch: 2) + rows(4...6, epoch: 1))
        #expect(verdict.epochsBackwards.examples == [4])
    }

    @Test func partsAreOneRowAndEqualTheWholeRow() {
        let whole = rows(1...1)[0]
        func part(_ number: Int, _ digest: UInt64) -> ReceivedRow {
            ReceivedRow(
                epoch: 1, position: 1, digest: digest, part: .init(number: number, count: 2),
                readings: [whole.readings[number - 1]])
        }
        let parts = [part(1, 1000), part(2, whole.digest &- 1000)]
        let both = verdict([parts[1], parts[0], whole, parts[0], parts[1]])
        #expect(both.isProven && both.rows == 1 && both.readings == 2 && both.redeliveries == 2)
        let half = verdict([rows(2...2)[0], parts[0]])
        #expect(half.incomplete.examples == [1] && !half.isProven)
        let changed = verdict([whole, part(1, 1), part(2, 2)])
        #expect(changed.changed.examples == [1])
    }
}
