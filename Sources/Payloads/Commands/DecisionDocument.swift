package import Model

/// `decision/1`: what a person says to a command that waits.
package struct DecisionDocument: Hashable, Sendable {
    /// The command.
    package var id: CommandID
    package var isApproval: Bool
    /// Always there for a denial.
    package var reason: HumanReason?
    package var note: String?
    package var issued: UnixTime
    package var expires: UnixTime

    private static let keys: Set<String> = ["schema", "id", "decision", "reason", "note", "issued", "expires"]
    private static let noteByteLimit = 1024

    package init(
        id: CommandID, isApproval: Bool, reason: HumanReason? = nil, note: String? = nil, issued: UnixTime,
        expires: UnixTime
    ) {
        self.id = id
        self.isApproval = isApproval
        self.reason = reason
        self.note = note
        self.issued = issued
        self.expires = expires
    }

    /// Unknown members are refused: a misspelt one must not be taken for an absent one.
    package init(_ value: JSONValue) throws(IntakeProblem) {
        guard case .object(let members) = value else { throw Self.wrong("it is no object") }
        if let unknown = members.first(where: { !Self.keys.contains($0.key) }) {
            throw Self.wrong("unknown member '\(unknown.key.prefix(40))'")
        }
        guard value["schema"] == .string("decision/1") else { throw Self.wrong("schema must be decision/1") }
        guard let id = value["id"]?.text.flatMap({ CommandID($0) }) else { throw Self.wrong("id must be a UUID") }
        switch value["decision"] {
        case .string("approve")?: isApproval = true
        case .string("deny")?: isApproval = false
        case _: throw Self.wrong("decision must be approve or deny")
        }
        self.id = id
        if let given = value["reason"] {
            guard let known = given.text.flatMap({ HumanReason(rawValue: $0) }) else {
                let words = HumanReason.allCases.map(\.rawValue).joined(separator: ", ")
                throw Self.wrong("reason must be one of \(words)")
            }
            reason = known
        }
        guard isApproval || reason != nil else { throw Self.wrong("reason is missing; a denial has one") }
        if let given = value["note"] {
            guard let text = given.text, text.utf8.count <= Self.noteByteLimit else {
                throw Self.wrong("note must be a text of at most \(Self.noteByteLimit) bytes")
            }
            note = text
        }
        issued = try Self.time("issued", value)
        expires = try Self.time("expires", value)
        guard expires > issued else { throw Self.wrong("expires must be after issued") }
    }

    private static func time(_ key: String, _ value: JSONValue) throws(IntakeProblem) -> UnixTime {
        guard let time = value[key]?.text.flatMap({ UnixTime(rfc3339: $0) }) else {
            throw wrong("\(key) must be a time in UTC such as 2026-11-20T23:40:00Z")
        }
        return time
    }

    private static func wrong(_ why: String) -> IntakeProblem {
        .format(.badFormat, "the decision: \(why)")
    }

    package var document: JSONValue {
        .compact([
            ("schema", .string("decision/1")), ("id", .string(id.description)),
            ("decision", .string(isApproval ? "approve" : "deny")), ("reason", .optional(reason?.rawValue)),
            ("note", .optional(note)), ("issued", .string(issued.rfc3339)), ("expires", .string(expires.rfc3339)),
        ])
    }
}

extension SignedDocument {
    /// The document as `decision/1`.
    package func decision() throws(IntakeProblem) -> DecisionDocument {
        try DecisionDocument(value)
    }
}
