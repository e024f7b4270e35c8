/// Journal positions from `low` up to but not including `high`; nil means: and everything that will come.
package struct PositionInterval: Hashable, Sendable {
    package var low: Position
    package var high: Position?

    package init(low: Position, high: Position?) {
        self.low = low
        self.high = high
    }

    package var isEmpty: Bool {
        high.map { $0 <= low } ?? false
    }
}

extension [PositionInterval] {
    /// The positions of `range` that are in any of the intervals: ascending, disjoint.
    package func overlap(with range: ClosedRange<Position>) -> [ClosedRange<Position>] {
        var result: [ClosedRange<Position>] = []
        for interval in sorted(by: { $0.low < $1.low }) where !interval.isEmpty {
            let low = Swift.max(interval.low, result.last.map { $0.upperBound + 1 } ?? range.lowerBound)
            let high = Swift.min(interval.high.map { $0 - 1 } ?? .max, range.upperBound)
            guard low <= high else { continue }
            if let last = result.last, last.upperBound + 1 == low {
                result[result.count - 1] = last.lowerBound...high
            } else {
                result.append(low...high)
            }
        }
        return result
    }

    /// What is left without the positions of `range`, which are gone.
    package func removing(_ range: ClosedRange<Position>) -> [PositionInterval] {
        flatMap { interval in
            let before = PositionInterval(
                low: interval.low, high: Swift.min(interval.high ?? .max, range.lowerBound))
            let after = PositionInterval(low: Swift.max(interval.low, range.upperBound + 1), high: interval.high)
            return [before, after].filter { !$0.isEmpty }
        }
    }
}
