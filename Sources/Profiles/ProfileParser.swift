import Model

/// A profile as its file defines it: finished values, and the layers of its points, which a site file may override.
struct ParsedProfile {
    var profile: DeviceProfile
    var points: [PointLayers]
}

/// Reads one profile file.
struct ProfileParser {
    let problems: ProblemList
    let sunSpecModels: SunSpecModels
    /// Finds the profile that another one extends.
    let base: (String) -> ParsedProfile?

    private static let keys = [
        "profile", "title", "manufacturer", "model", "revision", "source", "serial", "limits", "identify", "defaults",
        "points", "tests", "extends", "repeat", "sunspec",
    ]

    /// Keys that make sense for many points at once.
    private static let defaultKeys = [
        "table", "type", "order", "every", "unit", "kind", "scale", "offset", "range", "limits", "sentinels",
        "deadband",
        "raw",
    ]

    private static let identityKeys = [
        "table", "address", "reference", "type", "order", "count", "equals", "device_id",
    ]

    /// - Parameter id: what `profile:` must say: the path of the file in its folder.
    func parse(_ file: YAMLFile, id: String) -> ParsedProfile? {
        let root = Field(name: "profile", node: file.root, file: file.path, problems: problems)
        guard let fields = root.fields(Self.keys, required: ["profile", "title", "manufacturer", "model", "source"])
        else {
            return nil
        }
        if let named = fields["profile"], let text = named.identifier(hyphens: true, levels: true), text != id {
            named.fail("profile must be '\(id)', the path of its file, not '\(text)'")
        }
        fields["repeat"]?.fail("repeat is not in this version of Headgate; write the points out")
        let sunSpec = sunSpec(fields)
        let inherited = fields["extends"].flatMap { field in
            field.identifier(hyphens: true, levels: true).flatMap { name in
                base(name)
                    ?? {
                        field.fail("no profile '\(name)' to extend"); return nil
                    }()
            }
        }
        let models = sunSpec ?? inherited?.profile.sunSpec
        let points = layers(fields, inherited?.points ?? [], root, hasModels: models != nil)
        let profile = DeviceProfile(
            id: id, title: fields["title"]?.text() ?? id, manufacturer: fields["manufacturer"]?.text() ?? "",
            model: fields["model"]?.text() ?? "", revision: fields["revision"]?.integer(in: 1...1_000_000) ?? 1,
            source: fields["source"]?.text() ?? "", factorySerial: fields["serial"].flatMap(serial),
            limits: fields["limits"].map { limits($0) } ?? inherited?.profile.limits ?? DeviceLimits(),
            identity: identity(fields["identify"]),
            points: PointList(problems: problems).parse(points) + (models.map { $0.points(of: $0.nominal) } ?? []),
            sunSpec: models,
            tests: GoldenTestParser(problems: problems).parse(fields["tests"]))
        return ParsedProfile(profile: profile, points: points)
    }

    /// Models of which the points are found at run time.
    private func sunSpec(_ fields: Fields) -> SunSpecSelection? {
        fields["sunspec"].flatMap {
            sunSpecModels.selection($0, every: fields["defaults"]?.fields(Self.defaultKeys)?["every"], problems)
        }
    }

    private func layers(
        _ fields: Fields, _ inherited: [PointLayers], _ root: Field, hasModels: Bool
    ) -> [PointLayers] {
        let defaults = fields["defaults"]?.fields(Self.defaultKeys)?.byKey ?? [:]
        var points = inherited
        for (name, keyField, value) in fields["points"]?.members(allowed: "point: {…}") ?? [] {
            guard keyField.identifier(name) != nil, let own = value.fields(PointLayers.keys)?.byKey else { continue }
            if let index = points.firstIndex(where: { $0.name == name }) {
                points[index].fields.merge(own) { $1 }
                points[index].place = keyField.place
            } else {
                points.append(
                    PointLayers(name: name, place: keyField.place, fields: defaults.merging(own) { $1 }))
            }
        }
        if points.isEmpty, !hasModels { root.fail("the profile has no points; write at least one below 'points:'") }
        return points
    }

    private func serial(_ field: Field) -> FactorySerialSettings? {
        guard let fields = field.fields(["baud", "format", "unit"], required: ["baud", "format"]),
            let baud = fields["baud"]?.integer(in: 300...1_000_000)
        else { return nil }
        guard let text = fields["format"]?.text("8N1, 8E1 or the like"), let format = SerialFormat(name: text) else {
            fields["format"]?.fail("format must be data bits, parity and stop bits such as 8E1 or 8N2")
            return nil
        }
        return FactorySerialSettings(
            baud: baud, format: format, unit: UInt8(fields["unit"]?.integer(in: 1...247) ?? 1))
    }

    private func limits(_ field: Field) -> DeviceLimits {
        var limits = DeviceLimits()
        guard let fields = field.fields(["registers", "bits", "gap", "pause"]) else { return limits }
        limits.registerCount = fields["registers"]?.integer(in: 1...125) ?? 125
        limits.bitCount = fields["bits"]?.integer(in: 1...2000) ?? 2000
        limits.gap = fields["gap"]?.integer(in: 0...2000)
        limits.pause = fields["pause"]?.duration(in: .zero ... .seconds(10)) ?? .zero
        return limits
    }

    private func identity(_ field: Field?) -> [IdentityCheck] {
        (field?.list(allowed: "checks") ?? []).compactMap { item in
            guard let fields = item.fields(Self.identityKeys) else { return nil }
            if let deviceID = fields["device_id"] {
                return deviceID.fields(["vendor", "product"]).map {
                    .deviceID(vendor: $0["vendor"]?.text(), product: $0["product"]?.text())
                }
            }
            guard let equals = fields["equals"] else {
                item.fail("identify: the key 'equals' (or 'device_id') is missing")
                return nil
            }
            var own = fields.byKey
            own["equals"] = nil
            let layers = PointLayers(name: "identify", place: item.place, fields: own)
            guard let point = PointParser(layers: layers, problems: problems).parse() else { return nil }
            return .register(point, equals: GoldenTestParser.value(equals) ?? .null)
        }
    }
}

/// All points of a profile or of a device, and the rules between them.
struct PointList {
    let problems: ProblemList

    func parse(_ layers: [PointLayers]) -> [Point] {
        let parsed = layers.compactMap { layer in
            PointParser(layers: layer, problems: problems).parse().map { (layer, $0) }
        }
        overlaps(parsed)
        references(parsed, all: layers)
        readbacks(parsed)
        return parsed.map(\.1)
    }

    /// Values that share registers must agree about them: the same registers read alike, or bit fields of one register.
    private func overlaps(_ points: [(PointLayers, Point)]) {
        let sorted = points.sorted { ($0.1.table, $0.1.protocolAddress) < ($1.1.table, $1.1.protocolAddress) }
        for (index, (_, point)) in sorted.enumerated() {
            for (layers, other) in sorted[(index + 1)...] {
                guard point.span.overlaps(other.span) else { break }
                if Self.agree(point, other) { continue }
                problems.error(
                    layers.place,
                    "\(other.name) (\(other.encoding.type) at \(other.span)) overlaps \(point.name) (\(point.encoding.type) at \(point.span)); registers that two points share must have the same address and type, or be bits of one value"
                )
            }
        }
    }

    private static func agree(_ left: Point, _ right: Point) -> Bool {
        guard left.span == right.span else { return false }
        let areHalves = [left, right].allSatisfy { $0.encoding.type == .int8 || $0.encoding.type == .uint8 }
        return left.encoding.type == right.encoding.type || left.encoding.bits != nil || right.encoding.bits != nil
            || areHalves
    }

    private func references(_ points: [(PointLayers, Point)], all: [PointLayers]) {
        let names = all.map(\.name)
        for (layers, point) in points {
            guard let reference = point.scaleReference,
                !names.contains(reference.point) || reference.point == point.name
            else {
                continue
            }
            let hint = nearest(reference.point, in: names).map { ", did you mean '\($0)'?" } ?? ""
            layers.fields["scale_from"]?.fail(
                "\(point.name): scale_from names no other point '\(reference.point)'\(hint)")
        }
    }

    /// A write is confirmed by a point that exists, can be read without harm, and shows the same kind of value.
    private func readbacks(_ points: [(PointLayers, Point)]) {
        for (layers, point) in points {
            guard let rule = point.write, let field = layers.fields["write"] else { continue }
            var confirming = point
            if case .point(let name) = rule.readback {
                guard let other = points.first(where: { $0.1.name == name })?.1 else {
                    let hint = nearest(name, in: points.map(\.1.name)).map { ", did you mean '\($0)'?" } ?? ""
                    field.fail("\(point.name): write.readback names no point '\(name)'\(hint)")
                    continue
                }
                confirming = other
            } else if rule.readback != nil {
                continue
            }
            if confirming.isDestructiveRead {
                field.fail(
                    "\(point.name): \(confirming.name) has destructive_read and cannot confirm a write; name another place in write.readback"
                )
            }
            if confirming.datatype.isNumeric != point.datatype.isNumeric {
                field.fail(
                    "\(point.name) is \(point.datatype) and cannot be confirmed by \(confirming.name), \(confirming.datatype)"
                )
            }
        }
    }
}
