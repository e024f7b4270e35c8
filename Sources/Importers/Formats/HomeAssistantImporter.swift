import Model

/// The `modbus:` section of Home Assistant: hubs with sensors, binary sensors, switches, lights, fans and climates.
struct HomeAssistantImporter {
    let reporter: Reporter

    private static let hubKeys: Set<String> = [
        "name", "type", "host", "port", "timeout", "message_wait_milliseconds", "baudrate", "bytesize", "method",
        "parity", "stopbits", "sensors", "binary_sensors", "switches", "lights", "fans", "climates",
    ]
    private static let hubPresentation: Set<String> = [
        "delay", "retries", "retry_on_empty", "close_comm_on_error", "reconnect_delay",
    ]

    func draft(_ file: ImportFile) throws(ImportError) -> Draft {
        let root = try file.yaml()
        let hubs = try hubs(root)
        for (key, value) in root.members where key != "modbus" && root["modbus"] != nil {
            reporter.ignored(key, in: value, because: "not the section 'modbus'")
        }
        var draft = Draft()
        for (index, hub) in hubs.enumerated() { add(hub, index, to: &draft) }
        return draft
    }

    /// The section, or a file that is included as it.
    private func hubs(_ root: SourceNode) throws(ImportError) -> [SourceNode] {
        let section = root["modbus"] ?? root
        if let tag = section.tag {
            throw ImportError(section, "'\(tag)' leads to another file; import that one")
        }
        let hubs = section.itemsOrSelf.filter(\.isMap)
        guard
            hubs.contains(where: { hub in hub.members.contains { Self.hubKeys.contains($0.key) && $0.key != "name" } })
        else {
            throw ImportError(root, "has no section 'modbus' with hubs (type, host, sensors, …)")
        }
        return hubs
    }

    private func add(_ hub: SourceNode, _ index: Int, to draft: inout Draft) {
        reporter.keys(hub, taken: Self.hubKeys, ignored: Self.hubPresentation)
        let name = hub["name"]?.words ?? "modbus_hub\(index == 0 ? "" : "_\(index + 1)")"
        guard let channel = channel(hub) else { return }
        var connection = DraftConnection(title: name, node: hub, channel: channel)
        connection.timeout = hub["timeout"]?.seconds
        connection.pause = hub["message_wait_milliseconds"]?.integer.map { .milliseconds($0) }
        let link = draft.connect(connection)
        let reader = HomeAssistantEntities(reporter: reporter)
        for (key, read) in reader.sections {
            for entity in hub[key]?.itemsOrSelf ?? [] {
                guard entity.isMap, entity.tag == nil else {
                    reporter.leftOut(entity, "\(entity.written) is no entity; left out")
                    continue
                }
                let isSerial = if case .tcp = channel { false } else { true }
                let address = entity["device_address"] ?? entity["slave"]
                let unit = reporter.unit(address, isSerial: isSerial, in: hub)
                let title = address == nil ? name : "\(name) \(unit)"
                let profile = draft.device(title, at: entity, connection: link, unit: unit)
                draft.profiles[profile].points += read(entity)
            }
        }
    }

    private func channel(_ hub: SourceNode) -> DraftConnection.Channel? {
        let type = hub["type"]?.words ?? "tcp"
        switch type {
        case "tcp": return .tcp(host: reporter.host(hub["host"], in: hub), port: reporter.port(hub["port"], in: hub))
        case "rtuovertcp":
            return .rtuOverTCP(host: reporter.host(hub["host"], in: hub), port: reporter.port(hub["port"], in: hub))
        case "serial":
            if let method = hub["method"], method.words != "rtu" {
                reporter.leftOut(method, "the method \(method.written) has no counterpart; the hub is left out")
                return nil
            }
            return reporter.serial(
                path: hub["port"], baud: hub["baudrate"], bits: hub["bytesize"], parity: hub["parity"],
                stop: hub["stopbits"], in: hub)
        default:
            reporter.leftOut(hub["type"] ?? hub, "the type '\(type)' has no counterpart; the hub is left out")
            return nil
        }
    }
}
