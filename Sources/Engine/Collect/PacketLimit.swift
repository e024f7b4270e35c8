/// The largest packet that a broker takes: what it announces, or what was learned from packets that it refused. A pure
/// machine; time comes in as an argument.
///
/// A broker of MQTT 5 refuses a large packet with reason code 149, one of MQTT 3.1.1 ends the session. The search keeps the
/// largest packet that was taken and the smallest that was refused.
package struct PacketLimit: Hashable, Sendable {
    /// MQTT 5, 3.4.2.1: packet too large.
    package static let tooLarge: UInt8 = 0x95
    /// A session that ends sooner may have ended because of a packet.
    static let shortSession = Duration.seconds(10)
    /// Short sessions that end at a large packet before one is taken for the reason.
    static let endsToSuspect = 2

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
    private var takenInSession = 0
    /// Whether a refusal ends the session: then the search takes larger steps.
    private var endsSessions = false
    private var suspicions = 0
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
        let first = taken + room / (endsSessions ? 4 : 2)
        return [first, taken + room / 2, taken + room * 3 / 4, refused.byteCount - 1].filter { $0 >= first && $0 > 0 }
    }

    /// Whether a packet is larger than all that may be tried.
    package func excludes(_ byteCount: Int) -> Bool { tries.last.map { byteCount > $0 } ?? false }

    /// What was learned, in words; nil where nothing had to be.
    package var words: String? {
        guard let refused, let current else { return nil }
        let how = endsSessions ? "ends the session at" : "refuses"
        return "the broker \(how) a packet of \(refused.byteCount) bytes to \(refused.topic) without having announced a"
            + " limit: at most \(current) bytes are sent"
    }

    // MARK: - What happens

    package mutating func connected(announced limit: Int?, at now: Duration) {
        announced = limit
        since = now
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

    package mutating func acknowledged(_ token: PublishToken) {
        guard let packet = open.removeValue(forKey: token) else { return }
        takenInSession = max(takenInSession, packet.byteCount)
        if let refused { taken = min(max(taken, packet.byteCount), refused.byteCount - 1) }
    }

    /// - Returns: whether smaller packets may be taken, where the broker refused it for its size.
    package mutating func refused(_ token: PublishToken, code: UInt8) -> Bool {
        guard let packet = open.removeValue(forKey: token), code == Self.tooLarge else { return false }
        learn(packet)
        return true
    }

    /// The session is gone.
    ///
    /// - Returns: whether something was learned.
    package mutating func disconnected(at now: Duration) -> Bool {
        let first = open.values.min { $0.order < $1.order }
        open = [:]
        guard let first, first.byteCount > takenInSession, now - since < Self.shortSession else {
            suspicions = 0
            return false
        }
        suspicions += 1
        guard suspicions >= Self.endsToSuspect || (endsSessions && refused != nil) else { return false }
        endsSessions = true
        learn(first)
        return true
    }

    private mutating func learn(_ packet: Open) {
        if taken >= packet.byteCount { taken = 0 }
        if packet.byteCount <= refused?.byteCount ?? .max { refused = packet }
    }
}
