package import Model

/// Who asks, where, and when.
extension Guards {
    /// The point exists at this gateway and a policy makes it writable.
    package static func address(_ context: GuardContext) -> GuardVerdict {
        let inputs: [(String, JSONValue)] = [
            ("gateway", .string(context.command.gateway)), ("point", .string(context.command.point)),
            ("policy", .optional(context.policy?.name)),
        ]
        guard context.command.gateway == context.gateway, let point = context.point else {
            return verdict("address", .refuse(.unknownPoint), inputs)
        }
        let isWritable = point.policy != nil && point.point.write != nil
        return verdict("address", refusing(!isWritable, .notWritable), inputs)
    }

    /// The policy names the issuer, and the issuer is what it says it is.
    package static func authority(_ context: GuardContext) -> GuardVerdict {
        // Where there is no policy the guard `address` says so, to those who are known here.
        let isNamed = context.permission != nil || (context.policy == nil && context.issuer != nil)
        let isAllowed = isNamed && context.issuer?.category == context.command.origin.category
        return verdict(
            "authority", refusing(!isAllowed, .notAuthorised),
            [
                ("issuer", .optional(context.issuer?.name)), ("category", .optional(context.issuer?.category.rawValue)),
                ("claimed", .string(context.command.origin.category.rawValue)),
                ("ceiling", .optional(context.permission?.ceiling.rawValue)), ("lane", .string(context.lane.rawValue)),
            ])
    }

    /// A request without a signature needs a policy that allows it, or somebody who may open the local socket.
    package static func signature(_ context: GuardContext) -> GuardVerdict {
        let allowsUnsigned = context.policy?.allowsUnsigned ?? false
        return verdict(
            "signature", refusing(!context.isSigned && !allowsUnsigned, .badSignature),
            [
                ("signed", .bool(context.isSigned && !context.isLocal)),
                ("at_socket", context.isLocal ? .bool(true) : .null), ("unsigned_allowed", .bool(allowsUnsigned)),
            ])
    }

    /// It has been issued by a clock that agrees with ours, and its time is not over.
    package static func time(_ context: GuardContext) -> GuardVerdict {
        let (command, now, settings) = (context.command, context.now.utc, context.settings)
        let ahead = command.issued - now
        let finding: GuardVerdict.Finding =
            if command.expires <= now {
                .refuse(.expired)
            } else if context.stage == .request, ahead > settings.skew || command.expires <= command.issued {
                .refuse(.timeSkew)
            } else if command.expires - command.issued > settings.longestExpiry {
                .refuse(.badFormat)
            } else {
                .pass
            }
        return verdict(
            "time", finding,
            [
                ("now", .time(now)), ("issued", .time(command.issued)), ("expires", .time(command.expires)),
                ("skew_s", .seconds(settings.skew)), ("longest_expiry_s", .seconds(settings.longestExpiry)),
            ])
    }

    // MARK: - The state of the site

    /// The site may be written at all, and is not being stopped.
    package static func site(_ context: GuardContext) -> GuardVerdict {
        let isBlocked = context.settings.isReadOnly
        let finding: GuardVerdict.Finding =
            isBlocked ? .refuse(.modeBlocked) : refusing(context.isStopping, .notReady)
        return verdict(
            "site", finding, [("read_only", .bool(isBlocked)), ("stopping", .bool(context.isStopping))])
    }

    /// No kill switch is on.
    package static func lockout(_ context: GuardContext) -> GuardVerdict {
        verdict(
            "lockout", refusing(context.lockout != nil, .lockedOut),
            [
                ("scope", .optional(context.lockout?.scope.name)), ("by", .optional(context.lockout?.by)),
                ("since", .time(context.lockout?.since)),
            ])
    }

    /// Nobody at the plant has the point: not known by the device, by a condition `unless`, or by a value that changed
    /// without us. A person at the plant may write all the same.
    package static func local(_ context: GuardContext) -> GuardVerdict {
        let isOverridden = context.slots[.localOperator].map { $0.command == nil } ?? false
        let places = [context.measured, context.readings.observed(context.command.point, at: context.now)]
        let isForced = places.contains { $0?.reasons.contains(.localOverride) ?? false }
        let conditions = (context.policy?.unless ?? []).map { condition in
            (condition.text, condition.expression.truth { context.readings.observed($0, at: context.now) })
        }
        let isLocal = isOverridden || isForced || conditions.contains { $0.1 != .no }
        return verdict(
            "local", refusing(isLocal && context.issuer?.category != .local, .localControl),
            [("overridden", .bool(isOverridden)), ("forced", .bool(isForced))]
                + conditions.map { ($0.0, .string($0.1.name)) })
    }

    /// Nobody with more authority holds the point, nor anybody else with the same.
    package static func holder(_ context: GuardContext) -> GuardVerdict {
        guard let slot = context.issuer?.category.slot else { return verdict("holder", .refuse(.notAuthorised)) }
        let above = context.slots.above(slot)
        let same = context.slots[slot].flatMap { $0.holder == context.issuer?.name ? nil : $0 }
        // Among persons the last word counts; two machines do not take a point from each other.
        let rival = above ?? (context.isPerson ? nil : same)
        let isBusy = context.isRestoring && !context.isPerson
        return verdict(
            "holder", refusing(rival != nil || isBusy, .heldByOther),
            [
                ("slot", .string(slot.name)), ("held_by", .optional(rival?.holder)),
                ("until", .time(rival?.until?.utc)), ("going_back", .bool(context.isRestoring)),
            ])
    }

    /// The readiness report says go, where the policy asks for it.
    package static func readiness(_ context: GuardContext) -> GuardVerdict {
        let isNeeded = (context.policy?.needsReadiness ?? false) && !context.isPerson && context.mode == .write
        return verdict(
            "readiness", refusing(isNeeded && !context.isReady, .notReady),
            [("needed", .bool(isNeeded)), ("ready", .bool(context.isReady))])
    }

    /// A person decides, where mode, lane or policy ask for it.
    package static func approval(_ context: GuardContext) -> GuardVerdict {
        let rule = context.policy?.approval
        let limit = rule?.aboveStep
        // A step that cannot be measured counts as a large one.
        let isLarge = limit.map { limit in context.step.map { $0 > limit } ?? true } ?? false
        let isAsked =
            switch context.mode {
            case .shadow: false
            case .advise: true
            // What is renewed was written under this rule.
            case .write where context.command.action != .set: false
            case .write: (rule != nil && limit == nil) || (isLarge && context.lane == .supervised)
            }
        return verdict(
            "approval", isAsked && !context.isApproved ? .hold : .pass,
            [
                ("mode", .string(context.mode.rawValue)), ("lane", .string(context.lane.rawValue)),
                ("step", .optional(context.step)), ("above_step", .optional(limit)),
                ("approved", .bool(context.isApproved)),
            ])
    }
}
