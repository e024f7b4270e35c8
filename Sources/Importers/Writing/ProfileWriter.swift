import Model

/// One profile as a person would have written it: what most points share stands in `defaults`, each point is a line.
struct ProfileWriter {
    let profile: DraftProfile
    /// Names the format and the files.
    let source: String

    var text: String {
        let parts = profile.id.split(separator: "/", maxSplits: 1).map(String.init)
        let head = [
            "profile: \(profile.id)", "title: \(YAMLText.scalar(profile.title))",
            "manufacturer: \(YAMLText.scalar(profile.manufacturer ?? parts.first ?? "imported"))",
            "model: \(YAMLText.scalar(profile.model ?? parts.last ?? "device"))", "revision: 1",
            "source: \(YAMLText.scalar("\(source). Not compared with a manual, not tested on a device."))",
        ]
        var lines = [
            "# Imported: compare it with the manual, give points limits and sentinels, and add a golden test."
        ]
        lines += profile.comments.map(YAMLText.comment)
        lines += head
        if !profile.identify.isEmpty { lines.append("identify:") }
        lines += profile.identify.map { "  - {\($0)}" }
        lines.append(
            "# Only addresses that a point names are read. Where the device answers over holes, a gap saves requests.")
        lines.append("limits: {gap: 0}")
        var defaults = self.defaults.members
        if profile.sentinelsMeanAbsence { defaults.append(("sentinels_mean", "not_implemented")) }
        if !defaults.isEmpty { lines.append(YAMLText.flow(defaults, after: "defaults: ")) }
        return (lines + ["", "points:"] + points).joined(separator: "\n") + "\n"
    }

    /// The lines below `points:`.
    var points: [String] {
        let defaults = self.defaults
        let width = min(32, (profile.points.map(\.name.count).max() ?? 0) + 1)
        return profile.points.map { point in
            let label = "\(point.name):"
            let padding = String(repeating: " ", count: max(1, width + 1 - label.count))
            return YAMLText.flow(members(point, defaults), after: "  \(label)\(padding)")
        }
    }

    // MARK: - Defaults

    private struct Defaults {
        var table: RegisterTable?
        var type: ValueType?
        var order: ByteOrder?
        var every: Duration?

        var members: [(String, String)] {
            [
                table.map { ("table", $0.rawValue) }, type.map { ("type", $0.rawValue) },
                order.map { ("order", $0.name) }, every.map { ("every", $0.text) },
            ].compactMap(\.self)
        }
    }

    private var defaults: Defaults {
        let registers = profile.points.filter { !$0.table.isBits }
        let wide = registers.filter { $0.registerCount > 1 && $0.type != .string }
        var defaults = Defaults()
        defaults.table = Self.commonest(profile.points.map(\.table))
        defaults.type = Self.commonest(registers.map(\.type))
        let order = Self.commonest(wide.map(\.order))
        defaults.order = order == .bigEndian ? nil : order
        defaults.every = Self.commonest(profile.points.compactMap(\.every))
        return defaults
    }

    /// What occurs most often, of equals the first.
    private static func commonest<Value: Hashable>(_ values: [Value]) -> Value? {
        var counts: [Value: Int] = [:]
        for value in values { counts[value, default: 0] += 1 }
        let most = counts.values.max()
        return values.first { counts[$0] == most }
    }

    // MARK: - Points

    /// Where something is. An address that could be taken for a manual's number is written as one: a profile is warned of the
    /// other spelling.
    static func place(_ table: RegisterTable, _ address: Int) -> (key: String, value: String) {
        let digit: Character? =
            switch table {
            case .holding where (40_001...49_999).contains(address): "4"
            case .input where (30_001...39_999).contains(address): "3"
            case .coil, .discrete, .holding, .input: nil
            }
        guard let digit else { return ("address", String(address)) }
        return ("reference", "\(digit)\(address + 1)")
    }

    private func members(_ point: DraftPoint, _ defaults: Defaults) -> [(String, String)] {
        var members: [(String, String)] = []
        if point.table != defaults.table { members.append(("table", point.table.rawValue)) }
        members.append(Self.place(point.table, point.protocolAddress))
        if point.type != defaults.type { members.append(("type", point.type.rawValue)) }
        members += encoding(point, defaults)
        members += meaning(point)
        if let every = point.every, every != defaults.every { members.append(("every", every.text)) }
        if let write = point.write { members.append(("write", self.write(write))) }
        if let summary = point.summary { members.append(("description", YAMLText.scalar(summary))) }
        return members
    }

    private func encoding(_ point: DraftPoint, _ defaults: Defaults) -> [(String, String)] {
        var members: [(String, String)] = []
        let isWide = point.registerCount > 1 && point.type != .string && !point.table.isBits
        if isWide, let order = defaults.order {
            if point.order != order { members.append(("order", point.orderName ?? Self.bigEndian(point))) }
        } else if let order = point.orderName {
            members.append(("order", order))
        }
        if let count = point.count { members.append(("count", String(count))) }
        if let bits = point.bits {
            members.append(("bits", bits.count == 1 ? "\(bits.lowerBound)" : "\(bits.lowerBound)..\(bits.upperBound)"))
        }
        if point.scale != .one { members.append(("scale", point.scale.trimmed.description)) }
        if point.offset.mantissa != 0 { members.append(("offset", point.offset.trimmed.description)) }
        if let key = point.scaleKey { members.append(("scale_from", key)) }
        return members
    }

    private static func bigEndian(_ point: DraftPoint) -> String {
        ByteOrder.bigEndian.name(registerCount: point.registerCount)
    }

    private func meaning(_ point: DraftPoint) -> [(String, String)] {
        var members: [(String, String)] = []
        if let unit = point.unit { members.append(("unit", YAMLText.scalar(unit))) }
        if point.kind != .measurement { members.append(("kind", point.kind.rawValue)) }
        if !point.enumeration.isEmpty {
            let labels = point.enumeration.map { "\($0.code): \(YAMLText.scalar($0.label))" }
            members.append(("enum", "{\(labels.joined(separator: ", "))}"))
        }
        if !point.sentinels.isEmpty {
            let words = point.sentinels.map { $0 == 0 ? "0" : "0x" + String($0, radix: 16, uppercase: true) }
            members.append(("sentinels", "[\(words.joined(separator: ", "))]"))
        }
        return members
    }

    private func write(_ write: DraftWrite) -> String {
        var parts = ["mode: \(write.mode.rawValue)"]
        if let low = write.low { parts.append("min: \(low.trimmed)") }
        if let high = write.high { parts.append("max: \(high.trimmed)") }
        if let step = write.step { parts.append("step: \(step.trimmed)") }
        if let readback = write.readback { parts.append("readback: \(readback)") }
        return "{\(parts.joined(separator: ", "))}"
    }
}
