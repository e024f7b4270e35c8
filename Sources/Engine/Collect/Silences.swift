import Model

/// Which blocks a device leaves unanswered although it answers smaller ones: some devices say nothing at all to a request
/// that is too large for them.
struct Silences: Hashable, Sendable {
    private struct Silence: Hashable, Sendable {
        var count = 0
        /// How often the device answered for one value of the block just before it was silent about all of it.
        var countAfterAnswer = 0
    }

    private var blocks: [RegisterSpan: Silence] = [:]

    /// So many in a row make it worth a further request to find out whether the device is away.
    static let suspicious = 2
    /// A line on which much is lost must not look like a device that gives little.
    static let convincing = 2

    mutating func answered(_ span: RegisterSpan) {
        if !blocks.isEmpty { blocks[span] = nil }
    }

    mutating func silent(_ span: RegisterSpan, afterAnswer: Bool) {
        var silence = blocks[span] ?? Silence()
        silence.count += 1
        if afterAnswer { silence.countAfterAnswer += 1 }
        blocks[span] = silence
    }

    /// Whether a single value of the block is asked for first.
    func needsProbe(_ span: RegisterSpan) -> Bool {
        (blocks[span]?.count ?? 0) >= Self.suspicious
    }

    func isTooLarge(_ span: RegisterSpan) -> Bool {
        (blocks[span]?.countAfterAnswer ?? 0) >= Self.convincing
    }

    /// The pieces of a block that was too large are under suspicion from the start.
    mutating func divided(_ span: RegisterSpan, into pieces: [RegisterSpan]) {
        guard blocks.removeValue(forKey: span) != nil else { return }
        for piece in pieces { blocks[piece] = Silence(count: Self.suspicious, countAfterAnswer: Self.convincing - 1) }
    }
}
