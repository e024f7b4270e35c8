/// Where a command is in its life.
package enum CommandState: String, Sendable, CaseIterable {
    /// Journaled and synced.
    case received
    case rejected, shadowed, held, approved, denied, expired, cancelled
    /// Committed to be written; the write may or may not have left.
    case executing
    case written, verified, failed
    /// Sent, and nobody knows what the device did.
    case indeterminate
    case superseded, preempted, overridden, released, reverting, reverted
    /// The point is not at its fallback: an alarm until it is fixed.
    case revertFailed = "revert_failed"
}

/// What happens to a command.
package enum CommandStep: Sendable, CaseIterable {
    case reject, shadow, hold, approve, deny, expire, cancel
    case execute, acknowledge, verify, fail, loseSight
    case supersede, preempt, override, release
    case revert, finishRevert, giveUpRevert

    /// Where the step leads, from wherever it is allowed.
    package var target: CommandState {
        switch self {
        case .reject: .rejected
        case .shadow: .shadowed
        case .hold: .held
        case .approve: .approved
        case .deny: .denied
        case .expire: .expired
        case .cancel: .cancelled
        case .execute: .executing
        case .acknowledge: .written
        case .verify: .verified
        case .fail: .failed
        case .loseSight: .indeterminate
        case .supersede: .superseded
        case .preempt: .preempted
        case .override: .overridden
        case .release: .released
        case .revert: .reverting
        case .finishRevert: .reverted
        case .giveUpRevert: .revertFailed
        }
    }
}

extension CommandState {
    /// The state after `step`; nil where the life cycle does not allow it. `failed` may only be left for `reverting`, and
    /// only when the device took something.
    ///
    /// - Parameter isUnverified: whether nothing can be read that confirms the write. Then `written` is where it rests.
    package func after(_ step: CommandStep, isUnverified: Bool = false) -> CommandState? {
        allowed(isUnverified).contains(step) ? step.target : nil
    }

    private func allowed(_ isUnverified: Bool) -> [CommandStep] {
        switch self {
        case .received: [.reject, .shadow, .hold, .approve, .expire, .cancel]
        case .held: [.approve, .deny, .expire, .cancel, .supersede]
        case .approved: [.execute, .reject, .expire, .cancel, .supersede, .preempt]
        case .executing: [.acknowledge, .fail, .loseSight]
        case .written: isUnverified ? [.supersede, .preempt, .release, .revert] : [.verify, .fail, .loseSight]
        case .indeterminate: [.verify, .fail, .override, .revert]
        case .verified: [.supersede, .preempt, .override, .release, .revert]
        case .preempted: [isUnverified ? .acknowledge : .verify, .revert]
        case .failed: [.revert]
        case .reverting: [.finishRevert, .giveUpRevert]
        case .rejected, .shadowed, .denied, .expired, .cancelled, .superseded, .overridden, .released, .reverted,
            .revertFailed:
            []
        }
    }

    /// Whether nothing can happen any more. A failed command without effect on the device is finished too.
    package var isFinal: Bool { allowed(false).isEmpty }
}
