package import Model

/// `decision/1`: what a person says to a command that waits.
package struct DecisionDocument: Hashable, Sendable {
    /// The gateway that it is for.
    package var gateway: String
    /// The command.
    package var id: CommandID
    /// SHA-256 of the request's bytes, as the person was shown it.
    package var digest: [UInt8]
    package var isApproval: Bool
    /// Always there for a denial.
    package var reason: HumanReason?
    package var note: String?
    package var issued: UnixTime
    package var expires: UnixTime

    private static let keys: Set<String> = [
        "schema", "gateway", "id", "digest", "decision", "reason", "note", "issued", "expires",
    ]
    private static let noteByteLimit = 1024
    /// A decision that is copied can be sent again until it expires: it must do so soon.
    package static let longestExpiry = Duration.seconds(300)

    package init(
        gateway: String, id: CommandID, digest: [UInt8], isApproval: Bool, reason: HumanReason? = nil,
        note: String? = nil, issued: UnixTime, expires: UnixTime
    ) {
        self.gateway = gateway
        self.id = id
        self.digest = digest
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
        guard let gateway = value["gateway"]?.text, !gateway.isEmpty else {
            throw Self.wrong("gateway is missing; it names the gateway that the decision is for")
        }
        self.gateway = gateway
        guard let digest = value["digest"]?.text.flatMap({ DocumentDigest.bytes($0) }) else {
            throw Self.wrong("digest must be that of the request as held/1 shows it: sha256: and 64 lower-case digits")
        }
        self.digest = digest
        guard let id = value["id"]?.text.flatMap({ CommandID($0) }) else { throw Self.wrong("id must be a UUID") }
        switch value["decision"] {
        case .string("approve")?: isApproval = true
        case .string("deny")?: isApproval = false
        case _: throw Self.wrong("decision must be approve or deny")
        }
        self.id = id
        reason = try Self.reason(value)
        guard isApproval || reason != nil else { throw Self.wrong("reason is missing; a denial has one") }
        note = try Self.note(value)
        issued = try Self.time("issued", value)
        expires = try Self.time("expires", value)
        guard expires > issued, expires - issued <= Self.longestExpiry else {
            throw Self.wrong("expires must be after issued, by at most \(Self.longestExpiry.components.seconds) s")
        }
    }

    private static func reason(_ value: JSONValue) throws(IntakeProblem) -> HumanReason? {
        guard let given = value["reason"] else { return nil }
        guard let known = given.text.flatMap({ HumanReason(rawValue: $0) }) else {
            throw wrong("reason must be one of \(HumanReason.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        return known
    }

    private static func note(_ value: JSONValue) throws(IntakeProblem) -> String? {
        guard let given = value["note"] else { return nil }
        guard let text = given.text, text.utf8.count <= noteByteLimit else {
            throw wrong("note must be a text of at most \(noteByteLimit) bytes")
        }
        return text
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
            ("schema", .string("decision/1")), ("gateway", .string(gateway)), ("id", .string(id.description)),
            ("digest", .string(DocumentDigest.text(digest))), ("decision", .string(isApproval ? "approve" : "deny")),
            ("reason", .optional(reason?.rawValue)),
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
