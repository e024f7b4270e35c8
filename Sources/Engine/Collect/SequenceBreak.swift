import Model

/// Where the writes of one command broke off, and what follows from it. The writes are those that unlock the device, the
/// value itself, and those that make it effective.
struct SequenceBreak: Hashable {
    /// Writes that the device acknowledged before.
    var acknowledged: Int
    var failure: WriteFailure
    var rule: WriteRule

    private enum Stage {
        case unlock, value, commit
    }

    private var stage: Stage {
        acknowledged < rule.unlock.count ? .unlock : acknowledged == rule.unlock.count ? .value : .commit
    }

    /// Whether the device may have been changed in any way.
    var mayHaveChanged: Bool {
        if acknowledged > 0 { return true }
        switch failure {
        case .notSent: return false
        // Server device failure: it went wrong while the device was at it.
        case .refused(let code): return code == 0x04
        case .indeterminate: return true
        }
    }

    /// Whether the writes that take it back are to be sent.
    var needsRollback: Bool { mayHaveChanged && !rule.rollback.isEmpty }

    /// - Parameters:
    ///   - wasRolledBack: the device acknowledged every write that takes it back; true where none is declared.
    ///   - found: the value that the point shows now, nil where it could not be read.
    ///   - holds: whether that is the value that was to be written.
    func outcome(wasRolledBack: Bool, found: PointValue?, holds: Bool) -> WriteOutcome {
        guard mayHaveChanged else { return plain }
        // Without anything around it, a value that is there has been written, whatever the answer was.
        let isAlone = rule.unlock.isEmpty && rule.commit.isEmpty
        if isAlone, holds, let found { return .verified(found) }
        switch (failure, stage) {
        case (.refused, .unlock), (.refused, .value), (.notSent, .unlock), (.notSent, .value):
            return wasRolledBack && !(stage == .value && holds) ? plain : unknown(found)
        case (.indeterminate, .unlock):
            return wasRolledBack ? .notSent("an unlocking write failed: \(words)") : unknown(found)
        case (.refused, .commit), (.notSent, .commit):
            return wasRolledBack && found != nil && !holds ? plain : unknown(found)
        case (.indeterminate, .value), (.indeterminate, .commit): return unknown(found)
        }
    }

    private var plain: WriteOutcome {
        switch failure {
        case .refused(let code): .refused(code)
        case .notSent(let reason): .notSent(reason)
        case .indeterminate(let reason): .indeterminate(reason)
        }
    }

    private var words: String {
        switch failure {
        case .refused(let code): "refused with \(ExceptionMeaning.noted(code))"
        case .notSent(let reason), .indeterminate(let reason): reason
        }
    }

    private func unknown(_ found: PointValue?) -> WriteOutcome {
        let place =
            switch stage {
            case .unlock: " (while unlocking)"
            case .value: ""
            case .commit: " (while committing)"
            }
        let now = found.map { "it now reads \($0.words)" } ?? "it cannot be read now"
        return .indeterminate("\(words)\(place); \(now)")
    }
}
