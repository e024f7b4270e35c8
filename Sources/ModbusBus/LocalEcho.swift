/// Whether a channel gives back what is sent on it: the local echo of an RS-485 adapter, or of a converter behind it.
///
/// The echo of most reads is no valid answer to them, so it is recognised at once. The echo of FC05, FC06 and FC22 is their
/// valid answer, and so is that of a read of 17 to 24 bits from 768 to 1023: there, what other requests showed decides.
struct LocalEcho: Hashable, Sendable {
    enum Knowledge: Hashable, Sendable {
        case unknown, absent, present
    }

    private(set) var knowledge: Knowledge
    private var repliesWithout = 0

    init(knowledge: Knowledge = .unknown) {
        self.knowledge = knowledge
    }

    /// So many replies in a row without an echo end it: some adapters lose single echoes.
    static let repliesToForget = 32
    static let words = "local echo of the adapter"

    /// What is to be logged and shown once an echo was seen.
    static let advice =
        "\(words): what is sent comes back before the answer; the gateway drops it, better switch it off at the adapter"

    /// - Returns: whether that is news.
    mutating func seen() -> Bool {
        defer { (knowledge, repliesWithout) = (.present, 0) }
        return knowledge != .present
    }

    /// A reply came without an echo, to a request whose echo would have been recognised.
    mutating func missed() {
        switch knowledge {
        case .absent: break
        case .unknown: knowledge = .absent
        case .present:
            repliesWithout += 1
            if repliesWithout >= Self.repliesToForget { self = LocalEcho() }
        }
    }

    /// The channel was opened anew: the adapter may be another one.
    mutating func opened() {
        if knowledge == .absent { self = LocalEcho() }
    }
}

/// What the bytes of an RTU channel are to one request.
enum RTUVerdict: Hashable {
    /// How the reply came: right away, behind an echo, or in a way that tells nothing.
    enum Echo: Hashable {
        case none, before, untold
    }

    /// More bytes are needed.
    case wait
    case reply([UInt8], echo: Echo)
    /// A valid answer that may as well be an echo: what follows within the time-out decides.
    case held([UInt8])
}

extension RTUReply {
    /// Whether a reply PDU is that of the request frame.
    static func isSame(_ request: [UInt8], _ pdu: [UInt8]) -> Bool {
        pdu.count == request.count - 3 && request[1...].starts(with: pdu)
    }

    /// Bytes of an echo that lost some: fewer are noise.
    private static let shortestRemains = 3

    /// - Parameter request: the frame that was sent.
    func verdict(_ expected: Expectation, request: [UInt8], _ echo: LocalEcho.Knowledge) -> RTUVerdict {
        guard let first = reply(to: expected, from: 0) else { return .wait }
        guard expected.admits(request[1..<(request.count - 2)]) else {
            let before = bytes[..<first.range.lowerBound]
            if before.isEmpty { return .reply(first.pdu, echo: .none) }
            return .reply(first.pdu, echo: Self.isEcho(before, of: request) ? .before : .untold)
        }
        guard bytes[first.range] == request[...] else { return .reply(first.pdu, echo: .untold) }
        let second = reply(to: expected, from: first.range.upperBound)
        switch echo {
        case .absent: return .reply(first.pdu, echo: .untold)
        case .present where Self.isEcho(bytes[..<first.range.lowerBound], of: request):
            return .reply(first.pdu, echo: .before)
        case .present: return second.map { .reply($0.pdu, echo: .before) } ?? .wait
        case .unknown: return second.map { .reply($0.pdu, echo: .before) } ?? .held(first.pdu)
        }
    }

    /// Whether nothing but the request itself, whole and once, has come.
    func isOnlyEcho(of request: [UInt8]) -> Bool {
        bytes.count >= request.count && bytes.count < request.count + Self.shortestRemains
            && Self.holds(request[...], bytes[...])
    }

    /// Whether the bytes before a reply hold the request, or what is left of it: its end, or its beginning.
    private static func isEcho(_ before: ArraySlice<UInt8>, of request: [UInt8]) -> Bool {
        if before.count >= request.count, holds(request[...], before) { return true }
        for count in stride(from: min(before.count, request.count - 1), through: shortestRemains, by: -1)
        where before.suffix(count) == request.suffix(count) || before.prefix(count) == request.prefix(count) {
            return true
        }
        return false
    }

    private static func holds(_ part: ArraySlice<UInt8>, _ whole: ArraySlice<UInt8>) -> Bool {
        guard whole.count >= part.count else { return false }
        return (whole.startIndex...(whole.endIndex - part.count)).contains {
            whole[$0..<($0 + part.count)] == part
        }
    }
}
