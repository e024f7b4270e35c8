import Model

/// Reads the `devices` of a site file: profiles put to work, with what the site overrides.
struct DeviceParser {
    let library: ProfileLibrary
    let connections: [Connection]
    /// Names of all connections, also of those that are wrong themselves.
    let knownConnections: [String]
    let gateway: GatewayIdentity?
    let problems: ProblemList

    private static let keys = ["profile", "connection", "unit", "owner", "labels", "every", "order", "points"]

    func parse(_ field: Field) -> [Device] {
        var devices: [Device] = []
        var units: [String: (device: String, line: Int)] = [:]
        for (id, keyField, value) in field.members(allowed: "id: {profile, connection, unit}") ?? [] {
            guard keyField.identifier(id, levels: true) != nil, let device = device(id, value) else { continue }
            let unit = "\(device.connection) unit \(device.unit)"
            if let other = units[unit] {
                keyField.fail(
                    "\(id) is \(unit), and so is '\(other.device)' in line \(other.line); one device for each unit")
            }
            units[unit] = (id, keyField.place.line)
            devices.append(device)
        }
        return devices
    }

    private func device(_ id: String, _ field: Field) -> Device? {
        guard let fields = field.fields(Self.keys, required: ["profile", "connection", "unit", "owner"]) else {
            return nil
        }
        let connection = fields["connection"].flatMap(connectionName)
        let unit = fields["unit"].flatMap { self.unit($0, connection) }
        let owner = fields["owner"]?.text("who answers for it")
        guard let profile = fields["profile"].flatMap(self.profile) else { return nil }
        let sunSpec = sunSpec(profile, fields)
        let points = points(profile, fields, sunSpec)
        checkSize(points, profile.profile.limits, field, id)
        guard let connection, let unit, let owner else { return nil }
        let own = fields["labels"].map(labels) ?? []
        let inherited = (gateway?.labels ?? []).filter { label in !own.contains { $0.key == label.key } }
        return Device(
            id: id, profile: profile.profile.id, revision: profile.profile.revision, connection: connection,
            unit: UInt8(unit),
            owner: owner, labels: own + inherited, limits: profile.profile.limits,
            identity: profile.profile.identity, points: points, sunSpec: sunSpec, watchdog: profile.profile.watchdog)
    }

    /// What is to be found in the device, polled as the site wants it.
    private func sunSpec(_ profile: ParsedProfile, _ fields: Fields) -> SunSpecSelection? {
        guard let every = fields["every"]?.duration(in: PointLayers.periods) else { return profile.profile.sunSpec }
        return profile.profile.sunSpec?.polled(every: every)
    }

    private func connectionName(_ field: Field) -> String? {
        guard let name = field.text("the name of a connection") else { return nil }
        guard knownConnections.contains(name) else {
            let hint = nearest(name, in: knownConnections).map { ", did you mean '\($0)'?" } ?? ""
            field.fail("no connection '\(name)'\(hint); there are: \(knownConnections.joined(separator: ", "))")
            return nil
        }
        return name
    }

    /// Addresses 1 to 247 on a line; a TCP device may also want 0 or 255.
    private func unit(_ field: Field, _ connection: String?) -> Int? {
        guard let channel = connections.first(where: { $0.name == connection })?.channel else {
            return field.integer(in: 0...255)
        }
        switch channel {
        case .tcp: return field.integer(in: 0...255)
        case .serial, .rtuOverTCP: return field.integer(in: 1...247)
        }
    }

    private func profile(_ field: Field) -> ParsedProfile? {
        guard let id = field.identifier(hyphens: true, levels: true) else { return nil }
        if let parsed = library.parsed(id, problems) { return parsed }
        // A profile that exists and is wrong has said so itself, once for all devices.
        if !library.files.contains(where: { $0.id == id }) {
            let hint = library.suggestion(for: id).map { ", did you mean '\($0)'?" } ?? ""
            field.fail("no profile '\(id)'\(hint); 'headgate profile list' shows all")
        }
        return nil
    }

    /// Devices of one profile with one period share their points, in memory as well: a site has many of them.
    private func points(_ profile: ParsedProfile, _ fields: Fields, _ sunSpec: SunSpecSelection?) -> [Point] {
        func parsed() -> [Point] {
            let layers = layers(profile, fields)
            let points = PointList(problems: problems).parse(layers)
            checkEffect(of: fields, points, layers, profile)
            return points + (sunSpec.map { $0.points(of: $0.nominal) } ?? [])
        }
        guard fields["points"] == nil else { return parsed() }
        let key = "\(profile.profile.id) \(fields["every"]?.written ?? "") \(fields["order"]?.written ?? "")"
        if let known = shared.points[key] { return known }
        let points = parsed()
        shared.points[key] = points
        return points
    }

    /// Points that were parsed before, by profile and period.
    private final class SharedPoints {
        var points: [String: [Point]] = [:]
    }

    private let shared = SharedPoints()

    init(
        library: ProfileLibrary, connections: [Connection], knownConnections: [String], gateway: GatewayIdentity?,
        problems: ProblemList
    ) {
        self.library = library
        self.connections = connections
        self.knownConnections = knownConnections
        self.gateway = gateway
        self.problems = problems
    }

    /// The profile's layers with the site's on top: `every` of the device in place of the profile's default period, `order` in place of
    /// its default order, `points` for single points.
    private func layers(_ profile: ParsedProfile, _ fields: Fields) -> [PointLayers] {
        var layers = profile.points
        if let every = fields["every"], every.duration(in: PointLayers.periods) != nil {
            for index in layers.indices where layers[index].hasDefaultPeriod { layers[index].fields["every"] = every }
        }
        if let order = fields["order"], order.choice(Self.orders) != nil {
            for index in layers.indices { layers[index].adopt(defaults: ["order": order.asDefault]) }
        }
        for (name, keyField, value) in fields["points"]?.members(allowed: "point: {…}") ?? [] {
            let meant = layers.indices(named: name)
            if meant.isEmpty {
                let hint = nearest(name, in: layers.map(\.name)).map { ", did you mean '\($0)'?" } ?? ""
                keyField.fail("the profile \(profile.profile.id) has no point '\(name)'\(hint)")
            }
            guard let own = value.fields(PointLayers.keys)?.byKey else { continue }
            for index in meant { layers[index].override(own, as: name, at: keyField.place) }
        }
        return layers
    }

    private static let orders = ByteOrder.names(registerCount: 2)

    /// A key that changes no point is a mistake of its writer.
    private func checkEffect(
        of fields: Fields, _ points: [Point], _ layers: [PointLayers], _ profile: ParsedProfile
    ) {
        guard !problems.hasErrors else { return }
        if let order = fields["order"] {
            let ordered = Set(layers.filter { $0.fields["order"]?.isDefault ?? false }.map(\.name))
            if !points.contains(where: { ordered.contains($0.name) && $0.encoding.takesWordOrder }) {
                order.fail(
                    "order changes no point: every one of \(profile.profile.id) has an order of its own or a single register; write it below 'points'"
                )
            }
        }
        if let every = fields["every"], profile.profile.sunSpec == nil,
            !profile.points.contains(where: \.hasDefaultPeriod)
        {
            problems.warning(
                every.place,
                "every changes no point: each one of \(profile.profile.id) has a period of its own; write it below 'points'"
            )
        }
    }

    /// A `sync` group is read by one request, which has a limit.
    private func checkSize(_ points: [Point], _ limits: DeviceLimits, _ field: Field, _ id: String) {
        let plan = ReadPlan(points: points, limits: limits, cost: .tcp)
        for block in plan.jobs.flatMap(\.blocks) {
            let limit = block.span.table.isBits ? limits.bitCount : limits.registerCount
            guard block.span.registerCount > limit else { continue }
            let names = block.items.map { points[$0.point].name }.joined(separator: ", ")
            field.fail(
                "\(id): \(names) need one request for \(block.span), more than the \(limit) that the device allows")
        }
    }
}

extension PointLayers {
    /// Whether the poll period comes from the defaults of the profile (or nowhere), not from the point itself.
    var hasDefaultPeriod: Bool {
        fields["every"]?.isDefault ?? true
    }
}
