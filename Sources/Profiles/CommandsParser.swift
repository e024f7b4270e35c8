import Foundation
import Model

/// Reads the `commands` of a site file: who may command what, and within which bounds. Checked against what the profiles
/// say about the points.
struct CommandsParser {
    let devices: [Device]
    /// Whether the devices could be read, so that points can be looked up.
    let knowsPoints: Bool
    let problems: ProblemList

    private static let keys = ["issuers", "policies", "read_only", "broker_loss", "skew", "longest_expiry"]

    func parse(_ field: Field) -> CommandSettings {
        var settings = CommandSettings()
        guard let fields = field.fields(Self.keys) else { return settings }
        settings.isReadOnly = fields["read_only"]?.bool() ?? false
        settings.brokerLoss =
            fields["broker_loss"]?.duration(in: .seconds(1) ... .seconds(86_400)) ?? settings.brokerLoss
        settings.skew = fields["skew"]?.duration(in: .seconds(1) ... .seconds(3600)) ?? settings.skew
        settings.longestExpiry =
            fields["longest_expiry"]?.duration(in: .seconds(1) ... .seconds(86_400)) ?? settings.longestExpiry
        for (name, keyField, value) in fields["issuers"]?.members(allowed: "name: {key, category}") ?? [] {
            guard let issuer = issuer(name, keyField, value) else { continue }
            if issuer.key != .none, let other = settings.issuers.first(where: { $0.key == issuer.key }) {
                keyField.fail("\(other.name) and \(name) have the same key; each issuer needs its own")
            }
            settings.issuers.append(issuer)
        }
        var covered: [String: String] = [:]
        for (name, keyField, value) in fields["policies"]?.members(allowed: "name: {points, allow, …}") ?? [] {
            guard keyField.identifier(name, hyphens: true) != nil else { continue }
            let parser = PolicyParser(
                name: name, issuers: settings.issuers, devices: devices, knowsPoints: knowsPoints)
            guard let policy = parser.parse(value, covered: &covered) else { continue }
            settings.policies.append(policy)
        }
        return settings
    }

    // MARK: - Issuers

    private func issuer(_ name: String, _ keyField: Field, _ field: Field) -> Issuer? {
        guard keyField.identifier(name, hyphens: true) != nil,
            let fields = field.fields(
                ["key", "hmac_file", "hmac", "secret", "category", "lane", "heartbeat", "accounts"],
                required: ["category"])
        else { return nil }
        for key in ["hmac", "secret"] {
            fields[key]?.fail(
                "secrets do not belong into the file; write hmac_file: with the path of a file that holds it")
        }
        guard
            let category = fields["category"]?.choice(IssuerCategory.allCases.map(\.rawValue))
                .flatMap(IssuerCategory.init(rawValue:))
        else { return nil }
        var issuer = Issuer(name: name, category: category)
        if let key = fields["key"] {
            fields["hmac_file"]?.fail("\(name): key and hmac_file are both given; write one of them")
            issuer.key = publicKey(key) ?? .none
        } else if let file = fields["hmac_file"]?.text("the path of a file") {
            issuer.key = .hmacFile(file)
        }
        if category.isPerson {
            issuer.accounts = fields["accounts"].map { accounts($0, name) }
            for key in ["lane", "heartbeat"] {
                fields[key]?.fail(
                    "\(name): \(key) is for machines (schedule, ai), not for category \(category.rawValue)")
            }
        } else {
            fields["accounts"]?.fail(
                "\(name): accounts is for persons (local, operator); no machine can be named at the local socket")
            issuer.lane =
                fields["lane"]?.choice(lanes(of: category)).flatMap(Lane.init(rawValue:)) ?? issuer.lane
            issuer.heartbeat = fields["heartbeat"]?.duration(in: .seconds(1) ... .seconds(86_400))
            if category == .service { service(issuer, keyField, fields) }
        }
        return issuer
    }

    private func lanes(of category: IssuerCategory) -> [String] {
        Lane.allCases.filter { category != .remote || $0 <= .advise }.map(\.rawValue)
    }

    private func service(_ issuer: Issuer, _ keyField: Field, _ fields: Fields) {
        for key in ["lane", "heartbeat"] {
            fields[key]?.fail("\(issuer.name): \(key) is for machines that command, and a service commands nothing")
        }
        if issuer.key == .none {
            keyField.fail("\(issuer.name): a service signs what it asks for; give key or hmac_file")
        }
    }

    /// Names or numbers of accounts; an empty list lets nobody speak for the person there.
    private func accounts(_ field: Field, _ issuer: String) -> [String] {
        (field.list(allowed: "names of accounts") ?? []).compactMap { item in
            guard let name = item.text("the name of an account of this machine") else { return nil }
            guard !name.isEmpty, !name.contains(where: { $0.isWhitespace || $0 == ":" || $0 == "/" }) else {
                item.fail(
                    "\(issuer): accounts takes names of accounts such as anna, or numbers such as 1000, not \(item.written)"
                )
                return nil
            }
            return name
        }
    }

    private func publicKey(_ field: Field) -> Issuer.Key? {
        let allowed = "ed25519: and the public key, 32 bytes in base64url (43 characters)"
        guard let text = field.text(allowed) else { return nil }
        let encoded = text.dropFirst("ed25519:".count)
        let standard = encoded.replacingOccurrences(of: "-", with: "+").replacingOccurrences(of: "_", with: "/") + "="
        guard text.hasPrefix("ed25519:"), encoded.utf8.count == 43, let data = Data(base64Encoded: standard),
            data.count == 32
        else {
            field.fail("key must be \(allowed), not \(field.written)")
            return nil
        }
        return .ed25519(Array(data))
    }
}
