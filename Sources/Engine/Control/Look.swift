import Model

/// A place that a device is asked for beside its polls.
struct Look: Sendable {
    /// When the question that is out was asked; nil where none is.
    var begun: Moment?
    /// What was found last, and the uptime at which it was asked for.
    var finding: ReadBack?
    var last: Duration?
}

/// A request that cannot be judged yet.
struct Question: Sendable {
    var request: IncomingRequest
    /// Points that must be read before; empty for one that only waits for its turn at the point.
    var awaited: Set<String>
}

/// A value that changed while the device was out of sight.
struct Doubt: Sendable {
    var sample: ReadingSample
    var since: Duration
}
