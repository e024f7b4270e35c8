package import Engine
package import Model

/// `control/1`: what a person orders that is no command to a point, on `c/ctl`. Always signed.
package struct ControlDocument: Hashable, Sendable {
    package var order: IncomingOrder.Order
    /// Which gateway it is for. What lets go of something must say so: a copy must be worth nothing at another one.
    package var gateway: String?
    package var reason: String?
    package var issued: UnixTime
    package var expires: UnixTime

    private static let keys: Set<String> = [
        "schema", "gateway", "order", "reason", "issued", "expires",
    ]
    /// What each order has besides.
    private static let ownKeys: [String: Set<String>] = [
        "lockout": ["scope", "on"], "lane": ["issuer", "point", "lane"], "acknowledge": ["point"],
        "explain": ["id", "note"],
    ]
    private static let textByteLimit = 1024
    /// An order that is copied can be sent again until it expires: it must do so soon.
    package static let longestExpiry = Duration.seconds(300)

    /// Reads the document of `c/ctl`, in which the times are required.
    package init(_ value: JSONValue) throws(IntakeProblem) {
        guard value["schema"] == .string("control/1") else { throw Self.wrong("schema must be control/1") }
        (order, gateway, reason) = try Self.order(value)
        guard gateway != nil || order.isStop else { throw Self.wrong("gateway is missing") }
        issued = try Self.time("issued", value)
        expires = try Self.time("expires", value)
        guard expires > issued, expires - issued <= Self.longestExpiry else {
            throw Self.wrong("expires must be after issued, by at most \(Self.longestExpiry.components.seconds) s")
        }
    }

    /// Reads what is ordered, without the times.
    package static func order(
        _ value: JSONValue
    ) throws(IntakeProblem) -> (order: IncomingOrder.Order, gateway: String?, reason: String?) {
        guard case .object(let members) = value else { throw wrong("it is no object") }
        guard let name = value["order"]?.text, let own = ownKeys[name] else {
            throw wrong("order must be lockout, lane, acknowledge or explain")
        }
        if let unknown = members.first(where: { !keys.contains($0.key) && !own.contains($0.key) }) {
            throw wrong("'\(unknown.key.prefix(40))' is no member of the order \(name)")
        }
        if let schema = value["schema"], schema != .string("control/1") { throw wrong("schema must be control/1") }
        let reason = value["reason"]?.text
        guard value["reason"] == nil || (reason?.utf8.count ?? .max) <= textByteLimit else {
            throw wrong("reason must be a text of at most \(textByteLimit) bytes")
        }
        let gateway = value["gateway"]?.text
        guard value["gateway"] == nil || gateway != nil else { throw wrong("gateway must be a text") }
        switch name {
        case "lockout": return (try lockout(value), gateway, reason)
        case "lane": return (try lane(value), gateway, reason)
        case "acknowledge":
            guard let point = value["point"]?.text else { throw wrong("to acknowledge needs point") }
            return (.acknowledge(point: point), gateway, reason)
        case _: return (try explain(value, reason), gateway, reason)
        }
    }

    /// A reason that is none of the list is said in own words, before the note.
    private static func explain(
        _ value: JSONValue, _ reason: String?
    ) throws(IntakeProblem) -> IncomingOrder.Order {
        guard let id = value["id"]?.text.flatMap(CommandID.init) else {
            throw wrong("to explain needs the id of a command")
        }
        let note = value["note"]?.text
        guard value["note"] == nil || (note?.utf8.count ?? .max) <= textByteLimit else {
            throw wrong("note must be a text of at most \(textByteLimit) bytes")
        }
        let known = reason.flatMap(HumanReason.init(rawValue:))
        let words = [known == nil ? reason : nil, note].compactMap { $0 }.filter { !$0.isEmpty }.joined(separator: "; ")
        guard known != nil || !words.isEmpty else { throw wrong("to explain needs a reason or a note") }
        return .explain(id, known, note: words.isEmpty ? nil : words)
    }

    private static func lockout(_ value: JSONValue) throws(IntakeProblem) -> IncomingOrder.Order {
        guard let scope = value["scope"]?.text.flatMap(LockoutScope.init(name:)) else {
            throw wrong("scope must be site, device:ID or point:DEVICE/POINT")
        }
        switch value["on"] {
        case .bool(let isOn)?: return .lockout(scope, isOn: isOn)
        case _: throw wrong("on must be true or false")
        }
    }

    private static func lane(_ value: JSONValue) throws(IntakeProblem) -> IncomingOrder.Order {
        guard let issuer = value["issuer"]?.text, let point = value["point"]?.text else {
            throw wrong("a lane needs issuer and point")
        }
        guard let lane = value["lane"]?.text.flatMap(Lane.init(rawValue:)) else {
            throw wrong("lane must be one of \(Lane.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        return .lane(issuer: issuer, point: point, lane)
    }

    private static func time(_ key: String, _ value: JSONValue) throws(IntakeProblem) -> UnixTime {
        guard let time = value[key]?.text.flatMap({ UnixTime(rfc3339: $0) }) else {
            throw wrong("\(key) must be a time in UTC such as 2026-11-20T23:40:00Z")
        }
        return time
    }

    private static func wrong(_ why: String) -> IntakeProblem {
        .format(.badFormat, "the order: \(why)")
    }
}
