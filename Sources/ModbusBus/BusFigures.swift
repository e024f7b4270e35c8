/// What happened on a channel since the start.
package struct BusFigures: Hashable, Sendable {
    package var requests: UInt64 = 0
    /// Requests that change something, also counted among the requests.
    package var writes: UInt64 = 0
    package var timeouts: UInt64 = 0
    /// Answers that belonged to no request under way: late, or from somebody else. They were thrown away.
    package var strays: UInt64 = 0
    package var garbled: UInt64 = 0
    /// Connections opened.
    package var sessions: UInt64 = 0
}

/// How long to wait before a channel is opened again: doubles from half a second to a limit, with jitter.
struct ReopenBackoff {
    private let limit: Duration
    private var failures = 0

    /// - Parameter limit: 30 s where somebody else's device is asked; a file that is not there may be tried more often.
    init(limit: Duration = .seconds(30)) {
        self.limit = limit
    }

    mutating func opened() {
        failures = 0
    }

    /// - Parameter jitter: 0..<1.
    mutating func failed(jitter: Double) -> Duration {
        failures = min(failures + 1, 7)
        let base = Duration.milliseconds(250) * (1 << failures)
        return min(base, limit) * (1 + jitter / 4)
    }
}
