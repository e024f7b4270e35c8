/// The numbers `n` of one point in one epoch, with the positions of the rows that carried them, as merged runs.
struct NumberChain: Sendable {
    private struct Run: Sendable {
        var low: UInt64
        var high: UInt64
        /// Positions of the rows with ``low`` and ``high``.
        var first: Position
        var last: Position
    }

    /// Ascending and disjoint, with a hole between neighbours.
    private var runs: [Run] = []
    /// Whether a larger number came in a row with a smaller position.
    private(set) var isOutOfOrder = false

    /// - Returns: false when the number was there before.
    mutating func add(_ number: UInt64, at position: Position) -> Bool {
        let index = runs.lastIndex { $0.low <= number }
        if let index, number <= runs[index].high { return false }
        let after = index.map { $0 + 1 } ?? 0
        let joinsLower = index.map { runs[$0].high + 1 == number } ?? false
        let joinsUpper = after < runs.count && runs[after].low == number + 1
        if let index, runs[index].last >= position { isOutOfOrder = true }
        if after < runs.count, runs[after].first <= position { isOutOfOrder = true }
        switch (joinsLower, joinsUpper) {
        case (true, true):
            runs[after - 1].high = runs[after].high
            runs[after - 1].last = runs[after].last
            runs.remove(at: after)
        case (true, false): (runs[after - 1].high, runs[after - 1].last) = (number, position)
        case (false, true): (runs[after].low, runs[after].first) = (number, position)
        case (false, false): runs.insert(Run(low: number, high: number, first: position, last: position), at: after)
        }
        return true
    }

    var span: ClosedRange<UInt64> {
        (runs.first?.low ?? 0)...(runs.last?.high ?? 0)
    }

    /// Missing numbers, with the positions of the rows around them.
    var holes: [(numbers: ClosedRange<UInt64>, positions: ClosedRange<Position>)] {
        zip(runs, runs.dropFirst()).map { lower, upper in
            (lower.high + 1...upper.low - 1, min(lower.last, upper.first)...max(lower.last, upper.first))
        }
    }
}
