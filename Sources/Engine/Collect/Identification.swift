package import Model

/// Whether what answers at a unit address is the device that its profile describes. It is asked when a connection has been
/// opened and when a unit is back after silence, and asked again, ever more rarely, while the answer is missing or wrong.
package struct Identification: Hashable, Sendable {
    /// What one round of asking gave.
    package enum Finding: Hashable, Sendable {
        case confirmed
        case wrong(expected: String, found: String)
        /// The unit refuses the question, in words: it will refuse it the next time too.
        case uncheckable(String)
        /// No answer, or one that says "later".
        case unanswered
    }

    /// What is known now, for people.
    package enum State: Hashable, Sendable {
        /// The profile says nothing.
        case exempt
        /// Not asked yet on this connection.
        case pending
        case confirmed
        /// Another device answers, or did when it was last heard.
        case wrong(expected: String, found: String)
        /// It cannot be checked; says why in words.
        case unverified(String)
    }

    /// Why nothing may be written; in words.
    package enum Obstacle: Error, Hashable, Sendable {
        case wrongDevice(String)
        case unidentified(String)

        package var words: String {
            switch self {
            case .wrongDevice(let words), .unidentified(let words): words
            }
        }
    }

    package let checks: [IdentityCheck]
    package private(set) var state: State
    /// The session that ``state`` is about, nil while it is in doubt.
    package private(set) var settledSession: UInt64?
    /// Nothing is asked before: set after a missing or a wrong answer. A session that was opened anew is asked at once, but
    /// not one whose unit does not answer the question: each attempt costs a time-out.
    private var retryAt: Duration?
    private var ignoresQuestion = false
    private var pause = RetryPause()

    /// Nobody exchanges a device in less.
    static let exchangeTime = Duration.seconds(10)

    /// - Parameter checks: of the profile.
    package init(checks: [IdentityCheck] = []) {
        self.checks = checks
        state = self.checks.isEmpty ? .exempt : .pending
    }

    // MARK: - Events

    /// The unit has been silent so long that somebody may have exchanged it.
    package mutating func fellSilent() {
        settledSession = nil
    }

    /// - Parameters:
    ///   - session: of the bus when the answers came, nil if it changed meanwhile: then they count for nothing.
    ///   - jitter: 0..<1, so that many devices do not ask in step.
    package mutating func found(_ finding: Finding, session: UInt64?, at now: Duration, jitter: Double) {
        guard state != .exempt, let session else { return }
        settledSession = session
        ignoresQuestion = false
        switch finding {
        case .confirmed:
            state = .confirmed
            forgetFailures()
        case .uncheckable(let reason):
            state = .unverified(reason)
            forgetFailures()
        case .wrong(let expected, let found):
            // Asked again all the same: some devices do not know yet who they are when they start.
            state = .wrong(expected: expected, found: found)
            postpone(now, jitter)
        case .unanswered:
            if !isWrong { state = .unverified("it does not say who it is") }
            settledSession = nil
            ignoresQuestion = true
            postpone(now, jitter)
        }
    }

    private mutating func forgetFailures() {
        pause.forget()
        retryAt = nil
    }

    private mutating func postpone(_ now: Duration, _ jitter: Double) {
        retryAt = now + pause.next(jitter: jitter)
    }

    // MARK: - Questions

    private var isWrong: Bool {
        if case .wrong = state { return true }
        return false
    }

    /// Whether the unit is to be asked now; to be looked at whenever it has answered something.
    package func isDue(session: UInt64, at now: Duration) -> Bool {
        guard state != .exempt else { return false }
        if settledSession != session, !ignoresQuestion { return true }
        return retryAt.map { now >= $0 } ?? false
    }

    /// What every reading of the device carries.
    package var suspicion: QualityReasons {
        isWrong ? QualityReasons(.configSuspect) : []
    }

    /// Why nothing may be written on `session`; nil where it may.
    package func obstacle(session: UInt64) -> Obstacle? {
        switch state {
        case .exempt: return nil
        case .wrong(let expected, let found):
            return .wrongDevice("another device answers: \(expected) expected, \(found) found")
        case .unverified(let reason): return .unidentified("the device cannot be identified: \(reason)")
        case .pending: return .unidentified("the device has not been identified yet")
        case .confirmed:
            guard settledSession != session else { return nil }
            return .unidentified("the device has not been identified since the connection was opened")
        }
    }
}

extension Identification.Finding {
    /// What it means that a check could not be read.
    package init(_ check: IdentityCheck, _ error: BusError) {
        switch error {
        case .refused(let code) where (1...3).contains(code):
            let question = check.span.map { "\($0)" } ?? "Read Device Identification"
            self = .uncheckable("it refuses \(question) with exception \(code)")
        case .refused, .noResponse, .garbled, .mismatch, .linkDown, .invalidRequest: self = .unanswered
        }
    }
}
