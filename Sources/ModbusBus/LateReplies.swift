import Engine

/// What keeps a late reply from becoming the answer to another request on a channel whose frames carry no transaction id.
///
/// After a time-out the line rests for one response time, as the units on it show it, and until it is silent. A reply that
/// comes even later carries its unit, so others may be asked meanwhile; its own unit may not, until no reply can come.
struct LateReplies {
    /// Within this time the line rests for the whole time-out after each one, once a reply came so late.
    private static let memory = Duration.seconds(600)
    private static let shortestSilence = Duration.milliseconds(20)
    /// Fewer bytes are no frame: the noise of a line that changes direction.
    private static let shortestFrame = 5

    /// How long a reply may take.
    private let limit: Duration
    /// The slowest of the last replies of all units; decays.
    private var usual: Duration?
    private var lateUntil = Duration.zero
    private var owing: [UInt8: Duration] = [:]

    init(limit: Duration) {
        self.limit = limit
    }

    mutating func answered(by unit: UInt8, after duration: Duration) {
        owing[unit] = nil
        usual = max(duration, usual.map { $0 * (63.0 / 64) } ?? .zero)
    }

    /// The reply of `unit` was waited for in vain and may still come.
    mutating func missed(_ unit: UInt8, at now: Duration) {
        owing[unit] = now + limit
    }

    /// Bytes came that nobody waited for.
    mutating func strayed(byteCount: Int, at now: Duration) {
        if byteCount >= Self.shortestFrame { lateUntil = now + Self.memory }
    }

    /// How long the line must have been silent after a request that was waited for so long. Never more than that.
    func silence(after waited: Duration, at now: Duration) -> Duration {
        guard let usual, now >= lateUntil else { return waited }
        return min(waited, max(usual * 2, Self.shortestSilence))
    }

    /// The moment from which on `unit` may be asked.
    func quietUntil(_ unit: UInt8) -> Duration {
        owing[unit] ?? .zero
    }
}
