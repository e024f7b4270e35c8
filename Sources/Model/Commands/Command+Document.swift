/// Why a document is not a `command/1`.
package struct CommandFormatError: Error, Hashable, Sendable {
    package var code: RefusalCode
    package var message: String
}

extension Command {
    /// Reads `command/1`. Unknown keys are refused: a misspelt one must not be taken for an absent one.
    package init(document: JSONValue) throws(CommandFormatError) {
        let reader = try DocumentReader(
            document, "the command",
            keys: [
                "schema", "id", "target", "action", "value", "unit", "mode", "issued", "expires", "lease", "expect",
                "origin", "evidence", "rationale", "recommendation",
            ])
        guard try reader.text("schema") == "command/1" else { throw reader.wrong("schema", "must be command/1") }
        guard let id = CommandID(try reader.text("id")) else { throw reader.wrong("id", "must be a UUID") }
        let target = try DocumentReader(try reader.member("target"), "target", keys: ["gateway", "point", "command"])
        self.init(
            id: id, gateway: try target.text("gateway"), point: try target.text("point"),
            action: try reader.choice("action", Action.init(rawValue:)), unit: try reader.optionalText("unit"),
            mode: try reader.choice("mode", Mode.init(rawValue:)), issued: try reader.time("issued"),
            expires: try reader.time("expires"), origin: try Origin(document: try reader.member("origin")),
            recommendation: try reader.optionalText("recommendation"))
        lease = try reader.optional("lease").map { value throws(CommandFormatError) in try Lease(document: value) }
        expect = try reader.optional("expect").map { value throws(CommandFormatError) in
            try Expectation(document: value)
        }
        rationale = try reader.optional("rationale").map { value throws(CommandFormatError) in
            try Rationale(document: value)
        }
        subject = try Self.subject(target, action)
        for item in try reader.list("evidence", limit: 64) { evidence.append(try Evidence(document: item)) }
        try readValue(reader)
    }

    private static func subject(_ target: DocumentReader, _ action: Action) throws(CommandFormatError) -> CommandID? {
        guard target.optional("command") != nil else { return nil }
        guard action == .renew || action == .cancel else {
            throw target.wrong("command", "is only for renew and cancel")
        }
        guard let id = CommandID(try target.text("command")) else { throw target.wrong("command", "must be a UUID") }
        return id
    }

    private mutating func readValue(_ reader: DocumentReader) throws(CommandFormatError) {
        switch (action, reader.optional("value")) {
        case (.set, let given?):
            guard let point = given.pointValue, point != .null else {
                throw reader.wrong("value", "must be a number, true, false or a text")
            }
            value = point
            guard unit != nil else { throw reader.wrong("unit", "is missing; \"1\" for none") }
        case (.set, nil): throw reader.wrong("value", "is missing")
        case (.release, nil), (.renew, nil), (.cancel, nil): return
        case (.release, _?), (.renew, _?), (.cancel, _?): throw reader.wrong("value", "is only for set")
        }
    }

    /// The command as `command/1`.
    package var document: JSONValue {
        .compact([
            ("schema", .string("command/1")), ("id", .string(id.description)),
            (
                "target",
                .compact([
                    ("gateway", .string(gateway)), ("point", .string(point)),
                    ("command", .optional(subject?.description)),
                ])
            ),
            ("action", .string(action.rawValue)), ("value", value.map { JSONValue($0) } ?? .null),
            ("unit", .optional(unit)), ("mode", .string(mode.rawValue)), ("issued", .string(issued.rfc3339)),
            ("expires", .string(expires.rfc3339)), ("lease", lease?.document ?? .null),
            ("expect", expect?.document ?? .null), ("origin", origin.document),
            ("evidence", evidence.isEmpty ? .null : .array(evidence.map(\.document))),
            ("rationale", rationale?.document ?? .null), ("recommendation", .optional(recommendation)),
        ])
    }
}

extension Command.Lease {
    /// Longest lease that can be asked for.
    private static let longest: Double = 30 * 86_400

    fileprivate init(document: JSONValue) throws(CommandFormatError) {
        let reader = try DocumentReader(document, "lease", keys: ["seconds", "on_end"])
        let seconds = try reader.number("seconds")
        guard seconds > 0, seconds <= Self.longest else {
            throw reader.wrong("seconds", "must be above 0 and at most \(Int(clamping: Self.longest))")
        }
        self.init(duration: .positive(seconds: seconds))
        if reader.optional("on_end") != nil { onEnd = try reader.choice("on_end", Command.LeaseEnd.init(rawValue:)) }
    }

    fileprivate var document: JSONValue {
        .compact([("seconds", .double(duration.inSeconds)), ("on_end", .optional(onEnd?.rawValue))])
    }
}

extension Command.Expectation {
    fileprivate init(document: JSONValue) throws(CommandFormatError) {
        let reader = try DocumentReader(document, "expect", keys: ["value", "tolerance"])
        guard let value = try reader.member("value").pointValue else { throw reader.wrong("value", "must be a value") }
        self.init(value: value, tolerance: try reader.optionalNumber("tolerance") ?? 0)
        guard tolerance >= 0 else { throw reader.wrong("tolerance", "must be 0 or more") }
    }

    fileprivate var document: JSONValue {
        .compact([("value", JSONValue(value)), ("tolerance", .double(tolerance))])
    }
}

extension Command.Origin {
    fileprivate init(document: JSONValue) throws(CommandFormatError) {
        let reader = try DocumentReader(
            document, "origin", keys: ["category", "actor", "version", "digest", "on_behalf_of"])
        self.init(
            category: try reader.choice("category", Self.category), actor: try reader.text("actor"),
            version: try reader.optionalText("version"), digest: try reader.optionalText("digest"),
            onBehalfOf: try reader.optionalText("on_behalf_of"))
    }

    /// The categories of those who write requests.
    private static func category(_ name: String) -> IssuerCategory? {
        IssuerCategory(rawValue: name).flatMap { $0 == .remote || $0 == .service ? nil : $0 }
    }

    fileprivate var document: JSONValue {
        .compact([
            ("category", .string(category.rawValue)), ("actor", .string(actor)), ("version", .optional(version)),
            ("digest", .optional(digest)), ("on_behalf_of", .optional(onBehalfOf)),
        ])
    }
}

extension Command.Evidence {
    fileprivate init(document: JSONValue) throws(CommandFormatError) {
        let reader = try DocumentReader(document, "evidence", keys: ["point", "epoch", "n", "value"])
        self.init(
            point: try reader.text("point"), epoch: try reader.integer("epoch", in: 0...UInt32.max),
            number: try reader.integer("n", in: 0...UInt64(Int64.max)), value: reader.optional("value")?.pointValue)
    }

    fileprivate var document: JSONValue {
        .compact([
            ("point", .string(point)), ("epoch", .integer(epoch)), ("n", .integer(number)),
            ("value", value.map { JSONValue($0) } ?? .null),
        ])
    }
}

extension Command.Rationale {
    fileprivate init(document: JSONValue) throws(CommandFormatError) {
        let reader = try DocumentReader(
            document, "rationale", keys: ["text", "reason", "confidence", "propensity", "expected"])
        self.init(
            text: try reader.optionalText("text"), confidence: try reader.optionalNumber("confidence"),
            propensity: try reader.optionalNumber("propensity"))
        if reader.optional("reason") != nil { reason = try reader.choice("reason", HumanReason.init(rawValue:)) }
        for item in try reader.list("expected", limit: 16) {
            let change = try DocumentReader(item, "expected", keys: ["point", "change", "unit", "within_s"])
            let seconds = try change.number("within_s")
            guard seconds > 0, seconds <= 7 * 86_400 else {
                throw change.wrong("within_s", "must be above 0 and at most \(7 * 86_400)")
            }
            expected.append(
                Command.ExpectedChange(
                    point: try change.text("point"), change: try change.number("change"),
                    unit: try change.optionalText("unit"), within: .positive(seconds: seconds)))
        }
    }

    fileprivate var document: JSONValue {
        .compact([
            ("text", .optional(text)), ("reason", .optional(reason?.rawValue)),
            ("confidence", confidence.map { .double($0) } ?? .null),
            ("propensity", propensity.map { .double($0) } ?? .null),
            (
                "expected",
                expected.isEmpty
                    ? .null
                    : .array(
                        expected.map {
                            .compact([
                                ("point", .string($0.point)), ("change", .double($0.change)),
                                ("unit", .optional($0.unit)), ("within_s", .double($0.within.inSeconds)),
                            ])
                        })
            ),
        ])
    }
}

extension Duration {
    /// Rounded to the microsecond, but never to none: a document that was accepted is accepted again when it is read back.
    fileprivate static func positive(seconds: Double) -> Duration {
        max(.microseconds(1), Duration(clampingSeconds: seconds))
    }
}
