package import Model

/// What a person orders that is no command to a point.
package enum DeskOrder: Hashable, Sendable {
    package enum Scope: Hashable, Sendable {
        case site
        case device(String)
        /// `device/point`
        case point(String)

        /// Reads `site` or `*`, `device:ID` or `DEVICE/*`, `point:DEVICE/POINT`, and for short `DEVICE` and `DEVICE/POINT`.
        /// Whether there is such a device is for the gateway to say.
        package init?(_ text: String) {
            let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            switch (parts.first, parts.count) {
            case ("site", 1), ("*", 1): self = .site
            case (_, 1)
            where text.hasSuffix("/*") && Self.isName(String(text.dropLast(2))) && !text.dropLast(2).contains("/"):
                self = .device(String(text.dropLast(2)))
            case ("device", 2) where Self.isName(parts[1]) && !parts[1].contains("/"): self = .device(parts[1])
            case ("point", 2) where Self.isPoint(parts[1]): self = .point(parts[1])
            case (_, 1) where Self.isPoint(text): self = .point(text)
            case (_, 1) where Self.isName(text) && !text.contains("/"): self = .device(text)
            case _: return nil
            }
        }

        private static func isName(_ text: String) -> Bool {
            !text.isEmpty && !text.contains { $0.isWhitespace || $0 == "*" }
        }

        private static func isPoint(_ text: String) -> Bool {
            let levels = text.split(separator: "/", omittingEmptySubsequences: false)
            return levels.count >= 2 && levels.allSatisfy { isName(String($0)) }
        }

        package var name: String {
            switch self {
            case .site: "site"
            case .device(let device): "device:\(device)"
            case .point(let point): "point:\(point)"
            }
        }
    }

    case lockout(Scope, isOn: Bool, reason: String)
    case lane(issuer: String, point: String, Lane, reason: String)
    case acknowledge(point: String, reason: String)
    case explain(CommandID, reason: String?, note: String?)

    var document: JSONValue {
        switch self {
        case .lockout(let scope, let isOn, let reason):
            .compact([
                ("order", .string("lockout")), ("scope", .string(scope.name)), ("on", .bool(isOn)),
                ("reason", .string(reason)),
            ])
        case .lane(let issuer, let point, let lane, let reason):
            .compact([
                ("order", .string("lane")), ("issuer", .string(issuer)), ("point", .string(point)),
                ("lane", .string(lane.rawValue)), ("reason", .string(reason)),
            ])
        case .acknowledge(let point, let reason):
            .compact([
                ("order", .string("acknowledge")), ("point", .string(point)), ("reason", .string(reason)),
            ])
        case .explain(let id, let reason, let note):
            .compact([
                ("order", .string("explain")), ("id", .string(id.description)), ("reason", .optional(reason)),
                ("note", .optional(note)),
            ])
        }
    }
}
