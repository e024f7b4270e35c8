import Model

/// How much each issuer has put into the ledger since a day began: what is fed from outside must not fill the disk. A pure value;
/// a start begins a new day.
struct LedgerUse: Hashable, Sendable {
    private static let day = Duration.seconds(86_400)

    private var byteCounts: [String: Int] = [:]
    private var begun: Duration

    init(at uptime: Duration) {
        begun = uptime
    }

    mutating func add(_ byteCount: Int, by issuer: String, at uptime: Duration) {
        if uptime - begun >= Self.day { self = LedgerUse(at: uptime) }
        byteCounts[issuer, default: 0] += byteCount
    }

    func isSpent(_ limit: Int, by issuer: String, at uptime: Duration) -> Bool {
        uptime - begun < Self.day && byteCounts[issuer, default: 0] >= limit
    }
}

/// Which refusals get an entry of their own: the first of each sender do, the others are summed up, one entry a minute. A pure
/// value.
struct RefusalTally: Sendable {
    struct Summary: Hashable, Sendable {
        var since: UnixTime
        var counts: [String: UInt64]
    }

    static let interval = Duration.seconds(60)

    private var buckets: [String: TokenBucket] = [:]
    private var summary: Summary?
    private var begun: Duration?

    /// Counts a refusal.
    ///
    /// - Parameter sender: the issuer that signed it; all others share one.
    /// - Returns: whether it gets an entry of its own.
    mutating func admits(_ code: RefusalCode, of sender: String?, _ limits: DeskLimits, at now: Moment) -> Bool {
        let key = sender ?? ""
        var bucket =
            buckets[key]
            ?? TokenBucket(rate: 1 / Self.interval.inSeconds, burst: limits.refusalEntries, at: now.uptime)
        defer { buckets[key] = bucket }
        guard !bucket.take(at: now.uptime) else { return true }
        if summary == nil { (summary, begun) = (Summary(since: now.utc, counts: [:]), now.uptime) }
        summary?.counts[code.rawValue, default: 0] += 1
        return false
    }

    /// What is to be recorded now, once.
    mutating func takeDue(at uptime: Duration) -> Summary? {
        guard let begun, uptime - begun >= Self.interval || uptime < begun else { return nil }
        defer { (summary, self.begun) = (nil, nil) }
        return summary
    }
}

extension CommandDesk {
    /// Longest text of a refused message that is recorded, in bytes, and of a request that is followed: its digest stands for
    /// the rest.
    private static let refusedTextLimit = 200
    static let requestTextLimit = 1024

    /// Records a refusal, or counts it.
    mutating func recordRefusal(_ code: RefusalCode, of sender: Sender?, _ members: [(String, JSONValue)]) {
        let proven = sender.flatMap { $0.isProven && site.issuers[$0.name] != nil ? $0.name : nil }
        guard refusals.admits(code, of: proven, site.limits, at: now) else { return }
        leaf("refused", members.map { ($0.0, $0.1.shortened(to: Self.refusedTextLimit)) })
    }

    mutating func recordRefusalSummary() {
        guard let summary = refusals.takeDue(at: now.uptime) else { return }
        let counts = summary.counts.sorted { $0.key < $1.key }
        leaf(
            "refused",
            [
                ("what", .string("summary")), ("since", .time(summary.since)),
                ("count", .integer(counts.reduce(0) { $0 + Int64(clamping: $1.value) })),
                ("codes", .object(counts.map { .init($0.key, .integer(Int64(clamping: $0.value))) })),
            ])
    }

    /// Whether the issuer has put as much into the ledger today as it may. To give something up is always possible.
    func hasSpentLedger(_ request: IncomingRequest) -> Bool {
        switch request.command.action {
        case .release, .cancel: return false
        case .set, .renew:
            let issuer = request.sender.isProven ? request.sender.name : Self.unproven
            return ledgerUse.isSpent(site.limits.ledgerBytesPerDay, by: issuer, at: now.uptime)
        }
    }

    /// Counts the newest entry for the issuer of the command. A name that is only claimed costs its owner nothing.
    mutating func chargeLedger(for command: ActiveCommand) {
        let issuer = command.isSigned ? command.issuer : Self.unproven
        ledgerUse.add(output.leaves.last?.count ?? 0, by: issuer, at: now.uptime)
    }

    private static var unproven: String { "" }
}

extension JSONValue {
    /// The same with each text cut to `byteCount`.
    func shortened(to byteCount: Int) -> JSONValue {
        switch self {
        case .string(let text):
            guard text.utf8.count > byteCount else { return self }
            let cut = String(decoding: text.utf8.prefix(byteCount), as: UTF8.self)
            return .string(cut + "…")
        case .array(let elements): return .array(elements.map { $0.shortened(to: byteCount) })
        case .object(let members):
            return .object(members.map { .init($0.key, $0.value.shortened(to: byteCount)) })
        case .null, .bool, .number: return self
        }
    }
}
