import Model

/// Values in effect that are not there any more: changed by a person at the device, or lost by a device that restarted.
extension CommandDesk {
    /// How long other points of the device are waited for before a change is taken for a person's.
    private static let doubtTime = Duration.seconds(10)
    /// How long after a device was found to have restarted other changes there are taken for its doing.
    private static let restartTime = Duration.seconds(60)
    /// How long a device must refuse to tell a value before that means that it never got one: one that boots does so, too.
    private static let bootTime = Duration.seconds(10)

    mutating func take(_ samples: [ReadingSample]) {
        // All of them first: what one point shows may tell what happened to another.
        let current = samples.filter { readings.update($0, at: now) }
        for sample in current {
            for point in site.points(confirmedBy: sample.point) {
                var own = sample
                own.point = point
                if !takeBackStray(own) { compare(own) }
            }
        }
        for command in active where command.isInEffect { superviseInterlocks(command) }
    }

    /// Takes what the device showed after a write, where the point is confirmed.
    mutating func note(readback value: PointValue?, at point: String) {
        guard let value, let key = site.points[point]?.confirmation.key else { return }
        if readings.observed(key, at: now) == nil, key != point {
            _ = readings.saw(key, value, [], begun: now, at: now)
        }
        readings.sawReadBack(key, value, at: now)
    }

    func isTrustworthy(_ point: String) -> Bool {
        guard let key = site.points[point]?.confirmation.key else { return false }
        return readings.observed(key, at: now)?.isTrustworthy ?? false
    }

    /// Compares what a point shows with what is in effect there.
    ///
    /// - Parameter finding: what a look found, where it is one.
    mutating func compare(_ sample: ReadingSample, _ finding: ReadBack? = nil) {
        let point = sample.point
        guard let control = points[point], control.busy == nil, control.restoration == nil,
            let id = control.slots.highest?.occupant.command, let command = commands[id], command.state == .verified,
            let verified = command.verified, sample.time > verified, let readback = command.readback
        else { return }
        if sample.value != .null, agree(point, sample.value, readback) {
            guard isTrustworthy(point) else { return }
            points[point]?.noteSeen()
            return
        }
        if isUnset(sample, finding) { return lose(command, shown: sample.value) }
        guard sample.value != .null else {
            // A pause of polling that a person asked for says nothing about the device.
            guard !sample.reasons.contains(.outOfService) else { return }
            points[point]?.unseenSince = control.unseenSince ?? now.uptime
            return
        }
        guard isTrustworthy(point) else { return }
        guard let unseen = control.unseenSince else {
            // The other points of a device that restarted may have been seen all the time.
            return isRestarted(point, since: now.uptime) ? lose(command, shown: sample.value) : override(id, sample)
        }
        decide(command, sample, unseen: unseen)
    }

    // MARK: - Who it was

    private func isUnset(_ sample: ReadingSample, _ finding: ReadBack?) -> Bool {
        if case .unset(let value) = finding { return value != nil || hasBooted(sample.point) }
        guard let point = site.points[sample.point], let unset = point.point.write?.unset else { return false }
        if sample.value != .null { return point.isUnset(sample.value) && isTrustworthy(sample.point) }
        let isNoValue = sample.reasons.contains(.sentinel) || sample.reasons.contains(.notImplemented)
        if isNoValue { return unset.isNoValue }
        let isRefused = sample.reasons.contains(.badAddress) || sample.reasons.contains(.deviceFailure)
        return isRefused && unset.isException && hasBooted(sample.point)
    }

    private func hasBooted(_ point: String) -> Bool {
        points[point]?.unseenSince.map { now.uptime - $0 >= Self.bootTime } ?? false
    }

    private func isRestarted(_ point: String, since: Duration) -> Bool {
        let found = restarts[PointID.parts(of: point).device]
        return found.map { $0 >= since || now.uptime - $0 < Self.restartTime } ?? false
    }

    /// The device, or the gateway, was away and the point shows another value: one that the device had before, or several
    /// values changed at once, are a restart. One other value may be a person's doing, and a person comes first.
    private mutating func decide(_ command: ActiveCommand, _ sample: ReadingSample, unseen: Duration) {
        let point = command.point
        let former = [command.home, command.baseline, command.before].compactMap(\.self)
        let isFormer = former.contains { agree(point, sample.value, $0) }
        let others = changes(beside: point, since: unseen)
        if isFormer || others.contains(true) || isRestarted(point, since: unseen) {
            return lose(command, shown: sample.value)
        }
        let since = control(point).doubt?.since ?? now.uptime
        guard others.contains(nil), now.uptime - since < Self.doubtTime else { return override(command.id, sample) }
        points[point]?.doubt = Doubt(sample: sample, since: since)
    }

    /// Of each other point of the device that is in effect, whether it changed; nil for one that has not been read since.
    private func changes(beside point: String, since: Duration) -> [Bool?] {
        let device = PointID.parts(of: point).device
        return points.filter { $0.key != point && PointID.parts(of: $0.key).device == device }.compactMap {
            name, control in
            guard let id = control.slots.highest?.occupant.command, let command = commands[id],
                command.state == .verified, let readback = command.readback, let verified = command.verified,
                let key = site.points[name]?.confirmation.key
            else { return nil }
            guard let reading = readings.observed(key, at: now), reading.isTrustworthy, let age = reading.age,
                now.uptime - age > since, now.utc - age > verified
            else { return .some(nil) }
            return !agree(name, reading.value, readback)
        }
    }

    /// Looks again at what was left open.
    mutating func resolveDoubts() {
        for (point, control) in points.sorted(by: { $0.key < $1.key }) {
            guard let doubt = control.doubt else { continue }
            points[point]?.doubt = nil
            guard let id = control.slots.highest?.occupant.command, let command = commands[id],
                command.state == .verified, control.restoration == nil, let unseen = control.unseenSince
            else { continue }
            points[point]?.doubt = doubt
            guard control.busy == nil else { continue }
            decide(command, doubt.sample, unseen: unseen)
        }
    }

    // MARK: - What follows

    /// The device does not hold what it was told: the hold ends as a lease does, and no person has to release it.
    private mutating func lose(_ command: ActiveCommand, shown: PointValue) {
        let device = PointID.parts(of: command.point).device
        restarts[device] = now.uptime
        points[command.point]?.noteSeen()
        leaf(
            "device_restarted",
            [
                ("device", .string(device)), ("point", .string(command.point)),
                ("id", .string(command.id.description)), ("value", shown == .null ? .null : JSONValue(shown)),
            ])
        takeBack(command.id, cause: "the device restarted and shows \(shown.words)")
    }

    /// A person at the device has the point.
    private mutating func override(_ id: CommandID, _ sample: ReadingSample) {
        points[sample.point]?.slots.empty(id)
        points[sample.point]?.noteSeen()
        intervene(id, .overridden, by: "local")
        move(id, .override, actor: "local", note: "the device shows \(sample.value.words)")
        points[sample.point]?.slots.take(
            .localOperator, AuthoritySlots.Occupant(command: nil, holder: "local", value: sample.value))
        points[sample.point]?.overridden = id
        let body = JSONValue.compact([
            ("value", .stored(sample.value)), ("since", .stored(now.utc)), ("id", .string(id.description)),
        ])
        output.record(LedgerRecord(kind: Self.overrideKind, key: sample.point, body: body.bytes))
    }
}
