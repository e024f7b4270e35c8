package import Model

/// What polling found out about the addresses of one device: worth keeping over a restart, because finding it out costs
/// refused requests.
package struct LearnedAddresses: Hashable, Sendable {
    /// Values that the device refuses with exception 02 or 03, ascending.
    package var refused: [RegisterSpan]
    /// Where requests begin anew, because the device refused what stands on both sides together.
    package var cuts: Set<RegisterCut>
    /// The most registers that the device gives by one request, where that is less than the profile says.
    package var registerLimit: Int?
    /// The same for coils and discrete inputs.
    package var bitLimit: Int?

    package init(
        refused: [RegisterSpan] = [], cuts: Set<RegisterCut> = [], registerLimit: Int? = nil, bitLimit: Int? = nil
    ) {
        self.refused = refused
        self.cuts = cuts
        self.registerLimit = registerLimit
        self.bitLimit = bitLimit
    }

    package var isEmpty: Bool { self == LearnedAddresses() }

    /// Whether the device refuses to read over addresses that `points` do not declare: requests were cut at such a hole.
    package func forbidsGaps(between points: [Point]) -> Bool {
        !cuts(at: points) { isBehindHole in isBehindHole }.isEmpty
    }

    /// Where requests were cut between values that stand side by side, and none of the two is refused: why is not known.
    package func unexplainedCuts(between points: [Point]) -> [RegisterCut] {
        cuts(at: points) { isBehindHole in !isBehindHole }
            .sorted { ($0.table, $0.address) < ($1.table, $1.address) }
    }

    /// Cuts at the beginning of points that are not borders of refused values.
    private func cuts(at points: [Point], where isWanted: (_ isBehindHole: Bool) -> Bool) -> [RegisterCut] {
        let starts = Set(points.map { RegisterCut(table: $0.table, address: Int($0.protocolAddress)) })
        let ends = Set(points.map { RegisterCut(table: $0.table, address: $0.span.end) })
        let parked = Set(
            refused.flatMap { span in
                [Int(span.start), span.end].map { RegisterCut(table: span.table, address: $0) }
            })
        return cuts.filter { starts.contains($0) && !parked.contains($0) && isWanted(!ends.contains($0)) }
    }
}
