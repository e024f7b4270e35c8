import Model

/// Refusals in a row without a single answer: a device that boots refuses every address.
struct WholeRefusals: Sendable {
    /// What was known before the first refusal of the run.
    struct Knowledge: Sendable {
        var cuts: Set<RegisterCut>
        var parked: [RegisterSpan: Duration]
        var quantities: QuantityLimits
    }

    private struct Doubt: Sendable {
        var count = 0
        var last = Duration.zero
    }

    private var before: Knowledge?
    private var count = 0
    private var isWhole = false
    private var doubts: [Int: Doubt] = [:]

    /// So many refusals in a row are those of the device: about what one poll spends on finding out.
    private static let longestRun = 20
    /// So often a job gets the benefit of the doubt: one that is refused while others are answered has bad addresses.
    private static let mostDoubts = 3
    /// After so long without, it gets it again.
    private static let doubtTime = Duration.seconds(600)

    /// Whether the run is too long for addresses.
    var isLong: Bool { count >= Self.longestRun }

    /// A block was refused.
    ///
    /// - Returns: whether something may be learned about its addresses.
    mutating func refused(before knowledge: Knowledge) -> Bool {
        if isWhole { return false }
        if before == nil { before = knowledge }
        count += 1
        return true
    }

    /// Every block of a job was refused, or the run is long.
    ///
    /// - Returns: what is to be known again, where the device is what refuses; nil where its addresses are bad.
    mutating func takeWhole(job: Int, at now: Duration) -> Knowledge? {
        var doubt = doubts[job] ?? Doubt()
        if now - doubt.last > Self.doubtTime { doubt.count = 0 }
        guard let before, doubt.count < Self.mostDoubts else { return nil }
        doubts[job] = Doubt(count: doubt.count + 1, last: now)
        isWhole = true
        return before
    }

    /// The device gave an answer.
    mutating func answered() {
        (before, count, isWhole) = (nil, 0, false)
    }
}
