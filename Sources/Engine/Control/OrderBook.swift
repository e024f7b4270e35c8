import Model

/// Which signed orders were followed, so that a copy of one changes nothing: in the ledger those that changed something, in
/// memory until their end also those that changed nothing. Each issuer has room of its own.
struct OrderBook: Sendable {
    struct Entry: Sendable {
        var issuer: String
        var expires: UnixTime
        var forget: Deadline
        /// Whether the ledger has it: only an order that changed something is recorded.
        var isRecorded: Bool
        /// Whether it turned a lockout on that was on already: its place is given away first.
        var isIdleStop: Bool
    }

    private var entries: [[UInt8]: Entry] = [:]
    private(set) var counts: [String: Int] = [:]
    /// The latest end of an order that was forgotten. An order that ends earlier may be one of those.
    private(set) var forgotten: UnixTime?
    /// The latest `issued` of an order that was taken, and what it was when these orders were read from the ledger.
    private(set) var latestIssued: UnixTime?
    private(set) var issuedBefore: UnixTime?

    static let recordKind = "order"

    var count: Int { entries.count }

    func contains(_ digest: [UInt8]) -> Bool { entries[digest] != nil }

    mutating func insert(_ digest: [UInt8], _ entry: Entry) {
        remove(digest)
        entries[digest] = entry
        counts[entry.issuer, default: 0] += 1
    }

    /// Whether `issuer` has room for one more, once its lockout orders that changed nothing have given way to `isStop`.
    mutating func makeRoom(for issuer: String, limit: Int) -> Bool {
        guard counts[issuer, default: 0] >= limit else { return true }
        guard let idle = entries.first(where: { $0.value.issuer == issuer && $0.value.isIdleStop })?.key else {
            return false
        }
        remove(idle)
        return true
    }

    private mutating func remove(_ digest: [UInt8]) {
        guard let old = entries.removeValue(forKey: digest) else { return }
        counts[old.issuer, default: 0] -= 1
        if counts[old.issuer] == 0 { counts[old.issuer] = nil }
    }

    func isLatest(_ time: UnixTime) -> Bool { latestIssued.map { time > $0 } ?? true }

    mutating func noteIssued(_ time: UnixTime) {
        latestIssued = max(latestIssued ?? time, time)
    }

    /// Lets go of the orders that have ended by both clocks; the digests of those that the ledger has.
    mutating func forget(at now: Moment) -> [[UInt8]] {
        let over = entries.filter { $0.value.forget.isOver(at: now) }
        for (digest, entry) in over {
            remove(digest)
            forgotten = max(forgotten ?? entry.expires, entry.expires)
        }
        return over.filter(\.value.isRecorded).map(\.key)
    }

    // MARK: - Records

    /// - Parameter body: nil takes the record of an order away.
    static func record(_ digest: [UInt8], _ body: [UInt8]?) -> LedgerRecord {
        LedgerRecord(kind: recordKind, key: DocumentDigest.hex(digest), body: body)
    }

    /// What stays of orders that are forgotten.
    var bounds: LedgerRecord {
        let document = JSONValue.compact([("expires", .stored(forgotten)), ("issued", .stored(latestIssued))])
        return LedgerRecord(kind: Bounds.recordKind, key: Bounds.orders, body: document.bytes)
    }

    mutating func restoreBounds(_ record: JSONValue) {
        forgotten = record.time("expires")
        latestIssued = record.time("issued")
        issuedBefore = latestIssued
    }
}

extension OrderBook.Entry {
    func record(_ digest: [UInt8]) -> LedgerRecord {
        let body = JSONValue.compact([("expires", .stored(expires)), ("issuer", .string(issuer))])
        return OrderBook.record(digest, body.bytes)
    }

    /// Reads a record. How far the clock was from the truth when it was written is not known: it is kept for `remember` at
    /// least.
    init(record: JSONValue, at now: Moment, remember: Duration) throws(RecordError) {
        let expires = try record.requiredTime("expires")
        var forget = Deadline(stored: expires + remember, at: now)
        forget.uptime = max(forget.uptime, now.uptime + remember)
        self.init(
            issuer: record["issuer"]?.text ?? "", expires: expires, forget: forget, isRecorded: true, isIdleStop: false)
    }
}

/// Times that outlive the ids and digests which are forgotten: what ends before them is refused, whatever the clock says.
enum Bounds {
    static let recordKind = "bounds"
    static let orders = "orders"
    static let requests = "requests"
}
