import Model

/// Whether the rows of one gateway prove that nothing was lost: takes them in any order, then gives its verdict.
///
/// Memory is about 50 bytes for each row, besides about 100 for each point of each epoch.
package struct ContinuityCheck: Sendable {
    private struct Seen: Sendable {
        var epoch: UInt32
        var digest: UInt64
    }

    private struct Chain: Hashable, Sendable {
        var epoch: UInt32
        var point: String
    }

    /// Parts of one row that came so far, for one way of dividing it.
    private struct Division: Hashable, Sendable {
        var position: Position
        var count: Int
    }

    private var rows: [Position: Seen] = [:]
    private var divisions: [Division: [Int: ReceivedRow]] = [:]
    private var chains: [Chain: NumberChain] = [:]
    private var explained: [(positions: ClosedRange<Position>, reason: GapReason)] = []
    /// Positions of the gap records that tell of readings which were numbered and never had a position.
    private var losses: [Position] = []
    private var verdict = ContinuityVerdict()

    package init() {}

    package mutating func add(_ row: ReceivedRow) {
        if let whole = joined(row) { addWhole(whole) }
    }

    /// The row, once all of its parts are here.
    private mutating func joined(_ row: ReceivedRow) -> ReceivedRow? {
        guard let part = row.part else { return row }
        let division = Division(position: row.position, count: part.count)
        var parts = divisions[division] ?? [:]
        if let known = parts[part.number] {
            if known.digest == row.digest { verdict.redeliveries += 1 } else { verdict.changed.note(row.position) }
            return nil
        }
        parts[part.number] = row
        guard parts.count == part.count else {
            divisions[division] = parts
            return nil
        }
        divisions[division] = nil
        let readings = parts.sorted { $0.key < $1.key }.flatMap(\.value.readings)
        let digest = parts.values.reduce(0) { $0 &+ $1.digest }
        return ReceivedRow(epoch: row.epoch, position: row.position, digest: digest, readings: readings)
    }

    private mutating func addWhole(_ row: ReceivedRow) {
        if let known = rows[row.position] {
            let isSame = known.epoch == row.epoch && known.digest == row.digest
            if isSame { verdict.redeliveries += 1 } else { verdict.changed.note(row.position) }
            return
        }
        rows[row.position] = Seen(epoch: row.epoch, digest: row.digest)
        verdict.rows += 1
        verdict.readings += UInt64(row.readings.count)
        for reading in row.readings {
            let chain = Chain(epoch: row.epoch, point: reading.point)
            let isNew = chains[chain, default: NumberChain()].add(reading.number, at: row.position)
            if !isNew { verdict.numbersTwice.note(.init(chain.point, chain.epoch, reading.number...reading.number)) }
        }
        if let gap = row.gap { add(gap, at: row.position) }
    }

    private mutating func add(_ gap: ReceivedRow.Gap, at position: Position) {
        verdict.gapRecords += 1
        verdict.told[gap.reason, default: 0] &+= gap.count
        if let positions = gap.positions {
            explained.append((positions, gap.reason))
        } else if gap.reason == .diskError {
            // A poll that was missed or not answered numbers nothing, and a restart begins other numbers.
            losses.append(position)
        }
    }

    // MARK: - The verdict

    package func conclude() -> ContinuityVerdict {
        var verdict = verdict
        let positions = rows.keys.sorted()
        guard let first = positions.first, let last = positions.last else { return verdict }
        verdict.span = first...last
        var previous: Position?
        var holes: [ClosedRange<Position>] = []
        for position in positions {
            if let previous, position > previous + 1 { holes.append(previous + 1...position - 1) }
            if let previous, rows[previous, default: .init(epoch: 0, digest: 0)].epoch > rows[position]?.epoch ?? 0 {
                verdict.epochsBackwards.note(position)
            }
            previous = position
        }
        explain(holes, in: &verdict)
        for division in divisions.keys.sorted(by: { $0.position < $1.position }) where rows[division.position] == nil {
            verdict.incomplete.note(division.position)
        }
        checkNumbers(between: holes, in: &verdict)
        return verdict
    }

    private func explain(_ holes: [ClosedRange<Position>], in verdict: inout ContinuityVerdict) {
        let explanations = explained.sorted { $0.positions.lowerBound < $1.positions.lowerBound }
        var next = 0
        for hole in holes {
            while next < explanations.count, explanations[next].positions.upperBound < hole.lowerBound { next += 1 }
            var rest = [PositionInterval(low: hole.lowerBound, high: hole.upperBound + 1)]
            for (positions, reason) in explanations[next...] {
                if positions.lowerBound > hole.upperBound { break }
                let gone = rest.overlap(with: positions).reduce(0) { $0 + $1.upperBound - $1.lowerBound + 1 }
                verdict.explained[reason, default: 0] += gone
                rest = rest.removing(positions)
            }
            for interval in rest { verdict.unexplained.note(interval.low...(interval.high ?? .max) - 1) }
        }
    }

    /// A number that is missing must have been in a row that is missing, or a gap record in between tells of a loss.
    private func checkNumbers(between holes: [ClosedRange<Position>], in verdict: inout ContinuityVerdict) {
        let excuses = (holes.map(\.lowerBound) + losses).sorted()
        for (chain, numbers) in chains.sorted(by: { ($0.key.epoch, $0.key.point) < ($1.key.epoch, $1.key.point) }) {
            if numbers.isOutOfOrder { verdict.outOfOrder.note(.init(chain.point, chain.epoch, numbers.span)) }
            for hole in numbers.holes where !excuses.hasElement(in: hole.positions) {
                verdict.numberHoles.note(.init(chain.point, chain.epoch, hole.numbers))
            }
        }
    }
}

extension [Position] {
    /// Whether any element of this ascending array is in `range`.
    fileprivate func hasElement(in range: ClosedRange<Position>) -> Bool {
        var (low, high) = (0, count)
        while low < high {
            let middle = (low + high) / 2
            if self[middle] < range.lowerBound { low = middle + 1 } else { high = middle }
        }
        return low < count && self[low] <= range.upperBound
    }
}
