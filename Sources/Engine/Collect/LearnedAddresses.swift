package import Model

/// What polling found out about the addresses of one device: worth keeping over a restart, because finding it out costs
/// refused requests.
package struct LearnedAddresses: Hashable, Sendable {
    /// Values that the device refuses with exception 02 or 03, ascending.
    package var refused: [RegisterSpan]
    /// Where requests begin anew, because the device refused what stands on both sides together.
    package var cuts: Set<RegisterCut>

    package init(refused: [RegisterSpan] = [], cuts: Set<RegisterCut> = []) {
        self.refused = refused
        self.cuts = cuts
    }

    package var isEmpty: Bool { refused.isEmpty && cuts.isEmpty }
}
