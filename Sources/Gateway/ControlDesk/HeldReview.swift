package import Model

/// A command that waits for a person, as that person sees it before deciding.
package struct HeldReview: Sendable {
    package let id: CommandID
    /// The gateway that holds it.
    package let gateway: String
    /// What a decision about it names.
    package let digest: [UInt8]
    private let held: JSONValue

    /// - Parameter held: `held/1`.
    package init(held: JSONValue) throws(DeskProblem) {
        guard let id = held["id"]?.text.flatMap({ CommandID($0) }),
            let gateway = held["command"]?["target"]?["gateway"]?.text,
            let digest = held["digest"]?.text.flatMap({ DocumentDigest.bytes($0) })
        else { throw .unexpected(held.shown) }
        (self.id, self.gateway, self.digest, self.held) = (id, gateway, digest, held)
    }

    /// For people: what it writes, from what to what, what the guards say, and the digest.
    package var text: String {
        let command = held["command"] ?? .null
        let origin = command["origin"] ?? .null
        let point = command["target"]?.shown("point") ?? ""
        let unit = command.shown("unit")
        let to = (held["value"] ?? command["value"])?.shown ?? command.shown("action")
        let version = origin["version"].map { " \($0.shown)" } ?? ""
        var lines = [
            ("command", id.description),
            ("asked by", "\(held.shown("issuer")) (\(origin.shown("actor"))\(version))"),
            ("point", point), ("from", "\(held["from"]?.shown ?? "not known") \(unit)"), ("to", "\(to) \(unit)"),
            ("asked", held["asked"].map { "\($0.shown) \(unit), which the registers cannot hold" } ?? ""),
            ("because", command["rationale"]?.shown("text") ?? ""), ("until", held.shown("until")),
            ("approvals", "\(held["approvals"]?.elements.count ?? 0) of \(held.shown("needed"))"),
        ]
        if isSilent { lines.append(("warning", "\(held.shown("issuer")) is silent: it cannot be approved now")) }
        lines += guards.map { ("guard", $0) }
        lines.append(("digest", DocumentDigest.text(digest)))
        return lines.filter { !$0.1.isEmpty }.map { name, value in
            name + String(repeating: " ", count: max(1, 11 - name.count)) + TextTable.safe(value)
        }.joined(separator: "\n")
    }

    /// Whether the issuer has been silent for longer than its heartbeat.
    package var isSilent: Bool { held["silent"]?.isTrue ?? false }

    private var guards: [String] {
        (held["guards"]?.elements ?? []).map { verdict in
            let inputs = verdict["inputs"].map { " (\($0.assignments))" } ?? ""
            return "\(verdict.shown("guard")): \(verdict.shown("verdict"))\(inputs)"
        }
    }

    /// Whether `prefix` names the request that is shown.
    package func matches(_ prefix: DigestPrefix) -> Bool {
        DocumentDigest.text(digest).dropFirst("sha256:".count).hasPrefix(prefix.digits)
    }
}

/// The first digits of a digest, enough to know which one is meant.
package struct DigestPrefix: Hashable, Sendable {
    /// Lower case.
    package let digits: String
    package static let shortest = 8

    /// Reads 8 to 64 hexadecimal digits, with or without `sha256:` before them.
    package init?(_ text: String) {
        let lower = text.lowercased()
        let digits = lower.hasPrefix("sha256:") ? lower.dropFirst(7) : lower[...]
        guard (Self.shortest...64).contains(digits.utf8.count), digits.allSatisfy(\.isHexDigit) else { return nil }
        self.digits = String(digits)
    }
}
