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
        "points", "tests", "extends", "repeat", "sunspec", "watchdog",
    ]

    /// Keys that make sense for many points at once.
    private static let defaultKeys = [
        "table", "type", "order", "charset", "every", "unit", "kind", "scale", "offset", "range", "limits", "sentinels",
        "sentinels_mean",
        "deadband",
        "raw",
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
        let sunSpec = sunSpec(fields)
        let inherited = fields["extends"].flatMap { field in
            field.identifier(hyphens: true, levels: true).flatMap { name in
                base(name)
                    ?? {
                        field.fail("no profile '\(name)' to extend"); return nil
                    }()
            }
        }
        let models = sunSpec ?? inherited?.profile.sunSpec.map { polled($0, fields) }
        let points = layers(fields, inherited?.points ?? [], root, hasModels: models != nil)
        let parsed = PointList(problems: problems).parse(points)
        let watchdog = fields["watchdog"].flatMap { WatchdogParser(points: parsed, profile: id).parse($0) }
        let profile = DeviceProfile(
            id: id, title: fields["title"]?.text() ?? id, manufacturer: fields["manufacturer"]?.text() ?? "",
            model: fields["model"]?.text() ?? "", revision: fields["revision"]?.integer(in: 1...1_000_000) ?? 1,
            source: fields["source"]?.text() ?? "",
            factorySerial: fields["serial"].flatMap(serial) ?? inherited?.profile.factorySerial,
            limits: limits(fields["limits"], over: inherited?.profile.limits ?? DeviceLimits()),
            identity: IdentityParser(problems: problems).parse(fields["identify"]),
            points: parsed + (models.map { $0.points(of: $0.nominal) } ?? []), sunSpec: models,
            tests: GoldenTestParser(problems: problems, copies: copies(points)).parse(fields["tests"]),
            watchdog: watchdog ?? inherited?.profile.watchdog)
        return ParsedProfile(profile: profile, points: points)
    }

    /// Models of which the points are found at run time.
    private func sunSpec(_ fields: Fields) -> SunSpecSelection? {
        fields["sunspec"].flatMap {
            sunSpecModels.selection($0, every: fields["defaults"]?.fields(Self.defaultKeys)?["every"], problems)
        }
    }

    /// Models of the extended profile, with the period that this one says.
    private func polled(_ selection: SunSpecSelection, _ fields: Fields) -> SunSpecSelection {
        let every = fields["defaults"]?.fields(Self.defaultKeys)?["every"]?.duration(in: PointLayers.periods)
        return every.map { selection.polled(every: $0) } ?? selection
    }

    private func layers(
        _ fields: Fields, _ inherited: [PointLayers], _ root: Field, hasModels: Bool
    ) -> [PointLayers] {
        var list = LayerList(
            inherited: inherited, defaults: fields["defaults"]?.fields(Self.defaultKeys)?.byKey ?? [:],
            problems: problems)
        fields["points"].map { list.add($0) }
        let blocks = fields["repeat"].map {
            $0.isMapping ? [$0] : $0.list(allowed: "{count, stride, name, points}") ?? []
        }
        for block in blocks ?? [] { list.add(repeated: block) }
        if list.points.isEmpty, !hasModels {
            root.fail("the profile has no points; write at least one below 'points:'")
        }
        return list.points
    }

    /// The names of all copies of each repeated point, by its name with `{n}`.
    private func copies(_ points: [PointLayers]) -> [String: [String]] {
        Dictionary(grouping: points.filter { $0.template != nil }) { $0.template ?? "" }.mapValues { $0.map(\.name) }
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

    /// Key by key over those of the profile that is extended.
    private func limits(_ field: Field?, over inherited: DeviceLimits) -> DeviceLimits {
        var limits = inherited
        guard let fields = field?.fields(["registers", "bits", "gap", "pause", "timeout"]) else { return limits }
        limits.registerCount = fields["registers"]?.integer(in: 1...125) ?? limits.registerCount
        limits.bitCount = fields["bits"]?.integer(in: 1...2000) ?? limits.bitCount
        limits.gap = fields["gap"]?.integer(in: 0...2000) ?? limits.gap
        limits.pause = fields["pause"]?.duration(in: .zero ... .seconds(10)) ?? limits.pause
        limits.timeout = fields["timeout"]?.duration(in: .milliseconds(10) ... .seconds(60)) ?? limits.timeout
        return limits
    }
}
