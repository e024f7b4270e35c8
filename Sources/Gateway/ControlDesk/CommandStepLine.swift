import Model

/// One step in the life of a command, as a line for people.
struct CommandStepLine {
    /// `event/1`; nil for a step that changes no state.
    let event: JSONValue?
    /// Time, step, code, who, value, read back, note.
    let cells: [String]

    /// - Parameter document: an `event/1`, or an entry of the audit log.
    /// - Returns: nil for an entry that is about another command and only names this one.
    init?(_ document: JSONValue, of id: CommandID) {
        guard let kind = document["kind"]?.text else {
            self.init(event: document, issuer: nil)
            return
        }
        let subject = document["event"] ?? document["outcome"] ?? document
        guard subject["id"]?.text == id.description else { return nil }
        if kind == "command", let event = document["event"] {
            self.init(event: event, issuer: document["from"] == nil ? document["issuer"] : nil)
        } else {
            self.init(entry: document, kind)
        }
    }

    /// - Parameter issuer: who asked, where the event does not say who acted.
    private init(event: JSONValue, issuer: JSONValue?) {
        self.event = event
        cells = [
            event.shown("time"), event.shown("state"), event.shown("code"), (event["actor"] ?? issuer)?.shown ?? "",
            event.shown("value"), event.shown("readback"), event.shown("note"),
        ]
    }

    private init(entry: JSONValue, _ kind: String) {
        event = nil
        cells = [
            entry.shown("time"), entry["verdict"].map { "\(kind): \($0.shown)" } ?? kind, entry.shown("code"),
            entry.shown("by"), entry.shown("value"), entry.shown("readback"), Self.note(entry),
        ]
    }

    private static func note(_ entry: JSONValue) -> String {
        if let outcome = entry["outcome"] { return note(outcome: outcome) }
        var words = ["reason", "note", "cause"].compactMap { entry[$0]?.shown }
        if let until = entry["until"] { words.append("until \(until.shown)") }
        if let others = entry["to"] { words.append("to \(others.elements.map(\.shown).joined(separator: ", "))") }
        return words.joined(separator: ", ")
    }

    private static func note(outcome: JSONValue) -> String {
        let measures = (outcome["measures"]?.elements ?? []).map { measure in
            let observed = measure["observed"].map { "\($0.shown) \(measure.shown("unit"))" } ?? "not known"
            return "\(measure.shown("point")): \(observed), expected \(measure.shown("expected"))"
        }
        let objections = (outcome["objections"]?.elements ?? []).map(\.shown)
        let use = objections.isEmpty ? "usable" : "not usable: \(objections.joined(separator: ", "))"
        return (measures + [use]).joined(separator: "; ")
    }
}
