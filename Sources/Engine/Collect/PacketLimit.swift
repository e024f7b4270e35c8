import Model

/// The largest packet that a broker takes: what it announces, or what was learned from packets that it refused. A pure
/// machine; time comes in as an argument.
///
/// A broker of MQTT 5 refuses a large packet with reason code 149, one of MQTT 3.1.1 ends the session. The search keeps the
/// largest packet that was taken and the smallest that was refused. A session may also end at a packet because its topic is
/// forbidden: while only one topic is suspected, larger packets go to the others, and one that is taken clears the size.
package struct PacketLimit: Hashable, Sendable {
    /// MQTT 5, 3.4.2.1: packet too large.
    package static let tooLarge: UInt8 = 0x95
    /// A session that ends sooner may have ended because of a packet.
    static let shortSession = Duration.seconds(10)
    /// Short sessions that end at a large packet before one is taken for the reason.
    static let endsToSuspect = 2
    /// As many where packets as large were taken before: a broker that restarts again and again.
    static let endsToDoubt = 4
    /// What was concluded from sessions that ended holds for so long: then it is tried again.
    static let beliefTime = Duration.seconds(3600)
    private static let topicLimit = 64

    private struct Open: Hashable, Sendable {
        var order: UInt64
        var byteCount: Int
        var topic: String
    }

    /// What the broker of this session announced.
    private var announced: Int?
    /// The smallest packet that was refused, and to which topic.
    private var refused: Open?
    /// The largest packet that was taken since.
    private var taken = 0
    /// The largest packet that was taken in any session.
    private var proven = 0
    private var takenInSession = 0
    /// Whether a refusal ends the session. Each further one costs a session and a longer pause: the search begins far below,
    /// and takes what went through for good enough.
    private var endsSessions = false
    private var suspicions = 0
    /// Topics at which sessions ended, as far as the size is suspected.
    private var endTopics: Set<String> = []
    /// Whether nothing but the refused packet was under way when the session ended.
    private var isCertain = false
    /// Topics at which sessions end whatever the size, and until when that is taken for true.
    private var forbidden: [String: Duration] = [:]
    private var learned = Duration.zero
    private var since = Duration.zero
    private var open: [PublishToken: Open] = [:]
    private var nextOrder: UInt64 = 0

    package init() {}

    // MARK: - What is known

    /// Bytes of the largest packet to send; nil for no limit.
    package var current: Int? { tries.first }

    /// Limits to divide by, one after the other, until even a smallest part fits.
    package var tries: [Int] {
        guard let refused, refused.byteCount <= announced ?? .max else { return announced.map { [$0] } ?? [] }
        let room = refused.byteCount - taken
        let first = endsSessions ? max(taken, refused.byteCount / 8) : taken + room / 2
        // Ever smaller steps below what was refused: a smallest part may fit only just.
        let larger = [2, 4, 8, 16, 32, 64].map { taken + room - room / $0 } + [refused.byteCount - 1]
        return ([first] + larger.filter { $0 > first && $0 < refused.byteCount }).filter { $0 > 0 }
    }

    /// Why a message is not to be sent, in words; nil where it may be.
    package func objection(to message: OutboundMessage) -> String? {
        if let words = objection(toTopic: message.topic) { return words }
        let byteCount = message.packetByteCount
        guard let last = tries.last, byteCount > last else { return nil }
        guard byteCount > announced ?? .max || !isTopicSuspected || message.topic == refused?.topic else { return nil }
        return "\(byteCount) bytes exceed the broker's packet limit"
    }

    /// Why nothing is to be sent to a topic, in words.
    package func objection(toTopic topic: String) -> String? {
        forbidden[topic] == nil ? nil : "the broker ends the session at packets to this topic"
    }

    /// Whether sessions ended at one topic only: then it may be the reason, and not the size.
    package var isTopicSuspected: Bool { refused != nil && endsSessions && endTopics.count == 1 }

    /// What was learned, in words; nil where nothing had to be.
    package var words: String? {
        let topics = forbidden.keys.sorted().prefix(3).joined(separator: ", ")
        let closed =
            forbidden.isEmpty ? nil : "the broker ends the session at packets to \(topics), whatever their size"
        guard let refused, let current else { return closed }
        let how = endsSessions ? "ends the session at" : "refuses"
        let size =
            "the broker \(how) a packet of \(refused.byteCount) bytes to \(refused.topic) without having announced a"
            + " limit: at most \(current) bytes are sent"
        return [closed, size].joinedWords
    }

    // MARK: - What happens

    package mutating func connected(announced limit: Int?, at now: Duration) {
        announced = limit
        since = now
        doubt(at: now)
        takenInSession = 0
        open = [:]
    }

    /// The client library knows a limit that was not told at the beginning.
    package mutating func announced(_ limit: Int) { announced = limit }

    package mutating func sent(_ token: PublishToken, _ message: OutboundMessage) {
        open[token] = Open(order: nextOrder, byteCount: message.packetByteCount, topic: message.topic)
        nextOrder += 1
    }

    package mutating func forget(_ token: PublishToken) { open[token] = nil }

    package mutating func acknowledged(_ token: PublishToken, at now: Duration) {
        guard let packet = open.removeValue(forKey: token) else { return }
        takenInSession = max(takenInSession, packet.byteCount)
        proven = max(proven, packet.byteCount)
        doubt(at: now)
        guard let refused else { return }
        guard !endsSessions || packet.byteCount < refused.byteCount else { return blame(refused.topic, at: now) }
        taken = min(max(taken, packet.byteCount), refused.byteCount - 1)
    }

    /// The size was not the reason: as large a packet was taken.
    private mutating func blame(_ topic: String, at now: Duration) {
        if isCertain, forbidden.count < Self.topicLimit { forbidden[topic] = now + Self.beliefTime }
        forgetSize()
    }

    private mutating func forgetSize() {
        refused = nil
        (taken, suspicions, endsSessions, endTopics) = (0, 0, false, [])
    }

    /// Conclusions from ended sessions are tried again after a while: nothing but a guess tells a limit from a topic.
    private mutating func doubt(at now: Duration) {
        if !forbidden.isEmpty { forbidden = forbidden.filter { $0.value > now } }
        if endsSessions, refused != nil, now - learned >= Self.beliefTime { forgetSize() }
    }

    /// - Returns: whether smaller packets may be taken, where the broker refused it for its size.
    package mutating func refused(_ token: PublishToken, code: UInt8) -> Bool {
        guard let packet = open.removeValue(forKey: token), code == Self.tooLarge else { return false }
        learn(packet, at: .zero)
        return true
    }

    /// The session is gone.
    ///
    /// - Returns: whether something was learned.
    package mutating func disconnected(at now: Duration) -> Bool {
        // The acknowledgements of smaller packets before it may be lost with the session.
        let first = open.values.max { ($0.byteCount, $1.order) < ($1.byteCount, $0.order) }
        let isAlone = open.count == 1
        open = [:]
        guard let first, first.byteCount > takenInSession, now - since < Self.shortSession else {
            suspicions = 0
            if refused == nil { endTopics = [] }
            return false
        }
        suspicions += 1
        if endTopics.count < 2 { endTopics.insert(first.topic) }
        guard suspicions >= endsNeeded(at: first.byteCount) else { return false }
        (endsSessions, suspicions) = (true, 0)
        isCertain = isAlone
        learn(first, at: now)
        return true
    }

    /// How many sessions must end at a packet of this size until the size is suspected.
    private func endsNeeded(at byteCount: Int) -> Int {
        if byteCount <= proven { return Self.endsToDoubt }
        return endsSessions && refused != nil ? 1 : Self.endsToSuspect
    }

    private mutating func learn(_ packet: Open, at now: Duration) {
        learned = now
        proven = min(proven, packet.byteCount - 1)
        if taken >= packet.byteCount { taken = 0 }
        if packet.byteCount <= refused?.byteCount ?? .max { refused = packet }
    }
}
