import Model

/// Reads the `publish` section of a site file.
struct PublisherParser {
    let gateway: GatewayIdentity?
    let problems: ProblemList

    private static let keys = [
        "mqtt", "version", "client_id", "username", "password_file", "password", "tls", "format", "topic", "qos",
        "in_flight",
        "backlog_share", "keepalive",
    ]

    func parse(_ field: Field) -> [PublisherSettings] {
        (field.members(allowed: "name: {mqtt: …}") ?? []).compactMap { name, keyField, value in
            guard keyField.identifier(name, hyphens: true) != nil else { return nil }
            return publisher(name, value)
        }
    }

    private func publisher(_ name: String, _ field: Field) -> PublisherSettings? {
        guard let fields = field.fields(Self.keys, required: ["mqtt"]) else { return nil }
        fields["password"]?.fail(
            "secrets do not belong into the file; write password_file: with the path of a file that holds it")
        let brokers = (fields["mqtt"]?.list(allowed: "mqtt://host:port", single: true) ?? []).compactMap(broker)
        guard !brokers.isEmpty else { return nil }
        let isSecure = brokers[0].isSecure
        if brokers.contains(where: { $0.isSecure != isSecure }) {
            fields["mqtt"]?.fail("all brokers of a list are mqtt:// or all are mqtts://")
        }
        if !isSecure { fields["tls"]?.fail("tls needs mqtts:// brokers") }
        format(fields["format"])
        var settings = PublisherSettings(
            name: name, brokers: brokers.map(\.endpoint), clientID: "headgate-\(gateway?.id ?? "")-\(name)")
        settings.version = fields["version"]?.choice(["5", "3.1.1"]) == "3.1.1" ? .v311 : .v5
        settings.clientID = fields["client_id"]?.text() ?? settings.clientID
        settings.username = fields["username"]?.text()
        settings.passwordFile = fields["password_file"]?.text("the path of a file")
        settings.tls = isSecure ? tls(fields["tls"]) : nil
        settings.topic = topic(fields["topic"]) ?? settings.topic
        settings.qos = fields["qos"]?.integer(in: 0...1) ?? settings.qos
        settings.window = fields["in_flight"]?.integer(in: 1...1000) ?? settings.window
        settings.keepAlive = fields["keepalive"]?.duration(in: .seconds(5) ... .seconds(3600)) ?? settings.keepAlive
        if let share = fields["backlog_share"], let number = share.number() {
            if (0...1).contains(number) {
                settings.backlogShare = number
            } else {
                share.fail("backlog_share must be from 0 to 1")
            }
        }
        if settings.passwordFile != nil, settings.username == nil {
            field.fail("\(name): password_file without username")
        }
        return settings
    }

    private func broker(_ field: Field) -> (endpoint: Endpoint, isSecure: Bool)? {
        guard let text = field.text("mqtt://host:port or mqtts://host:port") else { return nil }
        let isSecure = text.hasPrefix("mqtts://")
        guard isSecure || text.hasPrefix("mqtt://") else {
            field.fail("mqtt must be mqtt://host:port or mqtts://host:port, not \(field.written)")
            return nil
        }
        let rest = text.dropFirst(isSecure ? 8 : 7)
        guard !rest.contains("@") else {
            field.fail("mqtt: a user or password does not belong into the URL; write username: and password_file:")
            return nil
        }
        guard let endpoint = Endpoint(String(rest), defaultPort: isSecure ? 8883 : 1883) else {
            field.fail("mqtt: '\(rest)' is not host:port")
            return nil
        }
        return (endpoint, isSecure)
    }

    private func format(_ field: Field?) {
        guard let field, let format = field.choice(["json", "sparkplug", "senml", "value"]), format != "json" else {
            return
        }
        field.fail("format \(format) is not in this version of Headgate; allowed: json")
    }

    private func tls(_ field: Field?) -> PublisherSettings.TLS {
        guard let fields = field?.fields(["ca", "certificate", "key"]) else { return PublisherSettings.TLS() }
        let tls = PublisherSettings.TLS(
            authorityFile: fields["ca"]?.text("a file"), certificateFile: fields["certificate"]?.text("a file"),
            keyFile: fields["key"]?.text("a file"))
        if (tls.certificateFile == nil) != (tls.keyFile == nil) {
            field?.fail("tls: certificate and key belong together")
        }
        return tls
    }

    /// What is in braces must exist, and a topic to publish to has no wildcards.
    private func topic(_ field: Field?) -> String? {
        guard let field, let text = field.text("a topic") else { return nil }
        if text.contains(where: { "+#\0".contains($0) }) { field.fail("topic cannot have '+' or '#'") }
        for part in text.split(separator: "{", omittingEmptySubsequences: false).dropFirst() {
            let name = part.prefix { $0 != "}" }
            let isKnown = name == "gateway" || name == "device" || (name.hasPrefix("labels.") && name.count > 7)
            if !isKnown || !part.contains("}") {
                field.fail("topic: unknown placeholder '{\(name)}'; allowed: {gateway}, {device}, {labels.name}")
            }
        }
        return text
    }
}
