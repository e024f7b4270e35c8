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
            self.init(event: document, entry: nil)
            return
        }
        let subject = document["event"] ?? document["outcome"] ?? document
        guard subject["id"]?.text == id.description else { return nil }
        if kind == "command", let event = document["event"] {
            self.init(event: event, entry: document)
        } else {
            self.init(entry: document, kind)
        }
    }

    /// - Parameter entry: of the audit log; the first one says who asked, where the event does not say who acted.
    private init(event: JSONValue, entry: JSONValue?) {
        self.event = event
        let isFirst = entry != nil && entry?["from"] == nil
        let actor = event["actor"] ?? entry?["intervention"]?["by"] ?? (isFirst ? entry?["issuer"] : nil)
        cells = [
            event.shown("time"), event.shown("state"), event.shown("code"), Self.who(actor, entry),
            event.shown("value"), event.shown("readback"), Self.note(event: event, entry?["intervention"]),
        ]
    }

    /// The name, and for who was at the local socket the account there: one is claimed, the other the kernel told.
    private static func who(_ name: JSONValue?, _ entry: JSONValue?) -> String {
        guard let account = entry?["account"] else { return name?.shown ?? "" }
        let user = [account["user"]?.shown, account["uid"].map { "uid \($0.shown)" }].compactMap { $0 }
        return "\(name?.shown ?? "") (socket: \(user.joined(separator: ", ")))"
    }

    private static func note(event: JSONValue, _ intervention: JSONValue?) -> String {
        let words = [event["note"], event["reason"], intervention?["note"]].compactMap { $0?.shown }
        // A denial has its reason in the note as well.
        return words.enumerated().filter { index, word in !words[..<index].contains { $0.contains(word) } }
            .map(\.element).joined(separator: ", ")
    }

    private init(entry: JSONValue, _ kind: String) {
        event = nil
        cells = [
            entry.shown("time"), entry["verdict"].map { "\(kind): \($0.shown)" } ?? kind, entry.shown("code"),
            Self.who(entry["by"], entry), entry.shown("value"), entry.shown("readback"), Self.note(entry),
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
