import Model

/// What polling found out about devices, as YAML for their profiles: limits to paste, points to take out or to correct.
struct RefusalAdvice {
    /// The devices of ``DevicesDocument/value``.
    let devices: [JSONValue]

    var text: String {
        let byProfile = Dictionary(grouping: devices) { "\($0.text("profile")), revision \($0.number("revision"))" }
        let sections = byProfile.sorted { $0.key < $1.key }.compactMap { Self.section($0.key, $0.value) }
        return sections.isEmpty ? "# no device refuses anything" : sections.joined(separator: "\n\n")
    }

    private static func section(_ profile: String, _ devices: [JSONValue]) -> String? {
        let lines = limitLines(devices) + cutLines(devices) + pointLines(devices)
        return lines.isEmpty ? nil : (["# profile \(TextTable.safe(profile))"] + lines).joined(separator: "\n")
    }

    // MARK: - Limits

    /// The tightest limit of all devices of the profile suits all of them.
    private static func limitLines(_ devices: [JSONValue]) -> [String] {
        var tightest: [String: Int64] = [:]
        var who: [String] = []
        for device in devices {
            let limits = limits(device)
            if !limits.isEmpty { who.append(device.text("id")) }
            for (name, value) in limits { tightest[name] = min(tightest[name] ?? value, value) }
        }
        guard !tightest.isEmpty else { return [] }
        let list = limitNames.compactMap { name in tightest[name].map { "\(name): \($0)" } }.joined(separator: ", ")
        return ["# found out with \(names(who, of: devices)); merge with what 'limits' has:", "limits: {\(list)}"]
    }

    private static let limitNames = ["registers", "bits", "gap"]

    static func limits(_ device: JSONValue) -> [(name: String, value: Int64)] {
        limitNames.compactMap { name in (device["limits"]?[name]?.integer(in: 0...Int64(UInt32.max))).map { (name, $0) }
        }
    }

    // MARK: - Cuts

    /// Nothing to paste: what the device will not give together is read by requests of their own already.
    private static func cutLines(_ devices: [JSONValue]) -> [String] {
        devices.filter { !cuts($0).isEmpty }.map { device in
            "# \(TextTable.safe(device.text("id"))) refuses some requests and gives their parts: "
                + "they begin anew at \(cuts(device).joined(separator: ", "))"
        }
    }

    /// `input 18`
    static func cuts(_ device: JSONValue) -> [String] {
        (device["cuts"]?.elements ?? []).compactMap(RegisterCut.init).map { "\($0.table) \($0.address)" }
    }

    // MARK: - Points

    /// Points that every device of the profile refuses are told from those that only some do.
    private static func pointLines(_ devices: [JSONValue]) -> [String] {
        var refusers: [RegisterSpan: (devices: [String], points: [String])] = [:]
        for device in devices {
            for (span, points) in refused(device) {
                refusers[span, default: ([], points)].devices.append(device.text("id"))
            }
        }
        guard !refusers.isEmpty else { return [] }
        let ordered = refusers.sorted { ($0.key.table, $0.key.start) < ($1.key.table, $1.key.start) }
        return ["# take out, or correct, below 'points:'"]
            + ordered.flatMap { span, found in
                found.points.map {
                    "#  \(TextTable.safe($0)): {table: \(span.table), address: \(span.start)}"
                        + "  # refused by \(names(found.devices, of: devices))"
                }
            }
    }

    static func refused(_ device: JSONValue) -> [(span: RegisterSpan, points: [String])] {
        (device["refused"]?.elements ?? []).compactMap { entry in
            RegisterSpan(entry).map { ($0, entry["points"]?.elements.compactMap(\.text) ?? []) }
        }
    }

    private static func names(_ some: [String], of all: [JSONValue]) -> String {
        some.count == all.count && all.count > 1
            ? "all \(all.count) devices" : TextTable.safe(some.joined(separator: ", "))
    }
}
