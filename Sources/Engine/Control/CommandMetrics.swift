package import Model

/// What became of the commands of some time, by issuer and point: fed with the entries of the audit log in their order, so
/// that it is the same after a restart, in a running gateway, and on a copy of the ledger. Only `set` counts.
package struct CommandMetrics: Sendable {
    /// Commands that are kept; beyond, the oldest go and the report says from when on it is complete.
    package static let commandLimit = 20_000

    /// Commands to blame for one point that could not be brought back.
    private static let alarmLimit = 100

    private let limit: Int
    /// Traces by id, and the ids in order of arrival from `first` on.
    private var traces: [String: CommandTrace] = [:]
    private var order: [String] = []
    private var first = 0
    /// Points that could not be brought back, with the commands that were to blame.
    private var alarms: [String: [String]] = [:]
    /// When the newest command that was dropped had come.
    private var droppedUntil: UnixTime?

    package init(limit: Int = commandLimit) {
        self.limit = limit
    }

    /// Takes an entry (`audit/1`); what is about no command is looked at for what it resolves, the rest is left alone.
    package mutating func take(_ entry: JSONValue) {
        switch entry["kind"]?.text {
        case "command"?: takeStep(entry)
        case "outcome"?:
            guard let outcome = entry["outcome"], let id = outcome["id"]?.text else { return }
            traces[id]?.isUsable = outcome["usable"]?.isTrue ?? false
        case "explained"?:
            guard let id = entry["event"]?["id"]?.text, traces[id]?.interventionKind == .overridden else { return }
            traces[id]?.reason = entry["reason"]?.text
        case "restored"?, "acknowledged"?:
            guard let point = entry["point"]?.text, let time = entry["time"]?.text.flatMap({ UnixTime(rfc3339: $0) })
            else { return }
            for id in alarms.removeValue(forKey: point) ?? [] { traces[id]?.resolve(at: time) }
        case _: return
        }
    }

    private mutating func takeStep(_ entry: JSONValue) {
        guard let event = entry["event"], let id = event["id"]?.text,
            let state = event["state"]?.text.flatMap(CommandState.init(rawValue:)),
            let time = event["time"]?.text.flatMap({ UnixTime(rfc3339: $0) })
        else { return }
        if let request = entry["request"], request["action"]?.text == "set", let point = event["point"]?.text {
            add(CommandTrace(id: id, issuer: entry["issuer"]?.text ?? "", point: point, received: time, request))
        }
        guard var trace = traces[id] else { return }
        trace.take(state, code: event["code"]?.text, at: time, entry["intervention"], event["actor"] != nil)
        if state == .revertFailed {
            alarms[trace.point] = Array(((alarms[trace.point] ?? []) + [id]).suffix(Self.alarmLimit))
        }
        traces[id] = trace
    }

    private mutating func add(_ trace: CommandTrace) {
        guard traces.updateValue(trace, forKey: trace.id) == nil else { return }
        order.append(trace.id)
        guard order.count - first > limit else { return }
        droppedUntil = traces.removeValue(forKey: order[first])?.received
        first += 1
        if first > limit {
            order.removeFirst(first)
            first = 0
        }
    }

    /// The figures of the commands that were received from `since` on.
    ///
    /// - Parameters:
    ///   - issuer: only of this one; nil for all.
    ///   - point: only of `device/point`; nil for all.
    package func report(
        since: UnixTime, now: UnixTime, issuer: String? = nil, point: String? = nil
    ) -> MetricsReport {
        var total = MetricFigures()
        var rows: [MetricsReport.Key: MetricFigures] = [:]
        for trace in order[first...].compactMap({ traces[$0] }) where trace.received >= since {
            guard issuer ?? trace.issuer == trace.issuer, point ?? trace.point == trace.point else { continue }
            total.add(trace, now: now)
            rows[MetricsReport.Key(issuer: trace.issuer, point: trace.point), default: MetricFigures()].add(
                trace, now: now)
        }
        let complete = droppedUntil.map { max($0, since) } ?? since
        return MetricsReport(
            since: since, until: now, completeFrom: complete, total: total,
            rows: rows.sorted { ($0.key.issuer, $0.key.point) < ($1.key.issuer, $1.key.point) })
    }
}
