import Model

/// SunSpec information models in JSON: <https://github.com/sunspec/models>. The files stand for a chain of models as it
/// lies in the device, in the order in which they are given.
struct SunSpecImporter {
    let options: ImportOptions
    let reporter: Reporter

    func draft(_ files: [ImportFile]) throws(ImportError) -> Draft {
        var models: [SourceNode] = []
        for file in files {
            let model = try file.json()
            guard model["id"]?.integer != nil, model["group"]?.isMap == true else {
                throw ImportError(model, "is no SunSpec model: 'id' and 'group' are missing")
            }
            models.append(model)
        }
        let start = try self.start(models[0])
        var profile = DraftProfile(title: "SunSpec device with models \(ids(models))", points: [])
        profile.manufacturer = "SunSpec"
        profile.sentinelsMeanAbsence = true
        profile.model = "models-" + models.compactMap { $0["id"]?.integer }.map(String.init).joined(separator: "-")
        if options.firstModel == nil {
            profile.identify.append(identity(at: options.base, "type: uint32, equals: 0x53756E53"))
        }
        let groups = models.filter { $0["id"]?.integer != 1 }.count > 1
        var address = start
        var isOpen = false
        for model in models {
            let id = model["id"]?.integer ?? 0
            guard !isOpen else {
                reporter.leftOut(
                    model, "model \(id) lies behind groups that were left out, so its address is unknown; left out")
                continue
            }
            profile.identify.append(identity(at: address, "type: uint16, equals: \(id)"))
            profile.comments.append("Model \(id) lies at address \(address).")
            var walk = SunSpecWalk(
                model: id, prefix: groups || (id == 1 && models.count > 1) ? prefix(model) : "", options: options,
                reporter: reporter, address: address)
            walk.group(model["group"] ?? model, path: "")
            profile.points += walk.points
            address = walk.address
            isOpen = walk.isOpen
        }
        reporter.assumed(
            models[0],
            "model \(models[0]["id"]?.integer ?? 0) begins at address \(start)\(options.firstModel == nil ? ", behind a \"SunS\" marker at \(options.base)" : ""), and the models follow each other without holes; a device says by its own ID and L registers where they lie"
        )
        var draft = Draft()
        draft.profiles = [profile]
        return draft
    }

    private func identity(at address: Int, _ check: String) -> String {
        let place = ProfileWriter.place(.holding, address)
        return "table: holding, \(place.key): \(place.value), \(check)"
    }

    private func ids(_ models: [SourceNode]) -> String {
        models.compactMap { $0["id"]?.integer }.map(String.init).joined(separator: ", ")
    }

    private func prefix(_ model: SourceNode) -> String {
        (model["group"]?["name"]?.words ?? "model\(model["id"]?.integer ?? 0)") + "_"
    }

    /// The chain begins with model 1; what else comes first lies where only a person knows.
    private func start(_ first: SourceNode) throws(ImportError) -> Int {
        if let firstModel = options.firstModel { return firstModel }
        if first["id"]?.integer == 1 { return options.base + 2 }
        throw ImportError(
            first,
            "where model \(first["id"]?.integer ?? 0) lies depends on the models in front of it; give their files first, beginning with model_1.json, or its address with --at"
        )
    }
}

/// Walks through the groups of one model and counts addresses.
struct SunSpecWalk {
    let model: Int
    let prefix: String
    let options: ImportOptions
    let reporter: Reporter
    /// Of the next point.
    var address: Int
    var points: [DraftPoint] = []
    /// Whether something of unknown length lies in front of ``address``.
    var isOpen = false

    /// Repetitions that make sense; a count beyond is a mistake.
    private static let repeatLimit = 200
    private static let sizeLimit = 65_536
    /// Points that say what a model is, not what a device does.
    private static let heads: Set<String> = ["ID", "L", "Pad"]

    init(model: Int, prefix: String, options: ImportOptions, reporter: Reporter, address: Int) {
        self.model = model
        self.prefix = prefix
        self.options = options
        self.reporter = reporter
        self.address = address
    }

    /// Points of the group, then the groups inside, each as often as it is there.
    mutating func group(_ group: SourceNode, path: String, scales: [String: String] = [:]) {
        var scales = scales
        for point in group["points"]?.items ?? [] where point["type"]?.text == "sunssf" {
            if let name = point["name"]?.words { scales[name] = "\(model).\(path)\(name)" }
        }
        for point in group["points"]?.items ?? [] { add(point, path: path, scales: scales) }
        for inner in group["groups"]?.items ?? [] {
            let name = inner["name"]?.words ?? "group"
            guard !isOpen else {
                reporter.leftOut(inner, "the group '\(name)' lies behind a group that was left out; left out")
                continue
            }
            guard let count = count(of: inner, name: name) else {
                isOpen = true
                continue
            }
            guard count <= Self.repeatLimit else {
                reporter.leftOut(inner, "'\(name)' is there \(count) times, more than \(Self.repeatLimit); left out")
                continue
            }
            for number in 0..<count where address < Self.sizeLimit {
                self.group(inner, path: path + (count == 1 ? "\(name)_" : "\(name)\(number + 1)_"), scales: scales)
            }
        }
    }

    /// How often a group is there: once, a fixed number, or what a person says where a device decides.
    private func count(of group: SourceNode, name: String) -> Int? {
        guard let count = group["count"] else { return 1 }
        if let fixed = count.integer, fixed > 0 { return fixed }
        if let said = options.repeats[name] { return said }
        let decider = count.integer == nil ? "the point '\(count.text ?? "?")'" : "the length of the model"
        reporter.leftOut(
            group,
            "how often the group '\(name)' is there is decided by the device (\(decider)); left out. Say it with --repeat \(name)=N"
        )
        return nil
    }

    private mutating func add(_ node: SourceNode, path: String, scales: [String: String]) {
        let name = node["name"]?.words ?? "?"
        let kind = node["type"]?.words ?? "?"
        let size = node["size"]?.integer ?? SunSpecType(kind)?.type.fixedRegisterCount ?? 1
        defer { address = min(Self.sizeLimit, address + max(0, min(size, Self.sizeLimit))) }
        if path.isEmpty, Self.heads.contains(name) || kind == "pad" { return }
        if kind == "pad" { return }
        guard let type = SunSpecType(kind) else {
            reporter.leftOut(node, "'\(name)' has the type '\(kind)', which has no counterpart; the point is left out")
            return
        }
        var point = DraftPoint(prefix + path + name, at: node, table: .holding, address: address, type: type.type)
        point.key = "\(model).\(path)\(name)"
        if type.type == .string { point.count = size }
        point.sentinels = type.sentinels
        point.summary = node["label"]?.words ?? node["desc"]?.words
        point.kind = type.kind
        point.every = node["static"]?.text == "S" ? .seconds(60) : .seconds(1)
        if type.kind == .counter { point.every = .seconds(60) }
        point.unit = unit(node["units"])
        guard scale(&point, node["sf"], scales) else { return }
        symbols(point, node, isBits: type.isBitField)
    }

    /// Percentages name what they are of, as in `% WMax`; factors have no unit.
    private func unit(_ node: SourceNode?) -> String? {
        guard let node, let text = node.words else { return nil }
        if ["cos()", "PF", "SF"].contains(text) { return nil }
        if text.hasPrefix("% "), !text.contains("/") {
            reporter.assumed(node, "'\(text)' is taken as '%'")
            return "%"
        }
        return reporter.unit(node)
    }

    /// - Returns: false when the point was left out.
    private func scale(_ point: inout DraftPoint, _ factor: SourceNode?, _ scales: [String: String]) -> Bool {
        guard let factor else { return true }
        guard point.type.isNumeric else { return true }
        if let exponent = factor.integer {
            guard (-20...20).contains(exponent) else {
                reporter.leftOut(factor, "'\(point.title)' has the scale 10^\(exponent); the point is left out")
                return false
            }
            point.scale = DecimalNumber(mantissa: 1, exponent: Int8(exponent))
        } else if let name = factor.words {
            point.scaleKey = scales[name] ?? name
        }
        return true
    }

    /// Symbols are labels of codes, or each a bit.
    private mutating func symbols(_ point: DraftPoint, _ node: SourceNode, isBits: Bool) {
        let symbols = node["symbols"]?.items ?? []
        guard isBits, !symbols.isEmpty else {
            var point = point
            writing(&point, node)
            point.enumeration = symbols.compactMap { symbol in
                guard let code = symbol["value"]?.integer, let label = symbol["name"]?.words else { return nil }
                return EnumerationLabel(code: Int64(code), label: label)
            }
            points.append(point)
            return
        }
        if node["access"]?.text == "RW" {
            reporter.leftOut(node, "'\(point.title)' is a writable bit field; its bits are taken as read-only")
        }
        for symbol in symbols {
            guard let bit = symbol["value"]?.integer(in: 0...63), let label = symbol["name"]?.words else { continue }
            guard !label.hasPrefix("RESERVED") else {
                reporter.ignored("RESERVED", in: symbol, because: "bits without a meaning")
                continue
            }
            var one = point
            one.title = "\(point.title)_\(label)"
            one.node = symbol
            one.bits = bit...bit
            one.key = nil
            one.summary = symbol["label"]?.words ?? symbol["desc"]?.words ?? point.summary
            points.append(one)
        }
    }

    private func writing(_ point: inout DraftPoint, _ node: SourceNode) {
        guard node["access"]?.text == "RW" else { return }
        guard point.type != .string else {
            reporter.leftOut(node, "'\(point.title)' is a writable text; taken as read-only")
            return
        }
        guard (model, point.key) != (1, "1.DA") else {
            reporter.ignored("DA", in: node, because: "its write access would take the device off the bus; read-only")
            return
        }
        point.write = DraftWrite(mode: point.registerCount == 1 ? .single : .multiple)
        point.kind = point.kind == .measurement ? .setpoint : point.kind
        reporter.assumed(node, "'\(point.title)' is writable and SunSpec gives no bounds; add min and max to 'write'")
    }
}

/// A point type of the SunSpec device information model specification, with the pattern that says "not implemented".
struct SunSpecType {
    var type: ValueType
    var kind = PointKind.measurement
    var sentinels: [UInt64] = []
    var isBitField = false

    init?(_ name: String) {
        switch name {
        case "int16": self.init(.int16, 0x8000)
        case "int32": self.init(.int32, 0x8000_0000)
        case "int64": self.init(.int64, 0x8000_0000_0000_0000)
        case "uint16": self.init(.uint16, 0xFFFF)
        case "uint32": self.init(.uint32, 0xFFFF_FFFF)
        case "uint64": self.init(.uint64, .max)
        case "acc16": self.init(.uint16, 0, kind: .counter)
        case "acc32": self.init(.uint32, 0, kind: .counter)
        case "acc64": self.init(.uint64, 0, kind: .counter)
        case "enum16": self.init(.uint16, 0xFFFF, kind: .state)
        case "enum32": self.init(.uint32, 0xFFFF_FFFF, kind: .state)
        case "bitfield16": self.init(.uint16, 0xFFFF, kind: .state, isBitField: true)
        case "bitfield32": self.init(.uint32, 0xFFFF_FFFF, kind: .state, isBitField: true)
        case "bitfield64": self.init(.uint64, .max, kind: .state, isBitField: true)
        case "sunssf": self.init(.int16, 0x8000, kind: .state)
        case "count": self.init(.uint16, 0xFFFF, kind: .state)
        case "raw16": self.init(.uint16, nil)
        case "float32": self.init(.float32, nil)
        case "float64": self.init(.float64, nil)
        case "string": self.init(.string, nil, kind: .state)
        default: return nil
        }
    }

    private init(_ type: ValueType, _ sentinel: UInt64?, kind: PointKind = .measurement, isBitField: Bool = false) {
        self.type = type
        self.kind = kind
        self.isBitField = isBitField
        sentinels = sentinel.map { [$0] } ?? []
    }
}
