/// Errors that the receiver of a UART has counted since it was set up.
struct ReceiverErrors: Hashable {
    var framing: Int
    var parity: Int
    var overrun: Int
    var breaks: Int
}

/// Judges from the answers on a line whether its settings may be wrong. A wrong baud rate or parity gives damage in nearly
/// every answer, noise in some.
struct LineQuality {
    /// The newest answers: 1 is one that was damaged. The newest is the least significant bit.
    private var recent: UInt64 = 0
    private var count = 0
    private var before: ReceiverErrors?
    private var isSuspect = false

    /// Answers that are looked at together, and how many must be there for a judgement.
    private static let window = 32
    private static let least = 8

    /// A port was opened; its driver counts from here on, or does not.
    mutating func opened(_ errors: ReceiverErrors?) {
        self = LineQuality()
        before = errors
    }

    /// An answer was right.
    mutating func answered() {
        note(isDamaged: false)
        if damaged * 4 < count { isSuspect = false }
    }

    /// Something came that was no answer.
    ///
    /// - Parameter errors: what the driver has counted by now, nil where it does not count.
    /// - Returns: what to tell, once until the line is well again.
    mutating func damaged(_ errors: ReceiverErrors?) -> String? {
        note(isDamaged: true)
        guard !isSuspect, count >= Self.least, damaged * 2 > count else { return nil }
        isSuspect = true
        let answers = "CRC errors in \(damaged) of \(count) answers"
        guard let errors, let before else { return answers + ": wrong baud rate or parity?" }
        let (framing, parity) = (errors.framing - before.framing, errors.parity - before.parity)
        switch (framing > 0, parity > 0) {
        case (true, _): return "\(answers), \(framing) framing errors: wrong baud rate, or another format?"
        case (false, true): return "\(answers), \(parity) parity errors: wrong parity?"
        case (false, false): return answers + " and no framing or parity errors: noise, wiring, or two masters?"
        }
    }

    private var damaged: Int { recent.nonzeroBitCount }

    private mutating func note(isDamaged: Bool) {
        recent = (recent << 1 | (isDamaged ? 1 : 0)) & (1 << UInt64(Self.window) - 1)
        count = min(count + 1, Self.window)
    }
}
