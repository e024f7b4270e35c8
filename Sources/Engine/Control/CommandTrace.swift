import Model

/// What counts of one command for ``CommandMetrics``.
struct CommandTrace: Sendable {
    let id: String
    let issuer: String
    let point: String
    let received: UnixTime
    /// Longest time that a foretold change takes; nil where none was foretold.
    let foretold: Duration?

    var state = CommandState.received
    var wasHeld = false
    var isTimedOut = false
    /// When a person decided, and whether for it.
    var decision: (time: UnixTime, isApproval: Bool)?
    var tookEffect: UnixTime?
    /// When it got where an outcome starts: in effect, or as shadow or denied.
    var anchor: UnixTime?
    /// Of the first thing that a person did about it.
    var interventionKind: Intervention.Kind?
    var reason: String?
    var overriddenAfter: Duration?
    /// Since when nobody knows, or the plant is not as it should be; and until when.
    var exceptionSince: UnixTime?
    var resolved: UnixTime?
    /// Of its outcome; nil while there is none.
    var isUsable: Bool?

    init(id: String, issuer: String, point: String, received: UnixTime, _ request: JSONValue) {
        self.id = id
        self.issuer = issuer
        self.point = point
        self.received = received
        let seconds = (request["rationale"]?["expected"]?.elements ?? []).compactMap { $0["within_s"]?.double }.max()
        foretold = seconds.map { .milliseconds(Int64(clamping: $0 * 1000)) }
    }

    mutating func take(
        _ new: CommandState, code: String?, at time: UnixTime, _ intervention: JSONValue?, _ hasActor: Bool
    ) {
        let old = state
        state = new
        if let intervention, interventionKind == nil { note(intervention) }
        switch new {
        case .held: wasHeld = true
        case .approved: if wasHeld, hasActor { decision = decision ?? (time, true) }
        case .denied:
            decision = (time, false)
            anchor = anchor ?? time
        case .shadowed: anchor = anchor ?? time
        case .expired: isTimedOut = code == RefusalCode.approvalTimeout.rawValue
        case .verified: takeEffect(at: time)
        case .written where code == RefusalCode.unverified.rawValue: takeEffect(at: time)
        case .failed:
            // Known now, and resolved with it unless something is to be taken back.
            exceptionSince = exceptionSince ?? time
            resolved = resolved ?? time
        case .indeterminate: exceptionSince = exceptionSince ?? time
        case .reverting: if old == .failed || old == .indeterminate { resolved = nil }
        case .reverted, .overridden: resolve(at: time)
        case .revertFailed:
            exceptionSince = exceptionSince ?? time
            resolved = nil
        case .received, .rejected, .cancelled, .executing, .written, .superseded, .preempted, .released: break
        }
    }

    private mutating func takeEffect(at time: UnixTime) {
        tookEffect = tookEffect ?? time
        anchor = anchor ?? time
        resolve(at: time)
    }

    mutating func resolve(at time: UnixTime) {
        if exceptionSince != nil, resolved == nil { resolved = time }
    }

    private mutating func note(_ intervention: JSONValue) {
        interventionKind = intervention["kind"]?.text.flatMap(Intervention.Kind.init(rawValue:))
        reason = intervention["reason"]?.text
        guard interventionKind?.isOverride ?? false, let seconds = intervention["after_s"]?.double else { return }
        overriddenAfter = .milliseconds(Int64(clamping: seconds * 1000))
    }
}
