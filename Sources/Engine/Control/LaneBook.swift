package import Model

/// How far each issuer is trusted with each point: the lane of the site file until a promotion or a demotion is recorded.
package struct LaneBook: Hashable, Sendable {
    package struct Key: Hashable, Sendable {
        package var issuer: String
        package var point: String

        package init(issuer: String, point: String) {
            self.issuer = issuer
            self.point = point
        }
    }

    package private(set) var recorded: [Key: Lane] = [:]

    package init() {}

    package func lane(of issuer: Issuer, at point: String) -> Lane {
        recorded[Key(issuer: issuer.name, point: point)] ?? issuer.lane
    }

    package mutating func record(_ lane: Lane, _ key: Key) {
        recorded[key] = lane
    }

    /// Why a lane cannot be set; nil when it can. Down goes any way, up one step at a time and only when the point is ready.
    package static func objection(from old: Lane, to new: Lane, isReady: Bool) -> String? {
        if new.rank > old.rank + 1 {
            return "a promotion is one step: from \(old.rawValue) to \(Lane.allCases[old.rank + 1].rawValue)"
        }
        if new > old, new > .advise, !isReady { return "the readiness report does not say go" }
        return nil
    }
}
