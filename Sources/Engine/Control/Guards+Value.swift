package import Model

/// What is asked for: the value against its limits, its history and the plant.
extension Guards {
    /// The value is of the kind that the point takes, in the unit of the point.
    package static func format(_ context: GuardContext) -> GuardVerdict {
        guard let point = context.point?.point, let value = context.command.value else {
            return verdict("format", .refuse(.badFormat))
        }
        let isMoved = context.value.map { !$0.says(value) } ?? false
        var inputs: [(String, JSONValue)] = [
            ("value", .value(context.value)), ("asked", isMoved ? JSONValue(value) : .null),
            ("datatype", .string(point.datatype.rawValue)), ("unit", .optional(context.command.unit)),
            ("unit_of_point", .string(point.unit)),
        ]
        if case .kind(let words)? = context.problem {
            inputs.append(("reason", .string(words)))
            return verdict("format", .refuse(.badFormat), inputs)
        }
        guard accepts(point, value) else { return verdict("format", .refuse(.badFormat), inputs) }
        return verdict("format", refusing(context.command.unit != point.unit, .badUnit), inputs)
    }

    private static func accepts(_ point: Point, _ value: PointValue) -> Bool {
        let isNumber =
            switch value {
            case .int, .uint, .float, .double, .decimal: value.number?.isFinite ?? false
            case .null, .bool, .string: false
            }
        switch point.datatype {
        case .bool: return value == .bool(true) || value == .bool(false)
        case .string: return if case .string = value { true } else { false }
        case .int16, .uint16, .int32, .uint32, .int64, .uint64:
            guard isNumber, let number = value.number, number.rounded() == number else { return false }
            let codes = point.enumeration.map(\.code)
            return codes.isEmpty || codes.contains { Double($0) == number }
        case .float32, .float64: return isNumber
        }
    }

    /// Writing is allowed at this hour.
    package static func hours(_ context: GuardContext) -> GuardVerdict {
        let windows = context.policy?.hours ?? []
        let isClosed = !windows.isEmpty && !windows.contains { $0.contains(context.now.utc) }
        return verdict("hours", refusing(isClosed, .modeBlocked), [("now", .time(context.now.utc))])
    }

    /// Within what the policy and the device allow.
    package static func limits(_ context: GuardContext) -> GuardVerdict {
        let rule = context.point?.point.write
        let held = context.heldBounds
        if let unknown = held?.unknown {
            return verdict("limits", .refuse(.deviceUnhealthy), [("unknown_bound", .string(unknown))])
        }
        let low = [context.policy?.low, rule?.low, held?.low].compactMap { $0 }.max()
        let high = [context.policy?.high, rule?.high, held?.high].compactMap { $0 }.min()
        var inputs: [(String, JSONValue)] = [
            ("value", .value(context.value)), ("min", .optional(low)), ("max", .optional(high)),
            ("granularity", .optional(rule?.step)),
        ]
        if case .range(let words)? = context.problem {
            inputs.append(("reason", .string(words)))
            return verdict("limits", .refuse(.outOfLimits), inputs)
        }
        if low != nil || high != nil {
            guard let number = context.value?.number, number >= low ?? number, number <= high ?? number else {
                return verdict("limits", .refuse(.outOfLimits), inputs)
            }
        }
        guard let value = context.value, let words = context.point?.plan?.objection(to: value) else {
            return verdict("limits", .pass, low == nil && high == nil && rule?.step == nil ? [] : inputs)
        }
        inputs.append(("reason", .string(words)))
        return verdict("limits", .refuse(.outOfLimits), inputs)
    }

    /// Not too far from the measured value, whatever was commanded before.
    package static func step(_ context: GuardContext) -> GuardVerdict {
        guard let limit = context.policy?.step else { return verdict("step", .pass) }
        let inputs: [(String, JSONValue)] = [
            ("measured", measured(context)), ("step", .optional(context.step)), ("max_step", .double(limit)),
        ]
        // From a value that was never there there is no distance.
        if context.isUnset { return verdict("step", .pass, inputs) }
        guard context.isConfirmable else { return verdict("step", .refuse(.stepLimit), inputs) }
        guard let step = context.step else { return verdict("step", .refuse(unmeasured(context)), inputs) }
        return verdict("step", refusing(step > limit * (1 + 1e-9), .stepLimit), inputs)
    }

    // MARK: - How often

    package static func rate(_ context: GuardContext) -> GuardVerdict {
        counted("rate", context, within: .seconds(3600), limit: context.policy?.perHour, .rateLimit)
    }

    package static func wear(_ context: GuardContext) -> GuardVerdict {
        counted("per_day", context, within: .seconds(86_400), limit: context.policy?.perDay, .budget)
    }

    private static func counted(
        _ name: String, _ context: GuardContext, within window: Duration, limit: Int?, _ code: RefusalCode
    ) -> GuardVerdict {
        guard let limit else { return verdict(name, .pass) }
        let count = context.budget.count(since: context.now.utc - window, isPerson: context.isPerson)
        return verdict(
            name, refusing(count >= limit, code), [("writes", .integer(count)), ("limit", .integer(limit))])
    }

    package static func interval(_ context: GuardContext) -> GuardVerdict {
        guard let interval = context.policy?.minInterval else { return verdict("min_interval", .pass) }
        let last = context.budget.last(isPerson: context.isPerson)
        let isSoon = last.map { context.now.utc < $0 + interval } ?? false
        return verdict(
            "min_interval", refusing(isSoon, .minInterval),
            [("last_write", .time(last)), ("min_interval_s", .seconds(interval))])
    }

    // MARK: - The plant

    /// Every interlock is known to hold.
    package static func interlocks(_ context: GuardContext) -> GuardVerdict {
        let results = (context.policy?.interlocks ?? []).map { condition in
            (condition.text, condition.expression.truth { context.readings.observed($0, at: context.now) })
        }
        let finding: GuardVerdict.Finding =
            switch results.map(\.1).min() {
            case .no: .refuse(.interlock)
            case .unknown: .refuse(.interlockUnknown)
            case .yes, nil: .pass
            }
        return verdict("interlocks", finding, results.map { ($0.0, .string($0.1.name)) })
    }

    /// The point is what the sender believes it to be.
    package static func expectation(_ context: GuardContext) -> GuardVerdict {
        guard let expect = context.command.expect else { return verdict("expect", .pass) }
        let inputs: [(String, JSONValue)] = [
            ("expected", JSONValue(expect.value)), ("tolerance", .double(expect.tolerance)),
            ("measured", measured(context)),
        ]
        guard let measured = context.trustedValue else { return verdict("expect", .refuse(.expectMismatch), inputs) }
        let agrees: Bool
        if let left = measured.number, let right = expect.value.number {
            agrees = abs(left - right) <= expect.tolerance + max(abs(left), abs(right)) * 1e-6
        } else {
            agrees = measured == expect.value
        }
        return verdict("expect", refusing(!agrees, .expectMismatch), inputs)
    }

    /// The device answers, and is the one that it should be. Where nothing confirms a write, the write finds that out.
    package static func device(_ context: GuardContext) -> GuardVerdict {
        guard context.isConfirmable else { return verdict("device", .pass) }
        let reading = context.measured
        let isUnknown = context.trustedValue == nil && !context.isUnset
        var shown = reading?.value ?? .null
        if case .bad(_, let value?)? = context.finding, shown == .null { shown = value }
        let reasons = reading?.reasons.reasons.map { JSONValue.string($0.code) } ?? []
        let inputs: [(String, JSONValue)] = [
            ("value", shown == .null ? .null : JSONValue(shown)), ("age_s", .seconds(reading?.age)),
            ("quality", .optional(reading?.quality.name)), ("reasons", reasons.isEmpty ? .null : .array(reasons)),
            ("stale", .bool(reading?.isStale ?? true)), ("unset", context.isUnset ? .bool(true) : .null),
            ("reason", isUnknown ? .optional(context.finding?.words) : .null),
        ]
        return verdict("device", refusing(isUnknown, unmeasured(context)), inputs)
    }

    /// A write that nothing confirms needs a policy that allows it.
    package static func confirmation(_ context: GuardContext) -> GuardVerdict {
        guard !context.isConfirmable else { return verdict("confirmation", .pass) }
        let isAllowed = context.policy?.allowsUnverified ?? false
        return verdict(
            "confirmation", refusing(!isAllowed, .unverified),
            [("readback", .string("none")), ("allow_unverified", .bool(isAllowed))])
    }

    private static func measured(_ context: GuardContext) -> JSONValue {
        context.isUnset ? .string("unset") : .value(context.trustedValue)
    }

    /// Why there is no value to rest on.
    private static func unmeasured(_ context: GuardContext) -> RefusalCode {
        context.measured?.reasons.contains(.configSuspect) ?? false ? .wrongDevice : .deviceUnhealthy
    }
}
