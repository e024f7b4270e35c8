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
        /// Where that border would be, when nothing but one cut stands between a refused block and its two answered halves.
        var doubt: RegisterCut?
        var cuts: Set<RegisterCut> = []

        /// - Returns: the cuts that are unnecessary now that there is a limit; empty while there is none.
        mutating func settle() -> Set<RegisterCut> {
            guard weight >= 2, largestAnswered < smallestRefused else { return [] }
            limit = largestAnswered
            doubt = nil
            defer { cuts = [] }
            return cuts
        }
    }

    /// A refused block and those of its pieces that have not been answered yet.
    private struct Trial: Hashable, Sendable {
        var refused: Int
        var pieces: Int
        var pending: Set<RegisterSpan>
        var cuts: Set<RegisterCut>
        /// Where the first two pieces meet.
        let border: RegisterCut?
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

    /// Where a few registers on both sides should be asked for together, to tell a limit from a border. It is told once:
    /// a device that leaves that request unanswered is not bothered with it again.
    mutating func takeDoubt() -> RegisterCut? {
        if words.doubt != nil { return words.doubt.take() }
        return bits.doubt.take()
    }

    /// The device answered for a little on both sides of `cut` together, or refused that.
    ///
    /// - Returns: the cuts that a limit makes unnecessary; empty where it is a border, or another one is in question.
    mutating func crossed(_ cut: RegisterCut, isAnswered: Bool) -> Set<RegisterCut> {
        var settled: Set<RegisterCut> = []
        note(cut.table.isBits) { evidence in
            evidence.weight += isAnswered ? 1 : -1
            settled = evidence.settle()
        }
        return settled
    }

    /// The device refused a block without holes, and is asked for its pieces instead.
    mutating func divided(_ span: RegisterSpan, into pieces: [RegisterSpan], at cuts: Set<RegisterCut>) {
        guard let index = trials.firstIndex(where: { $0.pending.contains(span) }) else {
            trials.append(
                Trial(
                    refused: span.registerCount, pieces: pieces.count, pending: Set(pieces), cuts: cuts,
                    border: pieces.last.map { RegisterCut(table: $0.table, address: Int($0.start)) },
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
            settled = evidence.settle()
            if evidence.limit == nil, trial.pieces == 2 { evidence.doubt = trial.border }
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
