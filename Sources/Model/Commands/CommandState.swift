/// Where a command is in its life; drawn in docs/commands.md.
package enum CommandState: String, Sendable, CaseIterable {
    /// Journaled and synced to disk.
    case received
    /// A guard refused it; nothing was written.
    case rejected
    /// Judged and recorded, and not written: mode, lane or policy allow no more.
    case shadowed
    /// It waits for a person.
    case held
    /// It may be written; all guards run once more before the write.
    case approved
    /// A person refused it.
    case denied
    /// Its time ended before it was written.
    case expired
    /// It was called off before it was written.
    case cancelled
    /// Committed to be written; the write may or may not have left the gateway.
    case executing
    /// The device acknowledged the write. A command stays here only where nothing can be read back (code `unverified`).
    case written
    /// Read back from the device; in effect.
    case verified
    /// The device refused it, took another value, or nothing was sent; the code names which.
    case failed
    /// Sent without an answer: the device may or may not have taken it. The gateway reads back until it knows,
    /// and never writes again.
    case indeterminate
    /// A newer command of the same authority replaced it.
    case superseded
    /// An issuer with more authority has the point. The command waits, and comes back when the point is free.
    case preempted
    /// A person changed the value at the device.
    case overridden
    /// The issuer, or a person, gave the point back.
    case released
    /// The gateway writes the fallback.
    case reverting
    /// The point is at its fallback.
    case reverted
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
