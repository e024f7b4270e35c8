import Model

/// How many registers, and how many bits, a device gives by one request. Few manuals say it, and a device that gives fewer
/// refuses every large block with the exception of a wrong address: told from that by the pieces, which it all gives.
struct QuantityLimits: Hashable, Sendable {
    /// What is known of one kind of tables.
    private struct Evidence: Hashable, Sendable {
        var limit: Int?
        var largestAnswered = 0
        var smallestRefused = Int.max
        /// How much speaks for a limit: a block may also be refused because of a border within it that cannot be crossed.
        var weight = 0
        var cuts: Set<RegisterCut> = []
    }

    /// A refused block and those of its pieces that have not been answered yet.
    private struct Trial: Hashable, Sendable {
        var refused: Int
        var pieces: Int
        var pending: Set<RegisterSpan>
        var cuts: Set<RegisterCut>
        let isOfBits: Bool
    }

    private var words: Evidence
    private var bits: Evidence
    private var trials: [Trial] = []

    /// - Parameters:
    ///   - registers: what was found out before.
    ///   - bits: the same for coils and discrete inputs.
    init(registers: Int? = nil, bits: Int? = nil) {
        words = Evidence(limit: registers)
        self.bits = Evidence(limit: bits)
    }

    var registerLimit: Int? { words.limit }
    var bitLimit: Int? { bits.limit }

    /// The device refused a block without holes, and is asked for its pieces instead.
    mutating func divided(_ span: RegisterSpan, into pieces: [RegisterSpan], at cuts: Set<RegisterCut>) {
        guard let index = trials.firstIndex(where: { $0.pending.contains(span) }) else {
            trials.append(
                Trial(
                    refused: span.registerCount, pieces: pieces.count, pending: Set(pieces), cuts: cuts,
                    isOfBits: span.table.isBits))
            return
        }
        trials[index].refused = min(trials[index].refused, span.registerCount)
        trials[index].pieces += pieces.count - 1
        trials[index].pending.remove(span)
        trials[index].pending.formUnion(pieces)
        trials[index].cuts.formUnion(cuts)
    }

    /// It refuses a single value: that is about the value, not about how many.
    mutating func refusedForGood(_ span: RegisterSpan) {
        trials.removeAll { $0.pending.contains(span) }
    }

    /// It answered.
    ///
    /// - Returns: the cuts that a limit makes unnecessary, when this is the answer that settles it; empty otherwise.
    mutating func answered(_ span: RegisterSpan) -> Set<RegisterCut> {
        let isOfBits = span.table.isBits
        note(isOfBits) { $0.largestAnswered = max($0.largestAnswered, span.registerCount) }
        guard let index = trials.firstIndex(where: { $0.pending.contains(span) }) else { return [] }
        trials[index].pending.remove(span)
        guard trials[index].pending.isEmpty else { return [] }
        let trial = trials.remove(at: index)
        var settled: Set<RegisterCut> = []
        note(isOfBits) { evidence in
            evidence.smallestRefused = min(evidence.smallestRefused, trial.refused)
            evidence.weight += trial.pieces > 2 ? 2 : 1
            evidence.cuts.formUnion(trial.cuts)
            guard evidence.weight >= 2, evidence.largestAnswered < evidence.smallestRefused else { return }
            evidence.limit = evidence.largestAnswered
            settled = evidence.cuts
            evidence.cuts = []
        }
        return settled
    }

    private mutating func note(_ isOfBits: Bool, _ change: (inout Evidence) -> Void) {
        if isOfBits { change(&bits) } else { change(&words) }
    }

    /// The limits of a profile, lowered to what was found out.
    func lowering(_ limits: DeviceLimits) -> DeviceLimits {
        var lowered = limits
        lowered.registerCount = min(limits.registerCount, words.limit ?? .max)
        lowered.bitCount = min(limits.bitCount, bits.limit ?? .max)
        return lowered
    }
}
