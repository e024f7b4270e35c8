import Model

/// Reads one policy.
struct PolicyParser {
    let name: String
    let issuers: [Issuer]
    let devices: [Device]
    let knowsPoints: Bool

    private static let keys = [
        "points", "allow", "min", "max", "step", "rate", "min_interval", "per_day", "hours", "interlocks", "unless",
        "evidence", "approval", "lease", "fallback", "unsigned", "allow_unverified", "readiness", "watchdog",
    ]

    /// - Parameter covered: points that an earlier policy covers, with its name.
    func parse(_ field: Field, covered: inout [String: String]) -> Policy? {
        guard let fields = field.fields(Self.keys, required: ["points"]) else { return nil }
        if let watchdog = fields["watchdog"] { return feeding(watchdog, fields, &covered) }
        for key in ["allow", "fallback"] where fields[key] == nil {
            field.fail("\(field.name): the key '\(key)' is missing")
        }
        let patterns = (fields["points"]?.list(allowed: "device/point", single: true) ?? []).compactMap(pattern)
        let points = cover(patterns, &covered)
        for (id, _) in points where isWatchdog(id) {
            fields["points"]?.fail(
                "\(name): \(id) is a watchdog, which nobody commands; a policy of its own with watchdog: feed lets the gateway feed it"
            )
        }
        var policy = Policy(
            name: name, points: patterns.map(\.text), permissions: fields["allow"].map(permissions) ?? [])
        bounds(&policy, fields, points)
        frequency(&policy, fields)
        policy.hours = (fields["hours"]?.list(allowed: "hours", single: true) ?? []).compactMap(hours)
        policy.interlocks = (fields["interlocks"]?.list(allowed: "conditions", single: true) ?? []).compactMap(
            condition)
        policy.unless = (fields["unless"]?.list(allowed: "conditions", single: true) ?? []).compactMap(condition)
        policy.evidence = fields["evidence"].flatMap(evidence)
        policy.approval = fields["approval"].flatMap(approval)
        policy.lease = fields["lease"].flatMap(lease) ?? policy.lease
        policy.fallback = fields["fallback"].flatMap { fallback($0, policy, points) } ?? .previous
        policy.allowsUnsigned = fields["unsigned"]?.choice(["allow", "refuse"]) == "allow"
        policy.allowsUnverified = fields["allow_unverified"]?.bool() ?? false
        policy.needsReadiness = fields["readiness"]?.choice(["required", "ignored"]) == "required"
        for (id, point) in points { checkConfirmation(policy, field, fields, id, point) }
        if policy.allowsUnsigned, let field = fields["unsigned"] {
            field.problems.warning(
                field.place, "\(name): anybody who can publish to the broker may send unsigned requests as any issuer")
        }
        return policy
    }

    // MARK: - Watchdogs

    /// A policy that lets the gateway feed watchdogs, and nobody command them.
    private func feeding(_ field: Field, _ fields: Fields, _ covered: inout [String: String]) -> Policy? {
        guard field.choice(["feed"]) != nil else { return nil }
        for (key, other) in fields.byKey.sorted(by: { $0.key < $1.key }) where key != "points" && key != "watchdog" {
            other.fail("\(name): \(key) has no meaning beside watchdog: feed, which takes only points")
        }
        let patterns = (fields["points"]?.list(allowed: "device/point", single: true) ?? []).compactMap(pattern)
        for (id, _) in cover(patterns, &covered) where !isWatchdog(id) {
            let known = devices.compactMap { device in device.watchdog.map { "\(device.id)/\($0.point)" } }
            fields["points"]?.fail(
                "\(name): \(id) is no watchdog that a profile declares; there are: \(known.isEmpty ? "none" : known.joined(separator: ", "))"
            )
        }
        var policy = Policy(name: name, points: patterns.map(\.text), permissions: [], fallback: .hold)
        policy.feedsWatchdog = true
        return policy
    }

    private func isWatchdog(_ id: String) -> Bool {
        devices.contains { device in device.watchdog.map { "\(device.id)/\($0.point)" == id } ?? false }
    }

    // MARK: - Points

    private var all: [(id: String, point: Point)] {
        devices.flatMap { device in device.points.map { ("\(device.id)/\($0.name)", $0) } }
    }

    private func pattern(_ field: Field) -> (text: String, field: Field)? {
        guard let text = field.text("device/point") else { return nil }
        let isPattern = text.utf8.allSatisfy {
            ($0 >= 0x61 && $0 <= 0x7A) || ($0 >= 0x30 && $0 <= 0x39) || [0x5F, 0x2F, 0x2A].contains($0)
        }
        guard isPattern, text.contains("/"), !text.hasPrefix("/"), !text.hasSuffix("/") else {
            field.fail(
                "points must be device/point, where * stands for any characters of one level, not \(field.written)")
            return nil
        }
        return (text, field)
    }

    /// The writable points that the patterns cover. Each point has one policy.
    private func cover(
        _ patterns: [(text: String, field: Field)], _ covered: inout [String: String]
    ) -> [(id: String, point: Point)] {
        guard knowsPoints else { return [] }
        let all = all
        var found: [(id: String, point: Point)] = []
        for (text, field) in patterns {
            let matches = all.filter { PointPattern.matches(text, $0.id) }
            let writable = matches.filter { $0.point.write != nil }
            if writable.isEmpty {
                let candidates = all.filter { $0.point.write != nil }.map(\.id)
                let hint = nearest(text, in: candidates).map { ", did you mean '\($0)'?" } ?? ""
                let what = matches.isEmpty ? "no point matches '\(text)'" : "the profile lets nobody write '\(text)'"
                field.fail("\(name): \(what)\(hint); writable: \(candidates.prefix(8).joined(separator: ", "))")
            }
            for match in writable where !found.contains(where: { $0.id == match.id }) {
                if let other = covered[match.id] {
                    field.fail(
                        "\(name): \(match.id) is covered by the policy '\(other)' already; one policy for each point")
                } else {
                    covered[match.id] = name
                    found.append(match)
                }
            }
        }
        return found
    }

    // MARK: - Who

    private func permissions(_ field: Field) -> [Policy.Permission] {
        if field.isMapping {
            return (field.members(allowed: "issuer: shadow, advise or write") ?? []).compactMap {
                key, keyField, value in
                guard isIssuer(key, keyField), mayCommand(key, keyField),
                    let ceiling = value.choice(Command.Mode.allCases.map(\.rawValue)).flatMap(
                        Command.Mode.init(rawValue:))
                else { return nil }
                return Policy.Permission(issuer: key, ceiling: ceiling)
            }
        }
        return names(field).map { Policy.Permission(issuer: $0) }
    }

    private func mayCommand(_ name: String, _ field: Field) -> Bool {
        guard issuers.first(where: { $0.name == name })?.category.mayCommand ?? true else {
            field.fail("\(self.name): \(name) is a service, which commands nothing")
            return false
        }
        return true
    }

    private func names(_ field: Field, mustBePersons: Bool = false) -> [String] {
        (field.list(allowed: "issuers", single: true) ?? []).compactMap { item in
            guard let name = item.text("the name of an issuer"), isIssuer(name, item), mayCommand(name, item) else {
                return nil
            }
            if mustBePersons, issuers.first(where: { $0.name == name })?.category.isPerson != true {
                item.fail("\(self.name): \(name) is a machine; persons decide: \(persons)")
                return nil
            }
            return name
        }
    }

    private var persons: String {
        let names = issuers.filter(\.category.isPerson).map(\.name)
        return names.isEmpty ? "there are none, add an issuer of category operator" : names.joined(separator: ", ")
    }

    private func isIssuer(_ name: String, _ field: Field) -> Bool {
        let known = issuers.map(\.name)
        if known.contains(name) { return true }
        let hint = nearest(name, in: known).map { ", did you mean '\($0)'?" } ?? ""
        field.fail("\(self.name): no issuer '\(name)'\(hint); there are: \(known.joined(separator: ", "))")
        return false
    }

    private func approval(_ field: Field) -> Policy.ApprovalRule? {
        guard let fields = field.fields(["above_step", "by", "count", "within", "escalate"], required: ["by"]) else {
            return nil
        }
        var rule = Policy.ApprovalRule(approvers: fields["by"].map { names($0, mustBePersons: true) } ?? [])
        rule.aboveStep = fields["above_step"].flatMap { positive($0, orZero: true) }
        rule.count = fields["count"]?.integer(in: 1...2) ?? 1
        rule.within = fields["within"]?.duration(in: .seconds(5) ... .seconds(86_400)) ?? rule.within
        if let escalate = fields["escalate"],
            let members = escalate.fields(["to", "after"], required: ["to", "after"])
        {
            rule.escalation = members["to"].map { names($0, mustBePersons: true) } ?? []
            rule.escalateAfter = members["after"]?.duration(in: .seconds(1) ... .seconds(86_400))
            if let after = rule.escalateAfter, after >= rule.within {
                members["after"]?.fail(
                    "\(name): escalate.after must be shorter than within, which is \(rule.within.text)")
            }
        }
        if Set(rule.approvers).union(rule.escalation).count < rule.count {
            field.fail("\(name): approval needs \(rule.count) persons, and by names fewer")
        }
        return rule
    }
}
