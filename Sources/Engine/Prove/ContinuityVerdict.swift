package import Model

/// What a ``ContinuityCheck`` found.
package struct ContinuityVerdict: Sendable {
    /// How many, and the first few.
    package struct Findings<Finding: Sendable>: Sendable {
        package private(set) var count = 0
        package private(set) var examples: [Finding] = []
        private static var limit: Int { 20 }

        mutating func note(_ finding: Finding) {
            count += 1
            if examples.count < Self.limit { examples.append(finding) }
        }
    }

    /// Numbers of one point in one epoch.
    package struct Numbers: Hashable, Sendable {
        package var point: String
        package var epoch: UInt32
        package var numbers: ClosedRange<UInt64>

        init(_ point: String, _ epoch: UInt32, _ numbers: ClosedRange<UInt64>) {
            self.point = point
            self.epoch = epoch
            self.numbers = numbers
        }
    }

    /// From the first to the last position seen; nil when there was none.
    package var span: ClosedRange<Position>?
    package var rows: UInt64 = 0
    package var readings: UInt64 = 0
    package var gapRecords: UInt64 = 0
    /// What the gap records count, by reason.
    package var told: [GapReason: UInt64] = [:]
    /// Positions that are missing and told by a gap record, by reason.
    package var explained: [GapReason: UInt64] = [:]
    /// Rows that came again with the same content.
    package var redeliveries = 0

    /// Positions that are missing and told by nobody.
    package var unexplained = Findings<ClosedRange<Position>>()
    /// Positions that came with two contents.
    package var changed = Findings<Position>()
    /// Rows of which not every part came.
    package var incomplete = Findings<Position>()
    /// Rows with a smaller epoch than the row before them.
    package var epochsBackwards = Findings<Position>()
    /// Missing `n` that no missing row and no gap record accounts for.
    package var numberHoles = Findings<Numbers>()
    /// `n` that two rows carry.
    package var numbersTwice = Findings<Numbers>()
    /// Points whose `n` does not rise with `seq`.
    package var outOfOrder = Findings<Numbers>()

    /// Whether the rows prove that nothing was lost, doubled or changed, besides what gap records tell.
    package var isProven: Bool {
        unexplained.count + changed.count + incomplete.count + epochsBackwards.count + numberHoles.count
            + numbersTwice.count + outOfOrder.count == 0
    }
}
