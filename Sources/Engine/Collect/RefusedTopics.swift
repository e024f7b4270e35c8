/// Topics outside of the journal that a broker does not take: each is named and counted, and what stands retained there is
/// tried again. A pure machine; time comes in as an argument.
package struct RefusedTopics<Retry: Sendable>: Sendable {
    private struct Entry: Sendable {
        var reason: String
        var count: UInt64
        var retry: Retry?
        var due: Duration
        var pause: Duration
        var since: Duration
    }

    private var entries: [String: Entry] = [:]
    /// Messages that were refused since the start.
    package private(set) var total: UInt64 = 0

    static var limit: Int { 256 }
    static var shortestPause: Duration { .seconds(10) }
    static var longestPause: Duration { .seconds(300) }
    /// What is not tried again is news for so long.
    static var newsTime: Duration { .seconds(600) }

    package init() {}

    package var isEmpty: Bool { entries.isEmpty }
    /// Refused messages by topic.
    package var counts: [String: UInt64] { entries.mapValues(\.count) }

    /// - Parameter retry: what is published again after a pause; nil for a message that is of no use later.
    package mutating func refused(_ topic: String, _ reason: String, retry: Retry?, at now: Duration) {
        total += 1
        var entry =
            entries[topic]
            ?? Entry(reason: reason, count: 0, retry: nil, due: now, pause: Self.shortestPause / 2, since: now)
        entry.reason = reason
        entry.count += 1
        entry.since = now
        entry.retry = retry
        entry.pause = min(entry.pause * 2, Self.longestPause)
        entry.due = now + entry.pause
        if entries[topic] == nil, entries.count >= Self.limit { dropOldest() }
        entries[topic] = entry
    }

    /// The broker takes it now.
    package mutating func accepted(_ topic: String) {
        if !entries.isEmpty { entries[topic] = nil }
    }

    /// What is to be tried again now.
    package mutating func takeDue(at now: Duration) -> [Retry] {
        guard !entries.isEmpty else { return [] }
        entries = entries.filter { $0.value.retry != nil || now - $0.value.since < Self.newsTime }
        var due: [Retry] = []
        for (topic, entry) in entries where entry.due <= now {
            guard let retry = entry.retry else { continue }
            due.append(retry)
            entries[topic]?.due = now + entry.pause
        }
        return due
    }

    /// A new session: everything is published anew.
    package mutating func removeAll() { entries = [:] }

    private mutating func dropOldest() {
        let oldest = entries.min { $0.value.since < $1.value.since }
        if let oldest { entries[oldest.key] = nil }
    }

    /// Names what is refused; nil where nothing is.
    package var words: String? {
        guard !entries.isEmpty else { return nil }
        let named = entries.sorted { $0.key < $1.key }.prefix(3).map { "\($0.key) (\($0.value.reason))" }
        let more = entries.count > 3 ? " and \(entries.count - 3) more" : ""
        let count = entries.count == 1 ? "a topic" : "\(entries.count) topics"
        return "the broker refuses \(count): \(named.joined(separator: ", "))\(more)"
    }
}

/// MQTT 5, 3.4.2.1, in words.
package enum PublishRefusal {
    package static func words(_ code: UInt8) -> String {
        let meaning = meaning(of: code)
        return meaning.isEmpty ? "reason code \(code)" : meaning
    }

    static func meaning(of code: UInt8) -> String {
        switch code {
        case 0x83: "implementation specific error"
        case 0x87: "not authorised"
        case 0x90: "topic name invalid"
        case 0x95: "packet too large"
        case 0x97: "quota exceeded"
        case 0x99: "payload format invalid"
        default: ""
        }
    }
}
