/// How long a connection to a broker pauses before the next attempt. Pure; time comes in as an argument.
///
/// The pause is at most a second for the first two minutes without a session, then it doubles. A session that ends soon after
/// it was accepted doubles the pause from the first time on: another client with the same id, or a broker that ends it for
/// something that this client sends. Only a session that lasts makes up for those.
package struct ReconnectPause: Hashable, Sendable {
    /// Without a session for so long the pause begins to grow.
    package static let patience = Duration.seconds(120)
    /// A session that ends sooner was of no use.
    package static let shortSession = Duration.seconds(10)
    /// A session that lasts longer makes up for short ones.
    static let lastingSession = Duration.seconds(120)
    /// Short sessions in a row that are worth a hint.
    static let shortSessionsToHint = 2

    private let bounds: ClosedRange<Double>
    private var pause: Double
    private var since: Duration?
    /// Sessions that ended soon, without a lasting one in between.
    package private(set) var shortSessions = 0

    /// - Parameter bounds: the shortest and the longest pause in seconds.
    package init(bounds: ClosedRange<Double> = 1...60) {
        self.bounds = bounds
        pause = bounds.lowerBound
    }

    /// The pause after an attempt that came to no session, in seconds.
    package mutating func failed(at now: Duration) -> Double {
        let begun = since ?? now
        since = begun
        defer { if now - begun >= Self.patience { double() } }
        return pause
    }

    /// The pause after a session of this length, in seconds.
    package mutating func ended(lasted: Duration, isTakenOver: Bool, at now: Duration) -> Double {
        since = nil
        if lasted < Self.shortSession || isTakenOver {
            shortSessions += 1
            double()
        } else if lasted >= Self.lastingSession || shortSessions == 0 {
            shortSessions = 0
            pause = bounds.lowerBound
        }
        return pause
    }

    private mutating func double() {
        pause = min(pause * 2, bounds.upperBound)
    }

    /// What may be wrong where sessions end again and again; nil where that is not so.
    package func hint(clientID: String, isTakenOver: Bool) -> String? {
        if isTakenOver {
            return "another client uses the client id '\(clientID)'; each gateway needs its own (client_id)"
        }
        guard shortSessions >= Self.shortSessionsToHint else { return nil }
        return "\(shortSessions) sessions ended right after they began: does another client use the client id"
            + " '\(clientID)', or does the broker refuse what it is sent?"
    }
}
