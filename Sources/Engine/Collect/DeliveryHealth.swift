/// How a broker treats what it is sent, and what follows from it: one that acknowledges nothing is told from one that is
/// slow, one that refuses is asked again after growing pauses. A pure machine; time comes in as an argument.
package struct DeliveryHealth: Hashable, Sendable {
    /// Without any answer for so long a broker counts as stalled; after the longer time a new session is tried.
    package static let stallTime = Duration.seconds(10)
    package static let resetTime = Duration.seconds(60)
    /// Refusals without an acknowledgement in between after which nothing more is sent for a while.
    package static let refusalsToPause = 8
    /// The pause doubles up to 2^6 seconds.
    private static let longestBackOff = 6

    /// Nothing is sent before this time.
    package private(set) var pausedUntil = Duration.zero
    /// When one of the refused rows is tried again; nil while none was refused.
    package private(set) var probeAt: Duration?
    /// The reason code of the refusal that is not overcome yet.
    package private(set) var refusal: UInt8?
    private var refusalsInARow = 0
    private var backOff = 1
    private var lastAnswer: Duration
    private var waitsSince: Duration?

    /// A session stands since `now`.
    package init(at now: Duration = .zero) {
        lastAnswer = now
    }

    /// Something is sent. Waiting for an answer begins when nothing was under way before.
    package mutating func sent(at now: Duration, underWay: Int) {
        if underWay == 0 { lastAnswer = now }
    }

    /// The broker answered, in a way that says nothing about other rows.
    package mutating func answered(at now: Duration) {
        lastAnswer = now
    }

    package mutating func acknowledged(at now: Duration) {
        lastAnswer = now
        refusalsInARow = 0
    }

    /// The broker refused a publish with an MQTT 5 reason code. Where it is about that one message, others go on.
    package mutating func refused(_ code: UInt8, at now: Duration) {
        lastAnswer = now
        refusal = code
        refusalsInARow += 1
        let pause = Duration.seconds(1 << backOff)
        if probeAt == nil { probeAt = now + pause }
        if !Self.isAboutOneMessage(code) || refusalsInARow >= Self.refusalsToPause { pausedUntil = now + pause }
    }

    /// One of the refused rows is tried again.
    package mutating func probed() {
        probeAt = nil
        backOff = min(backOff + 1, Self.longestBackOff)
    }

    /// Nothing that was refused is left.
    package mutating func overcame() {
        refusal = nil
        probeAt = nil
        backOff = 1
    }

    /// Live rows wait because the window is full of publishes without an answer.
    package mutating func liveWaits(at now: Duration) {
        waitsSince = waitsSince ?? now
    }

    /// Every live row is under way.
    package mutating func liveIsCurrent() {
        waitsSince = nil
    }

    /// How long publishes have been waiting for any answer; nil while that is not remarkable.
    package func stall(at now: Duration, underWay: Int) -> Duration? {
        let silence = now - lastAnswer
        return underWay > 0 && silence >= Self.stallTime ? silence : nil
    }

    /// Whether live rows cannot keep up although the broker answers.
    package func isSlow(at now: Duration) -> Bool {
        waitsSince.map { now - $0 >= Self.stallTime } ?? false
    }

    /// MQTT 5, 3.4.2.1: not authorised, topic name invalid, packet too large, payload format invalid.
    private static func isAboutOneMessage(_ code: UInt8) -> Bool {
        [0x87, 0x90, 0x95, 0x99].contains(code)
    }
}
