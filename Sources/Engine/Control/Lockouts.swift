package import Model

/// Where a lockout reaches.
package enum LockoutScope: Hashable, Sendable {
    case site
    case device(String)
    case point(String)

    /// `site`, `device:ID` or `point:DEVICE/POINT`: one word for it in orders, slots, the audit log and at the shell.
    package var name: String {
        switch self {
        case .site: "site"
        case .device(let device): "device:\(device)"
        case .point(let point): "point:\(point)"
        }
    }

    /// Reads ``name``, and as another word for it `*`, `device/*` and `device/point`.
    package init?(name: String) {
        if name == "site" || name == "*" {
            self = .site
        } else if name.hasPrefix("device:") {
            guard let device = Self.device(name.dropFirst(7)) else { return nil }
            self = .device(device)
        } else if name.hasPrefix("point:") {
            guard let point = Self.point(name.dropFirst(6)) else { return nil }
            self = .point(point)
        } else if name.hasSuffix("/*") {
            guard let device = Self.device(name.dropLast(2)) else { return nil }
            self = .device(device)
        } else {
            guard let point = Self.point(name[...]) else { return nil }
            self = .point(point)
        }
    }

    private static func device(_ text: Substring) -> String? {
        text.isEmpty || text.contains("*") ? nil : String(text)
    }

    private static func point(_ text: Substring) -> String? {
        text.contains("/") && !text.contains("*") ? String(text) : nil
    }

    /// The other word for it, under which older ledgers keep it.
    var oldName: String {
        switch self {
        case .site: "*"
        case .device(let device): device + "/*"
        case .point(let point): point
        }
    }

    /// From the widest to the narrowest.
    fileprivate var rank: Int {
        switch self {
        case .site: 0
        case .device: 1
        case .point: 2
        }
    }

    package func covers(_ point: String) -> Bool {
        switch self {
        case .site: true
        case .device(let device): point.hasPrefix(device + "/")
        case .point(let locked): point == locked
        }
    }
}

/// The kill switches that are on.
package struct Lockouts: Hashable, Sendable {
    package struct Entry: Hashable, Sendable {
        package var scope: LockoutScope
        package var by: String
        package var reason: String?
        package var since: UnixTime

        package init(scope: LockoutScope, by: String, reason: String?, since: UnixTime) {
            self.scope = scope
            self.by = by
            self.reason = reason
            self.since = since
        }
    }

    package private(set) var entries: [Entry] = []

    package init() {}

    /// The widest lockout that covers a point.
    package func covering(_ point: String) -> Entry? {
        entries.filter { $0.scope.covers(point) }.min { $0.scope.rank < $1.scope.rank }
    }

    package mutating func turnOn(_ entry: Entry) {
        entries.removeAll { $0.scope == entry.scope }
        entries.append(entry)
    }

    package mutating func turnOff(_ scope: LockoutScope) {
        entries.removeAll { $0.scope == scope }
    }
}
