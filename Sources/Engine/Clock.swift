package import Model

/// Both times that the engine needs, injected so that tests decide what time it is.
package protocol Timekeeper: Sendable {
    /// Monotonic time since an arbitrary start: for deadlines and waiting.
    var uptime: Duration { get }

    /// UTC as the machine believes it: for what is published.
    var utc: UnixTime { get }

    /// Returns when ``uptime`` has reached `deadline`. Throws `CancellationError` when the task is cancelled.
    func sleep(until deadline: Duration) async throws
}
