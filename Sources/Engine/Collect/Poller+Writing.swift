package import Model

/// Writing setpoints: guard → write → settle → read back, as one transaction on the bus.
extension Poller {
    /// Commands that may wait for the bus of one connection.
    static let writeLimit = 64
    /// A device that needs longer than this to show what was written does not keep others from a TCP connection meanwhile.
    static let longestHeldSettle = Duration.milliseconds(100)
    /// Reads of one place within a transaction before it counts as unreadable. Writes are never repeated.
    private static let readAttempts = 2

    /// Writes a setpoint and confirms it, ahead of all polls at the next frame boundary. Nothing else is said to the unit
    /// in between, and nothing else on the line where it is a serial one. Each request that changes something leaves this
    /// machine once at the most.
    ///
    /// To be called by a task that is not cancelled: one that is gets ``WriteOutcome/indeterminate(_:)`` for what it can
    /// no longer wait for.
    package func write(_ device: String, point name: String, value: PointValue) async -> WriteOutcome {
        await withTaskExecutorPreference(bus.executor) { await written(device, point: name, value: value) }
    }

    private func written(_ device: String, point name: String, value: PointValue) async -> WriteOutcome {
        guard let index = devices.firstIndex(where: { $0.device.id == device }) else {
            return .notSent("no device '\(device)' on this connection")
        }
        let known = devices[index].device
        guard let point = known.points.first(where: { $0.name == name }) else {
            return .notSent("\(device) has no point '\(name)'")
        }
        guard let plan = SetpointPlan(point, of: known.points) else { return .notSent("\(name) cannot be written") }
        if let objection = plan.objection(to: value) { return .notSent(objection) }
        if let reason = reasonNotToAsk(index) { return .notSent(reason) }
        guard slots.urgentCount < Self.writeLimit else {
            return .notSent("\(Self.writeLimit) commands wait for \(connection.name) already")
        }
        return await transaction(index) { await self.perform(plan, value, of: index) }
            ?? .notSent("polling of \(connection.name) was stopped")
    }

    /// Reads the point where its writes are confirmed, ahead of all polls: what a write of unknown effect is resolved by.
    /// For a point that cannot be written it reads the point itself.
    package func readBack(_ device: String, point name: String) async -> ReadBack {
        await withTaskExecutorPreference(bus.executor) { await confirmed(device, point: name) }
    }

    private func confirmed(_ device: String, point name: String) async -> ReadBack {
        guard let index = devices.firstIndex(where: { $0.device.id == device }) else {
            return .unreachable("no device '\(device)' on this connection")
        }
        let known = devices[index].device
        guard let point = known.points.first(where: { $0.name == name }) else {
            return .unreachable("\(device) has no point '\(name)'")
        }
        var readable = point
        readable.write = point.write ?? WriteRule(mode: .single)
        guard point.parts == nil, let plan = SetpointPlan(readable, of: known.points), plan.isConfirmed else {
            return .unreachable("\(name) has no read-back")
        }
        if let reason = reasonNotToAsk(index) { return .unreachable(reason) }
        return await transaction(index) { await self.find(plan, of: index).readBack(by: plan) }
            ?? .unreachable("polling of \(connection.name) was stopped")
    }

    /// A dead unit must not eat the bus by commands either.
    func reasonNotToAsk(_ index: Int) -> String? {
        guard !mayAsk(index) else { return nil }
        return "\(devices[index].device.id) does not answer (\(downReasons[index].code))"
    }

    /// Runs `body` while nothing else is said to the device; nil when the poller stopped meanwhile.
    func transaction<Result>(_ index: Int, _ body: () async -> Result) async -> Result? {
        guard !isStopped else { return nil }
        await takeSlot(index, .transaction)
        let start = clock.uptime
        defer { slots.release(index, .transaction, used: clock.uptime - start) }
        guard !isStopped else { return nil }
        return await body()
    }

    // MARK: - Transaction

    private func perform(_ plan: SetpointPlan, _ value: PointValue, of index: Int) async -> WriteOutcome {
        let before = await look(plan, of: index)
        if case .failure(let error) = before.result, !error.isUnset(by: plan) {
            if case .identity(.wrongDevice(let words)) = error { return .wrongDevice(words) }
            return .notSent("\(plan.point.name) cannot be read before it is written: \(error.reason)")
        }
        let request: RegisterWrite
        let expected: PointValue
        do throws(SetpointPlan.Unencodable) {
            (request, expected) = try await self.request(plan, value, of: index)
        } catch {
            return .notSent(error.reason)
        }
        let writes = plan.rule.unlock + [request] + plan.rule.commit
        for (count, write) in writes.enumerated() {
            if let failure = await send(write, to: index) {
                let end = SequenceBreak(acknowledged: count, failure: failure, rule: plan.rule)
                return await resolve(end, plan, expected, of: index)
            }
        }
        guard await settle(plan.rule.settle, of: index) else {
            return .indeterminate("acknowledged, but stopped before it could be read back")
        }
        guard plan.isConfirmed else { return .unverified }
        let after = await find(plan, of: index)
        switch after.result {
        case .failure(let error): return .indeterminate("acknowledged, but it cannot be read back: \(error.reason)")
        case .success(let found):
            return plan.verdict(
                expected: expected, before: before.value, found: found ?? .null, scale: after.scale)
        }
    }

    /// The request for `value`, with what it needs to know from the device.
    private func request(
        _ plan: SetpointPlan, _ value: PointValue, of index: Int
    ) async throws(SetpointPlan.Unencodable) -> (RegisterWrite, PointValue) {
        let scale = try await scale(plan.scaleHolder, of: index)
        let (words, expected) = try plan.encode(value, scale: scale)
        if let objection = await heldBounds(of: plan, index)?.objection(to: expected, of: plan.rule) {
            throw .init(reason: objection)
        }
        // What was decided about is what the registers held at the scale of that moment.
        if plan.scaleHolder != nil, (try? plan.quantised(value, scale: scale))?.says(value) != true {
            throw .init(
                reason:
                    "the device's scale of \(plan.point.name) has changed: it would hold \(expected.words), not \(value.words)"
            )
        }
        guard plan.readsBeforeWriting else { return (plan.request(for: words), expected) }
        switch await readInTransaction(plan.target, of: index) {
        case .success(let current): return (plan.request(for: words, current: current), expected)
        case .failure(let error):
            throw .init(reason: "the register that \(plan.point.name) shares cannot be read: \(error.reason)")
        }
    }

    /// The bounds that the device holds, read within the transaction; nil where it holds none.
    private func heldBounds(of plan: SetpointPlan, _ index: Int) async -> HeldBounds? {
        guard !plan.rule.boundPoints.isEmpty else { return nil }
        var values: [String: Double] = [:]
        for name in plan.rule.boundPoints { values[name] = await currentNumber(of: name, index) }
        return HeldBounds(of: plan.rule) { values[$0] }
    }

    private func currentNumber(of name: String, _ index: Int) async -> Double? {
        guard let point = devices[index].device.points.first(where: { $0.name == name }), point.parts == nil else {
            return nil
        }
        let holder = devices[index].device.points.first { $0.name == point.scaleReference?.point }
        guard let scale = try? await scale(holder, of: index) ?? .null,
            case .success(let words) = await readInTransaction(point.span, of: index),
            case .value(let raw) = point.decode([words])
        else { return nil }
        let scaled = point.scaleReference == nil ? .value(raw) : raw.scaled(by: scale, point.scaleReference)
        return point.judged(scaled).0.number
    }

    private func scale(
        _ holder: Point?, of index: Int
    ) async throws(SetpointPlan.Unencodable) -> PointValue? {
        guard let holder else { return nil }
        switch await readInTransaction(holder.span, of: index) {
        case .success(let words):
            guard case .value(let scale) = holder.encoding.decode(words.span) else { return .null }
            return scale
        case .failure(let error): throw .init(reason: "its scale \(holder.name) cannot be read: \(error.reason)")
        }
    }

    /// The sequence broke off: takes back what can be taken back, then looks.
    private func resolve(
        _ end: SequenceBreak, _ plan: SetpointPlan, _ expected: PointValue, of index: Int
    ) async -> WriteOutcome {
        guard end.mayHaveChanged else { return end.outcome(wasRolledBack: true, found: nil, holds: false) }
        var wasRolledBack = true
        if end.needsRollback {
            for write in plan.rule.rollback where await send(write, to: index) != nil { wasRolledBack = false }
        }
        _ = await settle(plan.rule.settle, of: index)
        let after = plan.isConfirmed ? await find(plan, of: index) : Found(result: .success(nil))
        let holds = after.value.map { plan.holds($0, expected: expected, scale: after.scale) } ?? false
        return end.outcome(wasRolledBack: wasRolledBack, found: after.value, holds: holds)
    }

    // MARK: - Requests

    /// Why there is nothing that the read-back shows.
    private enum Unreadable: Error {
        case bus(BusError)
        /// Something was read, of a device that may not be the one.
        case identity(Identification.Obstacle)

        var reason: String {
            switch self {
            case .bus(let error): error.reason
            case .identity(let obstacle): obstacle.words
            }
        }

        /// Whether the device refuses to tell a value that it never got.
        func isUnset(by plan: SetpointPlan) -> Bool {
            guard case .bus(.refused(let code)) = self, (0x01...0x04).contains(code) else { return false }
            return plan.rule.unset?.isException ?? false
        }
    }

    /// What the read-back shows.
    private struct Found {
        var scale: PointValue?
        /// Nil where the device answered, but with no value.
        var result: Result<PointValue?, Unreadable>
        var reason = QualityReason.waiting

        var value: PointValue? {
            if case .success(let value) = result { return value }
            return nil
        }

        func readBack(by plan: SetpointPlan) -> ReadBack {
            let unset = plan.rule.unset
            switch result {
            case .success(let value?):
                if unset?.contains(value) ?? false { return .unset(value) }
                if plan.readback.judged(.value(value)).0 == .null { return .bad(.impossible, shown: value) }
                return .value(value)
            case .success(nil):
                let isNoValue = reason == .sentinel || reason == .notImplemented
                return isNoValue && unset?.isNoValue ?? false ? .unset(nil) : .bad(reason)
            case .failure(.identity(.wrongDevice(let words))): return .wrongDevice(words)
            case .failure(let error): return error.isUnset(by: plan) ? .unset(nil) : .unreachable(error.reason)
            }
        }
    }

    /// What the place shows before it is written. Where nothing confirms a write, only who the device is.
    private func look(_ plan: SetpointPlan, of index: Int) async -> Found {
        if plan.isConfirmed { return await find(plan, of: index) }
        let obstacle = await identityObstacle(of: index)
        return Found(result: obstacle.map { .failure(.identity($0)) } ?? .success(nil))
    }

    private func find(_ plan: SetpointPlan, of index: Int) async -> Found {
        var scale: PointValue?
        if let holder = plan.readbackScaleHolder {
            switch await readInTransaction(holder.span, of: index) {
            case .success(let words):
                if case .value(let held) = holder.encoding.decode(words.span) { scale = held }
            case .failure(let error): return Found(result: .failure(.bus(error)))
            }
        }
        switch await readInTransaction(plan.readback.span, of: index) {
        case .failure(let error): return Found(scale: scale, result: .failure(.bus(error)))
        case .success(let words):
            if let obstacle = await identityObstacle(of: index) {
                return Found(scale: scale, result: .failure(.identity(obstacle)))
            }
            switch plan.value(ofReadback: words, scale: scale) {
            case .value(let value): return Found(scale: scale, result: .success(value))
            case .bad(let reason): return Found(scale: scale, result: .success(nil), reason: reason)
            }
        }
    }

    private func readInTransaction(_ span: RegisterSpan, of index: Int) async -> Result<[UInt16], BusError> {
        let device = devices[index].device
        var attempt = 1
        while true {
            let sent = clock.uptime
            let result = await read(span, unit: device.unit)
            let cost = clock.uptime - sent
            await rest(device.limits.pause)
            switch result {
            case .success, .failure(.invalidRequest): return result
            case .failure(let error):
                noteFailure(error, of: index, cost: cost)
                await keepFault(error, reading: span, of: index)
                guard error.isPassing, attempt < Self.readAttempts else { return result }
                attempt += 1
            }
        }
    }

    func send(_ write: RegisterWrite, to index: Int) async -> WriteFailure? {
        let device = devices[index].device
        guard !isPaused else { return .notSent(Self.pauseReason) }
        defer { board.update(device.id) { $0.writes += 1 } }
        do throws(WriteFailure) {
            // What answers on a connection that was opened anew in between has not been asked who it is.
            let session = identities[index].checks.isEmpty ? nil : identities[index].settledSession ?? 0
            try await bus.write(
                write, unit: device.unit, timeout: timeout(ofUnit: device.unit), session: session)
        } catch {
            keepFault(error, writing: write, of: index)
            await rest(device.limits.pause)
            return error
        }
        await rest(device.limits.pause)
        return nil
    }

    /// Waits until the device shows what it was told. Others may use the connection meanwhile where that cannot disturb:
    /// not on a serial line, where all hear everything.
    ///
    /// - Returns: false when the task was cancelled before the time was over.
    private func settle(_ duration: Duration, of index: Int) async -> Bool {
        guard duration > .zero else { return true }
        let deadline = clock.uptime + duration
        if case .tcp = connection.channel, duration > Self.longestHeldSettle {
            slots.suspend(index)
            if busy.contains(index) { substitute.call() }
            try? await clock.sleep(until: deadline)
            if !slots.resumeIfFree(index) {
                await withCheckedContinuation { slots.wait(resuming: index, $0) }
            }
        } else {
            try? await clock.sleep(until: deadline)
        }
        return clock.uptime >= deadline
    }
}

extension BusError {
    /// Whether the same read may work a moment later.
    fileprivate var isPassing: Bool {
        switch self {
        case .noResponse, .garbled, .refused(0x05), .refused(0x06): true
        case .linkDown, .mismatch, .refused, .invalidRequest: false
        }
    }

    fileprivate var reason: String {
        switch self {
        case .linkDown(let words), .garbled(let words), .mismatch(let words), .invalidRequest(let words): words
        case .noResponse: "no answer in time"
        case .refused(let code): "refused with \(ExceptionMeaning.noted(code))"
        }
    }
}
