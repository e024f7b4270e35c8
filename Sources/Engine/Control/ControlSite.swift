package import Model

/// A point as the guards see it: what the profile and the site file say about it.
package struct ControlledPoint: Hashable, Sendable {
    /// `device/point`.
    package var id: String
    package var point: Point
    /// The policy that covers it; without one it cannot be written.
    package var policy: Policy?
    /// All points of its device.
    package var peers: [Point]

    package init(id: String, point: Point, policy: Policy?, peers: [Point] = []) {
        self.id = id
        self.point = point
        self.policy = policy
        self.peers = peers.isEmpty ? [point] : peers
    }

    /// Ids of the points of the device that hold its bounds.
    package var boundPoints: [String] {
        point.write?.boundPoints.map { "\(device)/\($0)" } ?? []
    }

    /// How old its newest reading may be before decisions no longer rest on it.
    package var staleAfter: Duration { max(point.every * 3, .seconds(5)) }

    /// Whether two values are the same as far as the device can tell them apart, where the point is confirmed.
    package func agree(_ left: PointValue, _ right: PointValue) -> Bool {
        guard let first = left.number, let second = right.number else { return left == right }
        let declared = point.write?.readbackTolerance ?? 0
        let largest = max(abs(first), abs(second))
        let encoding = confirming.encoding
        if encoding.type.isFloat || encoding.type.isDecade || confirming.scaleReference != nil {
            return abs(first - second) <= max(declared, largest * 1e-6)
        }
        let rawStep = abs(encoding.scale.double)
        // A double holds 53 bits, four registers 64.
        if max(declared, rawStep / 2) < 1, left.isInteger, right.isInteger { return left == right }
        let tolerance = max(declared, rawStep / 2, largest * 1e-12)
        return abs(first - second) <= tolerance
    }
}

/// Names of bounds that keep the memory of the desk bounded.
package struct DeskLimits: Hashable, Sendable {
    /// How many of something all machines may have together, and all persons: neither can use the room of the others. Half of
    /// each is kept for its issuers in equal parts, see ``FairShare``.
    package struct Room: Hashable, Sendable {
        package var machines: Int
        package var persons: Int

        package init(machines: Int, persons: Int) {
            self.machines = machines
            self.persons = persons
        }

        package var all: Int { machines + persons }
    }

    /// Commands that are not finished, in all and of one issuer. Beyond: refused with `rate_limit`.
    package var inWork = Room(machines: 256, persons: 128)
    package var inWorkPerIssuer = 64
    /// Finished commands whose id is still known, in all and of one issuer. Beyond: refused with `rate_limit`.
    package var remembered = Room(machines: 20_000, persons: 8000)
    package var rememberedPerIssuer = 4000
    /// Requests of one issuer: a second, and at once. Beyond: refused with `rate_limit`, counted, not recorded.
    package var requestRate = 10.0
    package var requestBurst = 40.0
    /// Refusals that are answered: a second, and at once; of each issuer, and of all that cannot be attributed. Beyond: only
    /// counted.
    package var junkRate = 5.0
    package var junkBurst = 20.0
    /// Refusals with a ledger entry of their own: at once, and one more a minute; of each issuer, and of all that cannot be
    /// attributed. Beyond: one entry a minute with their numbers.
    package var refusalEntries = 20.0
    /// Bytes that the commands of one issuer may add to the ledger in a day. Beyond: refused with `budget`.
    package var ledgerBytesPerDay = 256 << 20
    /// Commands whose outcome is still awaited, in all and of one issuer. Beyond: no outcome is made, and that is counted.
    package var outcomes = Room(machines: 384, persons: 64)
    package var outcomesPerIssuer = 256
    /// Orders that are remembered of each issuer. Beyond: only what stops something is followed.
    package var orders = 1000
    /// Commands that waited for a person, and whose retained message is cleared again at each start. Beyond: the oldest is
    /// taken for cleared.
    package var decided = 256
    /// Attempts to revert before it is an alarm; after that one each ``alarmRetry``.
    package var revertAttempts: UInt32 = 5
    package var alarmRetry: Duration = .seconds(60)
    /// How long after a write without an answer a device that shows the old value may still take it: a converter between
    /// Ethernet and a serial line keeps a request in its queue after whoever sent it has stopped waiting.
    package var lateWrite: Duration = .seconds(5)
    /// Time between two looks at a device that shows the old value meanwhile.
    package var lateWriteLook: Duration = .seconds(1)
    /// How long a write that was given up is taken back if it arrives all the same.
    package var strayWrite: Duration = .seconds(120)
    /// How long an interlock may be unknown before what it guards is taken back.
    package var interlockGrace: Duration = .seconds(5)

    package init() {}
}

/// Everything that the desk knows from files.
package struct ControlSite: Hashable, Sendable {
    package var gateway: String
    package var settings: CommandSettings
    package var points: ControlledPoints
    package var issuers: [String: Issuer]
    package var limits: DeskLimits
    /// Watchdogs that a policy lets the gateway feed, in the order of their points.
    package var watchdogs: [WatchdogPlan]
    /// The commanded points that each point confirms, where that is not the point itself.
    package let confirmed: [String: [String]]
    /// The commanded points that another place confirms than where they are read.
    private let elsewhere: Set<String>

    package init(
        gateway: String, settings: CommandSettings, points: ControlledPoints, limits: DeskLimits = DeskLimits(),
        watchdogs: [WatchdogPlan] = []
    ) {
        self.gateway = gateway
        self.settings = settings
        self.points = points
        issuers = Dictionary(settings.issuers.map { ($0.name, $0) }) { $1 }
        self.limits = limits
        self.watchdogs = watchdogs.sorted { $0.point < $1.point }
        let covered = points.covered.filter { $0.confirmation != .polled($0.id) }
        elsewhere = Set(covered.map(\.id))
        confirmed = Dictionary(grouping: covered.filter { $0.confirmation.key != nil }) { $0.confirmation.key ?? "" }
            .mapValues { $0.map(\.id).sorted() }
    }

    /// The commanded points that a reading of `id` is a confirmation of.
    package func points(confirmedBy id: String) -> [String] {
        (elsewhere.contains(id) ? [] : [id]) + (confirmed[id] ?? [])
    }

    /// All points of a site, each with the policy whose patterns cover it.
    package init(_ site: Site) {
        let points = ControlledPoints(of: site)
        self.init(
            gateway: site.gateway.id, settings: site.commands, points: points,
            watchdogs: site.devices.compactMap(Self.watchdog).filter {
                points[$0.point]?.policy?.feedsWatchdog ?? false
            })
    }

    private static func watchdog(_ device: Device) -> WatchdogPlan? {
        guard let watchdog = device.watchdog, let point = device.points.first(where: { $0.name == watchdog.point })
        else { return nil }
        let writable = device.points.filter { $0.write != nil && $0.name != watchdog.point }.map(\.name)
        return WatchdogPlan(
            point: "\(device.id)/\(watchdog.point)", device: device.id, watchdog: watchdog,
            isBool: point.datatype == .bool, covered: Set((watchdog.covered ?? writable).map { "\(device.id)/\($0)" }))
    }

    /// Points of a site of which all are watched, so that evidence about any of them can be checked.
    static let watchedLimit = 1000

    /// Ids of the points whose readings the desk needs: commanded ones, those that confirm them or hold their scale, those of
    /// conditions, and evidence. In a site that is not too large these are all.
    package var watchedPoints: Set<String> {
        let covered = points.covered
        if !covered.isEmpty {
            let all = Set(points.ids.prefix(Self.watchedLimit + 1))
            if all.count <= Self.watchedLimit { return all }
        }
        var watched = Set(covered.map(\.id)).union(evidencePoints)
        for point in covered {
            watched.formUnion(point.boundPoints)
            if case .polled(let id) = point.confirmation { watched.insert(id) }
            if let holder = point.scaleHolder { watched.insert(holder) }
        }
        for condition in covered.flatMap({ ($0.policy?.interlocks ?? []) + ($0.policy?.unless ?? []) }) {
            watched.formUnion(condition.expression.points)
        }
        return watched
    }

    /// Ids of the points that policies ask for as evidence: of these a longer history is kept.
    package var evidencePoints: Set<String> {
        let patterns = Set(points.covered.flatMap { $0.policy?.evidence?.points ?? [] })
        guard !patterns.isEmpty else { return [] }
        return Set(points.ids.filter { id in patterns.contains { PointPattern.matches($0, id) } })
    }
}
