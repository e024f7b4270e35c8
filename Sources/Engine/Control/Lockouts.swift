package import Model

/// Where a lockout reaches.
package enum LockoutScope: Hashable, Sendable {
    case site
    case device(String)
    case point(String)

    /// `*`, `device/*` or `device/point`.
    package var name: String {
        switch self {
        case .site: "*"
        case .device(let device): device + "/*"
        case .point(let point): point
        }
    }

    package init?(name: String) {
        if name == "*" {
            self = .site
        } else if name.hasSuffix("/*"), name.utf8.count > 2 {
            self = .device(String(name.dropLast(2)))
        } else if name.contains("/"), !name.contains("*") {
            self = .point(name)
        } else {
            return nil
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
        entries.filter { $0.scope.covers(point) }.min { $0.scope.name.utf8.count < $1.scope.name.utf8.count }
    }

    package mutating func turnOn(_ entry: Entry) {
        entries.removeAll { $0.scope == entry.scope }
        entries.append(entry)
    }

    package mutating func turnOff(_ scope: LockoutScope) {
        entries.removeAll { $0.scope == scope }
    }
}
