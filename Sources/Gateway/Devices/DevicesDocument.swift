import Engine
import Model

/// The answer to `devices`: every asset of the site with what polling it showed.
struct DevicesDocument {
    let site: Site
    let board: [String: DeviceStatus]
    let now: UnixTime

    /// `{"time","polling":{"lateness_ms"},"devices":[{"id","profile","revision","connection","endpoint","unit","owner",
    /// "state","since","last_good","last_good_age_s","polls","failed_polls","missed_polls","late_polls","recent_polls",
    /// "recently_failed","last_fault","last_fault_time","last_fault_age_s","reply_ms":{"p50","p99"},"timeout_ms","lateness_ms":{"p50","p99","worst"},"trouble","trouble_text",
    /// "identity","identity_expected","identity_found","identity_text","refused":[{"table","address","count","points"}],
    /// "limits":{"registers","bits","gap"},"cuts":[{"table","address"}]}]}`; `limits` are those that the device was found to
    /// have beyond what its profile says, absent where there are none; `cuts` is where requests begin anew, because it refused
    /// to give what stands on both sides together and no limit explains that, absent where there are none. `identity` is
    /// `pending`, `confirmed`, `wrong` or `unverified`, absent where the profile has no `identify`. Where the models of a
    /// device are found at run time also "discovery" (`pending`, `failed` or `found`),"discovery_text",
    /// "sunspec":{"base","end","models":[{"id","address","length"}]},"missing_models":[].
    var value: JSONValue {
        var lateness = DurationDigest()
        for device in site.devices { lateness.merge(board[device.id]?.timing.lateness ?? DurationDigest()) }
        return .compact([
            ("time", .string(now.rfc3339)),
            ("polling", .compact([("lateness_ms", Self.milliseconds(lateness, isWorstTold: true))])),
            ("devices", .array(site.devices.map(device))),
        ])
    }

    private func device(_ device: Device) -> JSONValue {
        let status = board[device.id] ?? DeviceStatus()
        let connection = site.connections.first { $0.name == device.connection }
        let endpoint = connection?.endpoint
        let hasBaudRate = if case .tcp? = connection?.channel { false } else { true }
        let identity: [(String, JSONValue)] = [
            ("id", .string(device.id)), ("profile", .string(device.profile)), ("revision", .integer(device.revision)),
            ("connection", .string(device.connection)), ("endpoint", .optional(endpoint)),
            ("unit", .integer(device.unit)), ("owner", .string(device.owner)),
        ]
        return .compact(
            identity + health(status, hasBaudRate) + timing(status.timing) + recognition(status.identity)
                + models(status.discovery) + [
                    ("refused", .array(status.learned.refused.map { refused($0, device) })),
                    ("limits", limits(status.learned, device)), ("cuts", cuts(status.learned, device)),
                ])
    }

    private func limits(_ learned: LearnedAddresses, _ device: Device) -> JSONValue {
        let forbidsGaps = device.limits.gap != 0 && learned.forbidsGaps(between: device.points)
        let limits: [(String, JSONValue)] = [
            ("registers", learned.registerLimit.map { .integer($0) } ?? .null),
            ("bits", learned.bitLimit.map { .integer($0) } ?? .null), ("gap", forbidsGaps ? .integer(0) : .null),
        ]
        return limits.allSatisfy { $0.1 == .null } ? .null : .compact(limits)
    }

    private func cuts(_ learned: LearnedAddresses, _ device: Device) -> JSONValue {
        let cuts = learned.unexplainedCuts(between: device.points)
        return cuts.isEmpty ? .null : .array(cuts.map(\.document))
    }

    private func health(_ status: DeviceStatus, _ hasBaudRate: Bool) -> [(String, JSONValue)] {
        [
            ("state", .string(status.state.rawValue)), ("since", .optional(status.since?.rfc3339)),
            ("last_good", .optional(status.lastGood?.rfc3339)),
            ("last_good_age_s", status.lastGood.map { .double(max(0, (now - $0).milliseconds.seconds)) } ?? .null),
            ("polls", .integer(status.polls)), ("failed_polls", .integer(status.failedPolls)),
            ("missed_polls", .integer(status.missedPolls)), ("late_polls", .integer(status.timing.latePolls)),
            ("recent_polls", .integer(status.recentPolls)),
            ("recently_failed", .integer(status.recentlyFailed)), ("trouble", .optional(status.trouble)),
            ("trouble_text", .optional(Self.troubleText(status, hasBaudRate))),
            ("last_fault", .optional(status.lastFault?.words)),
            ("last_fault_time", .optional(status.lastFault?.time.rfc3339)),
            (
                "last_fault_age_s",
                status.lastFault.map { .double(max(0, (now - $0.time).milliseconds.seconds)) } ?? .null
            ),
        ]
    }

    /// What it means and where to look; what was seen in place of that where there is something.
    private static func troubleText(_ status: DeviceStatus, _ hasBaudRate: Bool) -> String? {
        guard let reason = status.trouble.flatMap(QualityReason.init(code:)) else { return nil }
        guard let fault = status.faultOfTrouble, fault.isSpecific else { return reason.words(hasBaudRate) }
        switch reason {
        case .timeout: return "does not answer: \(fault.words)"
        case .protocolError: return "gives no valid answer: \(fault.words)"
        case .commDown: return "cannot be reached: \(fault.words)"
        case _: return reason.words(hasBaudRate)
        }
    }

    private func timing(_ timing: PollTiming) -> [(String, JSONValue)] {
        [
            ("reply_ms", Self.milliseconds(timing.replies)),
            ("timeout_ms", timing.timeout.map(Self.milliseconds) ?? .null),
            ("lateness_ms", Self.milliseconds(timing.lateness, isWorstTold: true)),
        ]
    }

    /// Left out before the first sample.
    private static func milliseconds(_ digest: DurationDigest, isWorstTold: Bool = false) -> JSONValue {
        guard let median = digest.quantile(0.5), let high = digest.quantile(0.99), let worst = digest.quantile(1) else {
            return .null
        }
        let figures = [("p50", milliseconds(median)), ("p99", milliseconds(high))]
        return .compact(figures + (isWorstTold ? [("worst", milliseconds(worst))] : []))
    }

    private static func milliseconds(_ duration: Duration) -> JSONValue {
        .double(Double(duration.microseconds) / 1000)
    }

    private func models(_ state: Discovery.State) -> [(String, JSONValue)] {
        switch state {
        case .none: return []
        case .pending: return [("discovery", .string("pending"))]
        case .failed(let reason): return [("discovery", .string("failed")), ("discovery_text", .string(reason))]
        case .found(let chain, let missing):
            return [
                ("discovery", .string("found")),
                ("discovery_text", .string("models \(chain.words)")), ("sunspec", .compact(chain.members)),
                ("missing_models", .array(missing.map { .integer($0) })),
            ]
        }
    }

    private func recognition(_ state: Identification.State) -> [(String, JSONValue)] {
        switch state {
        case .exempt: []
        case .pending: [("identity", .string("pending"))]
        case .confirmed: [("identity", .string("confirmed"))]
        case .wrong(let expected, let found):
            [
                ("identity", .string("wrong")), ("identity_expected", .string(expected)),
                ("identity_found", .string(found)),
            ]
        case .unverified(let reason): [("identity", .string("unverified")), ("identity_text", .string(reason))]
        }
    }

    private func refused(_ span: RegisterSpan, _ device: Device) -> JSONValue {
        let names = device.points.filter { point in point.spans.contains { $0.overlaps(span) } }.map {
            JSONValue.string($0.name)
        }
        guard case .object(let members) = span.document else { return span.document }
        return .object(members + [.init("points", .array(names))])
    }
}

extension Int64 {
    fileprivate var seconds: Double { Double(self) / 1000 }
}

extension QualityReason {
    /// What it means, and where to look, for whoever stands before the device.
    fileprivate func words(_ hasBaudRate: Bool) -> String {
        switch self {
        case .timeout:
            hasBaudRate
                ? "does not answer: power, wiring, unit address, baud rate and parity"
                : "does not answer: power, unit address, and the line behind a gateway"
        case .commDown: "cannot be reached: the connection, or the gateway before it, is down"
        case .protocolError:
            hasBaudRate
                ? "answers are damaged: noise, wrong parity, or two masters on the line"
                : "answers are damaged: is it a Modbus TCP server, and not RTU over TCP?"
        case .badAddress: "refuses some addresses: see what it refuses, and the profile"
        case .notImplemented:
            "does not know the function code, or does not have what is asked for: the profile is for another model"
        case .deviceFailure: "reports a failure of its own"
        case .deviceBusy: "says that it is busy"
        case .decodeError: "some registers hold no number of their type: byte order or type of the profile"
        case .impossible: "some values are physically impossible: byte order, scale or type of the profile"
        case .sentinel: "some values are marked as not available by the device"
        case .outOfRange: "some values are outside their usual range"
        case .configSuspect: "another device may be answering than the profile is for"
        case .waiting: "some values wait for a scale that the device has not given yet"
        case .outOfService: "rests while its connection is scanned"
        case .localOverride, .lastValue, .stale, .flatline, .substituted, .sensorLimit, .spike, .drift, .torn,
            .clockSuspect, .simulated, .shutdown:
            "some values are \(code)"
        }
    }
}
