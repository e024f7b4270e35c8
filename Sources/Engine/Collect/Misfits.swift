import Model

/// Blocks for which a device gives whole answers of another length: a register of odd width is in them.
struct Misfits: Hashable, Sendable {
    private var blocks: [RegisterSpan: Int] = [:]

    /// One may be the late answer to another request.
    private static let convincing = 2

    func contains(_ span: RegisterSpan) -> Bool { blocks[span] != nil }

    mutating func answered(_ span: RegisterSpan) {
        if !blocks.isEmpty { blocks[span] = nil }
    }

    mutating func isConvincing(_ span: RegisterSpan) -> Bool {
        blocks[span, default: 0] += 1
        return blocks[span, default: 0] >= Self.convincing
    }

    /// The pieces are under suspicion from the start.
    mutating func divided(_ span: RegisterSpan, into pieces: [RegisterSpan]) {
        guard blocks.removeValue(forKey: span) != nil else { return }
        for piece in pieces { blocks[piece] = Self.convincing - 1 }
    }
}
