/// When a connection on which nothing is answered is given up and opened anew.
///
/// A connection that has answered may be half open: four time-outs in a row end it. One that never answered was only just
/// opened, and some converters are deaf for seconds after that: opening it anew would make them deaf again. So it gets ten
/// seconds, and twice as long each further time.
struct SessionPatience: Hashable, Sendable {
    /// What is to be done about a time-out.
    enum Verdict: Hashable {
        case goOn
        case reopen(silentFor: Duration, nextPatience: Duration)
    }

    private var openedAt = Duration.zero
    private(set) var hasAnswered = false
    private var timeouts = 0
    /// Connections in a row that were given up without a single answer.
    private var fruitless = 0

    static let timeoutsToReopen = 4
    static let firstPatience = Duration.seconds(10)
    static let longestPatience = Duration.seconds(300)

    mutating func opened(at now: Duration) {
        (openedAt, hasAnswered, timeouts) = (now, false, 0)
    }

    /// - Returns: how long after its opening the first answer on this connection came, where time-outs went before it.
    mutating func answered(at now: Duration) -> Duration? {
        if hasAnswered {
            timeouts = 0
            return nil
        }
        defer { (hasAnswered, timeouts, fruitless) = (true, 0, 0) }
        return timeouts > 0 ? now - openedAt : nil
    }

    /// For how long nothing has been answered since the connection was opened; nil once something was.
    func silence(at now: Duration) -> Duration? {
        hasAnswered ? nil : now - openedAt
    }

    mutating func timedOut(at now: Duration) -> Verdict {
        timeouts += 1
        guard timeouts >= Self.timeoutsToReopen else { return .goOn }
        if hasAnswered { return .reopen(silentFor: .zero, nextPatience: Self.firstPatience) }
        guard now - openedAt >= patience else { return .goOn }
        fruitless = min(fruitless + 1, 16)
        return .reopen(silentFor: now - openedAt, nextPatience: patience)
    }

    private var patience: Duration {
        min(Self.longestPatience, Self.firstPatience * (1 << min(fruitless, 10)))
    }

    /// Whether the patience still grows: from then on there is nothing new to log.
    var isGrowing: Bool { Self.firstPatience * (1 << min(fruitless, 10)) <= Self.longestPatience }
}

/// Connections that the other end closed: one line in the log, then a counter at each power of ten.
struct ClosingCount: Hashable, Sendable {
    private(set) var count: UInt64 = 0
    private var nextNote: UInt64 = 1
    /// Closed in a row before they gave a single answer.
    private(set) var emptyInARow = 0

    /// - Returns: what is to be logged, nil for nothing.
    mutating func closed(_ endpoint: String, hadAnswered: Bool) -> String? {
        count += 1
        emptyInARow = hadAnswered ? 0 : emptyInARow + 1
        guard count >= nextNote else { return nil }
        nextNote *= 10
        let times = count == 1 ? "" : ", \(count) times so far"
        return "\(endpoint) closed the connection\(times); a read that was under way is sent once more on a new one"
    }

    mutating func answered() {
        emptyInARow = 0
    }
}

/// Whether requests go unanswered only while others are under way: many devices take one at a time, whatever they accept.
struct CompanyWatch: Hashable, Sendable {
    private struct Tally: Hashable, Sendable {
        var answers = 0
        var timeouts = 0
        var count: Int { answers + timeouts }

        mutating func add(_ isAnswered: Bool) {
            if isAnswered { answers += 1 } else { timeouts += 1 }
            // What is long ago counts less and less.
            if count >= 64 { (answers, timeouts) = (answers / 2, timeouts / 2) }
        }
    }

    private var alone = Tally()
    private var together = Tally()
    private var isSaid = false

    private static let fewestTimeouts = 4

    /// - Parameter company: requests that were under way when this one was sent.
    /// - Returns: what is to be logged, once.
    mutating func ended(company: Int, isAnswered: Bool) -> String? {
        if company > 0 { together.add(isAnswered) } else { alone.add(isAnswered) }
        guard !isAnswered, !isSaid, isSuspect else { return nil }
        isSaid = true
        return Self.advice + " (\(together.timeouts) of the last \(together.count); sent alone \(alone.timeouts) of "
            + "\(alone.count))"
    }

    static let advice =
        "requests go unanswered that are sent while others are under way: the device may take one at a time, in_flight: 1"

    /// Whether time-outs come with company, and not without it.
    var isSuspect: Bool {
        together.timeouts >= Self.fewestTimeouts && together.timeouts * 5 >= together.count
            && alone.answers > 0 && alone.timeouts * together.count * 3 <= together.timeouts * alone.count
    }
}
