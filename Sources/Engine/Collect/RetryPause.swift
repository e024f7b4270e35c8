/// When a question that was not answered as it should be is asked again: ever more rarely.
struct RetryPause: Hashable, Sendable {
    private var failures = 0

    static let shortest = Duration.seconds(1)
    static let longest = Duration.seconds(60)

    /// The next pause; each is twice as long as the one before, up to a bound.
    ///
    /// - Parameter jitter: 0..<1, so that many devices are not asked in step.
    mutating func next(jitter: Double) -> Duration {
        defer { failures += 1 }
        return min(Self.shortest * (1 << min(failures, 16)), Self.longest) * (1 + jitter / 5)
    }

    mutating func forget() { failures = 0 }
}
