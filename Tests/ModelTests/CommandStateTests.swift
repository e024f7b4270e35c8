import Model
import Testing

@Suite struct CommandStateTests {
    /// The life cycle as the contract's table gives it.
    static let table: [CommandState: Set<CommandState>] = [
        .received: [.rejected, .shadowed, .held, .approved, .expired, .cancelled],
        .held: [.approved, .denied, .expired, .cancelled, .superseded],
        .approved: [.executing, .rejected, .expired, .cancelled, .superseded, .preempted],
        .executing: [.written, .failed, .indeterminate],
        .written: [.verified, .failed, .indeterminate],
        .indeterminate: [.verified, .failed, .overridden, .reverting],
        .verified: [.superseded, .preempted, .overridden, .released, .reverting],
        .preempted: [.verified, .reverting],
        .failed: [.reverting],
        .reverting: [.reverted, .revertFailed],
    ]

    @Test(arguments: CommandState.allCases)
    func everyPairOfStateAndStepGoesWhereTheTableSays(state: CommandState) {
        for step in CommandStep.allCases {
            let isAllowed = Self.table[state, default: []].contains(step.target)
            #expect(state.after(step) == (isAllowed ? step.target : nil), "\(state) \(step)")
        }
    }

    /// Where nothing can be read that confirms a write, `written` is in effect and `verified` is never reached from it.
    @Test(arguments: CommandState.allCases)
    func anUnverifiedWriteRestsInWritten(state: CommandState) {
        var table = Self.table
        table[.written] = [.superseded, .preempted, .released, .reverting]
        table[.preempted] = [.written, .reverting]
        for step in CommandStep.allCases {
            let isAllowed = table[state, default: []].contains(step.target)
            #expect(state.after(step, isUnverified: true) == (isAllowed ? step.target : nil), "\(state) \(step)")
        }
    }

    @Test func everyStateButReceivedIsTheTargetOfExactlyOneStep() {
        let targets = CommandStep.allCases.map(\.target)
        #expect(Set(targets).count == targets.count)
        #expect(Set(targets) == Set(CommandState.allCases).subtracting([.received]))
    }

    @Test func finalStatesAreThoseWithoutAWayOut() {
        for state in CommandState.allCases { #expect(state.isFinal == (Self.table[state] == nil), "\(state)") }
    }

    @Test func theCodesAreThoseOfTheContract() {
        let codes = """
            not_authorised, bad_signature, unknown_point, not_writable, bad_format, bad_unit, expired, time_skew, \
            duplicate_conflict, mode_blocked, local_control, locked_out, held_by_other, out_of_limits, step_limit, \
            rate_limit, min_interval, budget, interlock, interlock_unknown, evidence_stale, evidence_bad, \
            expect_mismatch, device_unhealthy, wrong_device, device_rejected, verify_mismatch, approval_denied, \
            approval_timeout, not_ready, audit_unavailable, not_sent, unverified
            """
        #expect(RefusalCode.allCases.map(\.rawValue).joined(separator: ", ") == codes)
    }

    @Test func theWorstVerdictWinsAndOfTwoRefusalsTheFirstCode() {
        let pass = GuardVerdict(name: "a", finding: .pass)
        let hold = GuardVerdict(name: "b", finding: .hold)
        let step = GuardVerdict(name: "c", finding: .refuse(.stepLimit))
        let locked = GuardVerdict(name: "d", finding: .refuse(.lockedOut))
        #expect([GuardVerdict]().worst == .pass)
        #expect([pass, hold, pass].worst == .hold)
        #expect([hold, step, locked, pass].worst == .refuse(.lockedOut))
    }

    @Test func lanesAndSlotsAreOrdered() {
        #expect(Lane.shadow < .advise && Lane.supervised < .autonomous)
        #expect(Lane.autonomous.below == .supervised && Lane.shadow.below == nil)
        #expect(AuthoritySlot.lockout < .localOperator && AuthoritySlot.schedule < .ai)
        #expect(AuthoritySlot.allCases.allSatisfy { AuthoritySlot(name: $0.name) == $0 })
    }
}
