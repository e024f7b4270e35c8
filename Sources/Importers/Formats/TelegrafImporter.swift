import Model

/// `[[inputs.modbus]]` of a Telegraf configuration, in the styles `register`, `request` and `metric`.
struct TelegrafImporter {
    let reporter: Reporter

    private static let inputKeys: Set<String> = [
        "name", "slave_id", "timeout", "controller", "baud_rate", "data_bits", "parity", "stop_bits",
        "transmission_mode", "configuration_type", "discrete_inputs", "coils", "holding_registers", "input_registers",
        "request", "metric", "interval", "workarounds", "tags",
    ]
    private static let inputPresentation: Set<String> = [
        "busy_retries", "busy_retries_wait", "log_level", "debug_connection", "optimization",
        "optimization_max_register_fill", "exclude_register_type_tag", "name_override", "name_prefix", "name_suffix",
        "alias", "rs485", "precision", "startup_error_behavior", "collection_jitter", "fieldpass", "fielddrop",
    ]

    func draft(_ file: ImportFile) throws(ImportError) -> Draft {
        let root = try file.toml()
        let inputs = root["inputs"]?["modbus"]?.itemsOrSelf.filter(\.isMap) ?? []
        guard !inputs.isEmpty else { throw ImportError(root, "has no [[inputs.modbus]]") }
        for (key, value) in (root["inputs"]?.members ?? []) where key != "modbus" {
            reporter.ignored("inputs.\(key)", in: value, because: "not Modbus")
        }
        for (key, value) in root.members where key != "inputs" && key != "agent" {
            reporter.ignored(key, in: value, because: "not an input")
        }
        let agent = root["agent"]?["interval"]?.words.flatMap(Words.duration)
        var draft = Draft()
        for input in inputs { add(input, agent, to: &draft) }
        return draft
    }

    private func add(_ input: SourceNode, _ agent: Duration?, to draft: inout Draft) {
        reporter.keys(input, taken: Self.inputKeys, ignored: Self.inputPresentation)
        guard let channel = channel(input) else { return }
        let name = input["name"]?.words ?? "modbus"
        var connection = DraftConnection(title: name, node: input, channel: channel)
        connection.timeout = input["timeout"]?.words.flatMap(Words.duration)
        connection.pause = input["workarounds"]?["pause_between_requests"]?.words.flatMap(Words.duration)
        workarounds(input["workarounds"])
        let link = draft.connect(connection)
        let own = input["interval"]?.words.flatMap(Words.duration)
        if own == nil, agent == nil {
            reporter.assumed(input, "no interval is named; Telegraf's default of 10s is taken")
        }
        let fields = TelegrafFields(reporter: reporter, every: own ?? agent ?? .seconds(10), input: input)
        let style = input["configuration_type"]?.words ?? "register"
        guard let sets = fields.sets(style) else { return }
        let isSerial = if case .tcp = channel { false } else { true }
        let units = Set(sets.map { $0.unit?.integer ?? 1 })
        for set in sets {
            let unit = reporter.unit(set.unit, isSerial: isSerial, in: set.node)
            let title = units.count == 1 ? name : "\(name) \(unit)"
            let profile = draft.device(title, at: set.node, connection: link, unit: unit)
            for point in set.points { append(point, set.measurement, to: &draft.profiles[profile].points) }
        }
    }

    /// Fields of one name in two measurements keep the measurement in the name.
    private func append(_ point: DraftPoint, _ measurement: String?, to points: inout [DraftPoint]) {
        var point = point
        if let measurement, points.contains(where: { $0.title == point.title && $0.addresses != point.addresses }) {
            point.title = "\(measurement) \(point.title)"
        }
        points.append(point)
    }

    private func workarounds(_ node: SourceNode?) {
        for (key, value) in node?.members ?? [] where key != "pause_between_requests" {
            guard !["false", "0ms", "0s", "", "2000", "125"].contains(value.text ?? "") else { continue }
            reporter.leftOut(value, "the workaround '\(key)' is not taken over")
        }
    }

    private func channel(_ input: SourceNode) -> DraftConnection.Channel? {
        let controller = input["controller"]?.words ?? ""
        let mode = input["transmission_mode"]?.words ?? "auto"
        if ["ASCII", "ASCIIoverTCP"].contains(mode) {
            reporter.leftOut(input, "the transmission mode '\(mode)' has no counterpart; the input is left out")
            return nil
        }
        if controller.hasPrefix("file://") {
            let path = SourceNode(
                content: .scalar(String(controller.dropFirst(7)), isQuoted: true), file: input.file, line: input.line,
                path: input.path)
            return reporter.serial(
                path: path, baud: input["baud_rate"], bits: input["data_bits"], parity: input["parity"],
                stop: input["stop_bits"], in: input)
        }
        let parts = controller.split(separator: "/", maxSplits: 2, omittingEmptySubsequences: false)
        guard controller.hasPrefix("tcp://"), parts.count == 3, let colon = parts[2].lastIndex(of: ":"),
            let port = Int(parts[2][parts[2].index(after: colon)...], in: 1...65_535)
        else {
            reporter.leftOut(
                input["controller"] ?? input,
                "the controller '\(controller.prefix(80))' has no counterpart; the input is left out")
            return nil
        }
        let host = parts[2][..<colon].filter { $0 != "[" && $0 != "]" }
        guard Reporter.isHost(String(host)) else {
            reporter.leftOut(
                input["controller"] ?? input, "no host in '\(controller.prefix(80))'; the input is left out")
            return nil
        }
        return mode == "RTUoverTCP"
            ? .rtuOverTCP(host: String(host), port: port) : .tcp(host: String(host), port: port)
    }
}
