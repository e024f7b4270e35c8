package import Model

/// What is under way at the desk: commands, decisions that are waited for, who holds what, lockouts.
package struct DeskOverview: Sendable {
    private let document: JSONValue

    /// - Parameter document: `{"commands","held","slots","lockouts","figures"}` as the gateway gives it.
    package init(document: JSONValue) {
        self.document = document
    }

    /// What can be said without a gateway: whether there is a lockout file.
    package init(lockoutFile file: LockoutFile) {
        let said = file.content
        let entry = JSONValue.compact([
            ("scope", .string("site")), ("since", said["since"] ?? .null), ("by", said["by"] ?? .null),
            ("reason", said["reason"] ?? .null),
        ])
        document = .compact([("lockouts", .array(file.isThere ? [entry] : []))])
    }

    package var json: [UInt8] { document.bytes }

    /// `{"lockouts":[{"scope","since","by","reason"}]}`
    package var lockoutsJSON: [UInt8] {
        JSONValue.object([.init("lockouts", .array(list("lockouts")))]).bytes
    }

    private func list(_ key: String) -> [JSONValue] { document[key]?.elements ?? [] }

    /// For people; sections with nothing in them are left out.
    package var text: String {
        let sections = [commands, held, slots, lockouts].filter { !$0.isEmpty }
        guard !sections.isEmpty else { return "no command is under way, nobody holds a point, no lockout is on" }
        return sections.map { $0.joined(separator: "\n") }.joined(separator: "\n\n")
    }

    package var lockoutText: String {
        lockouts.isEmpty ? "no lockout is on" : lockouts.joined(separator: "\n")
    }

    private var commands: [String] {
        section(
            "commands", ["COMMAND", "POINT", "VALUE", "STATE", "ISSUER", "UNTIL"],
            { command in
                [command.shown("id"), command.shown("point"), Self.value(command)]
                    + ["state", "issuer", "until"].map { command.shown($0) }
            })
    }

    private var held: [String] {
        section(
            "held", ["WAITS FOR A PERSON", "POINT", "VALUE", "ISSUER", "UNTIL", "APPROVALS", "MAY DECIDE", "DIGEST"],
            { held in
                let command = held["command"] ?? .null
                let names = (held["approvers"]?.elements ?? []).compactMap(\.text)
                return [
                    held.shown("id"), command["target"]?.shown("point") ?? "",
                    Self.value(held["value"] == nil ? command : held, command.shown("unit")), held.shown("issuer"),
                    held.shown("until"),
                    "\(held["approvals"]?.elements.count ?? 0) of \(held.shown("needed"))",
                    names.joined(separator: ", "), digest(held),
                ]
            })
    }

    /// What is written, and the value of the request where that is another.
    private static func value(_ item: JSONValue, _ unit: String = "") -> String {
        let value = item.shown("value") + (unit.isEmpty ? "" : " \(unit)")
        return value + (item["asked"].map { " (asked: \($0.shown))" } ?? "")
    }

    /// As many digits as scripts give, and some more; the whole of it is in the document.
    private func digest(_ held: JSONValue) -> String {
        let digits = held.shown("digest").dropFirst("sha256:".count).prefix(16)
        let silent = held["silent"]?.isTrue ?? false ? " (issuer is silent)" : ""
        return digits + silent
    }

    private var slots: [String] {
        section(
            "slots", ["POINT", "IN EFFECT", "HELD BY", "UNTIL", "REMARKS"],
            { report in
                let slots = report["slots"]?.elements ?? []
                let first = slots.first ?? .null
                return [
                    report.shown("point"), first.shown("value"), holder(first), end(first),
                    remarks(report, lower: slots.dropFirst().map(holder)).joined(separator: "; "),
                ]
            })
    }

    private func holder(_ slot: JSONValue) -> String {
        slot == .null ? "nobody" : "\(slot.shown("holder")) (\(slot.shown("slot")))"
    }

    /// A person who does not say for how long holds a point until it is released.
    private func end(_ slot: JSONValue) -> String {
        slot == .null ? "" : slot["until"]?.shown ?? "it is released"
    }

    private func remarks(_ report: JSONValue, lower: [String]) -> [String] {
        var remarks: [String] = []
        if report["alarm"]?.isTrue ?? false { remarks.append("ALARM: it could not be taken back") }
        if let home = report["restoring"] { remarks.append("going back to \(home.shown)") }
        if let lockout = report["lockout"] { remarks.append("locked out by \(lockout.shown)") }
        if let note = report["slots"]?.elements.first?["note"] { remarks.append(note.shown) }
        if !lower.isEmpty { remarks.append("then \(lower.joined(separator: ", "))") }
        return remarks
    }

    private var lockouts: [String] {
        section(
            "lockouts", ["LOCKOUT", "SINCE", "BY", "REASON"],
            { lockout in ["scope", "since", "by", "reason"].map { lockout.shown($0) } })
    }

    private func section(_ key: String, _ head: [String], _ cells: (JSONValue) -> [String]) -> [String] {
        var table = TextTable(head)
        for item in list(key) { table.add(cells(item)) }
        return list(key).isEmpty ? [] : table.lines
    }
}
