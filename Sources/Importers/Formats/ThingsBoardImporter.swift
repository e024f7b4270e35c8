import Model

/// The file modbus.json of the ThingsBoard IoT gateway: `master.slaves`, also the older `server.devices`.
struct ThingsBoardImporter {
    let reporter: Reporter

    private static let deviceKeys: Set<String> = [
        "host", "port", "type", "method", "unitId", "deviceName", "timeout", "byteOrder", "wordOrder", "pollPeriod",
        "attributesPollPeriod", "timeseriesPollPeriod", "attributes", "timeseries", "attributeUpdates", "rpc",
        "baudrate", "stopbits", "bytesize", "parity", "delayBetweenRequestsMs",
    ]
    private static let devicePresentation: Set<String> = [
        "deviceType", "retries", "retryOnEmpty", "retryOnInvalid", "sendDataOnlyOnChange", "sendDataToThingsBoard",
        "connectAttemptTimeMs", "connectAttemptCount", "waitAfterFailedAttemptsMs", "strict", "reportStrategy",
        "converter",
        "downlink_converter", "uplink_converter", "repack",
    ]
    private static let valueKeys: Set<String> = [
        "tag", "type", "functionCode", "objectsCount", "address", "divider", "multiplier", "byteOrder", "wordOrder",
        "variants", "bitTargetType", "registerCount",
    ]
    private static let valuePresentation: Set<String> = ["reportStrategy", "round", "maxRegistersPerRequest", "value"]

    func draft(_ file: ImportFile) throws(ImportError) -> Draft {
        let root = try file.json()
        let devices = (root["master"]?["slaves"] ?? root["server"]?["devices"] ?? root["slaves"])?.items ?? []
        guard !devices.isEmpty else {
            throw ImportError(root, "has no 'master.slaves': it is no modbus.json of a gateway that reads devices")
        }
        if let slave = root["slave"] {
            reporter.ignored("slave", in: slave, because: "the gateway's own values, as a device for others")
        }
        var draft = Draft()
        for device in devices { add(device, to: &draft) }
        return draft
    }

    private func add(_ device: SourceNode, to draft: inout Draft) {
        reporter.keys(device, taken: Self.deviceKeys, ignored: Self.devicePresentation)
        guard let channel = channel(device) else { return }
        let name = device["deviceName"]?.words ?? "device"
        var connection = DraftConnection(title: title(channel), node: device, channel: channel)
        connection.timeout = device["timeout"]?.seconds
        connection.pause = device["delayBetweenRequestsMs"]?.integer.map { .milliseconds($0) }
        let link = draft.connect(connection)
        let isSerial = if case .tcp = channel { false } else { true }
        let unit = reporter.unit(device["unitId"], isSerial: isSerial, in: device)
        let profile = draft.device(name, at: device, connection: link, unit: unit)
        for section in ["attributes", "timeseries"] {
            let period = device["\(section)PollPeriod"] ?? device["pollPeriod"]
            let every = period?.integer.map { Duration.milliseconds($0) } ?? .seconds(5)
            if period == nil, device[section] != nil {
                reporter.assumed(device, "no poll period of \(section) is named; 5s is taken, as the gateway does")
            }
            for value in device[section]?.items ?? [] {
                guard var point = point(value, of: device) else { continue }
                point.every = every
                draft.profiles[profile].points.append(point)
            }
        }
        for section in ["attributeUpdates", "rpc"] {
            for (title, value) in Self.calls(device[section]) {
                write(value, title, of: device, into: &draft.profiles[profile].points)
            }
        }
    }

    /// A list of calls that carry their tag, or a mapping of tags to calls, as in earlier versions.
    private static func calls(_ node: SourceNode?) -> [(String, SourceNode)] {
        guard let node else { return [] }
        if node.isMap, node["functionCode"] == nil {
            return node.members.filter(\.value.isMap).map { ($0.key, $0.value) }
        }
        return node.itemsOrSelf.filter(\.isMap).map { ($0["tag"]?.words ?? "value", $0) }
    }

    private func title(_ channel: DraftConnection.Channel) -> String {
        switch channel {
        case .tcp(let host, let port), .rtuOverTCP(let host, let port): "\(host) \(port)"
        case .serial(let path, _, _): path.split(separator: "/").last.map(String.init) ?? "serial"
        }
    }

    private func channel(_ device: SourceNode) -> DraftConnection.Channel? {
        let type = device["type"]?.words ?? "tcp"
        let isRTU = device["method"]?.words == "rtu"
        switch type {
        case "tcp":
            let host = reporter.host(device["host"], in: device)
            let port = reporter.port(device["port"], in: device)
            return isRTU ? .rtuOverTCP(host: host, port: port) : .tcp(host: host, port: port)
        case "serial":
            return reporter.serial(
                path: device["port"], baud: device["baudrate"], bits: device["bytesize"], parity: device["parity"],
                stop: device["stopbits"], in: device)
        default:
            reporter.leftOut(device["type"] ?? device, "the type '\(type)' has no counterpart; the device is left out")
            return nil
        }
    }

    // MARK: - Values

    private func point(_ value: SourceNode, of device: SourceNode) -> DraftPoint? {
        reporter.keys(value, taken: Self.valueKeys.union(["bit"]), ignored: Self.valuePresentation)
        let title = value["tag"]?.words ?? "value"
        let tables: [Int: RegisterTable] = [1: .coil, 2: .discrete, 3: .holding, 4: .input]
        guard let code = value["functionCode"]?.integer, let table = tables[code] else {
            reporter.leftOut(
                value["functionCode"] ?? value,
                "'\(title)': \(value["functionCode"]?.written ?? "nothing") is no function code that reads; the point is left out"
            )
            return nil
        }
        guard let address = reporter.address(value["address"], of: title, in: value),
            let type = type(value, table, title)
        else { return nil }
        var point = DraftPoint(title, at: value, table: table, address: address, type: type)
        if type == .string {
            point.count = value["objectsCount"]?.integer ?? 1
            point.kind = .state
            return point
        }
        point.order = order(value, device)
        guard scale(&point, value) else { return nil }
        for (code, label) in value["variants"]?.members ?? [] {
            if let code = Words.integer(code), let label = label.words {
                point.enumeration.append(EnumerationLabel(code: Int64(code), label: label))
            }
        }
        if !point.enumeration.isEmpty { point.kind = .state }
        return point
    }

    private func type(_ value: SourceNode, _ table: RegisterTable, _ title: String) -> ValueType? {
        let name = value["type"]?.words?.lowercased() ?? "nothing"
        let count = value["objectsCount"]?.integer ?? value["registerCount"]?.integer ?? 1
        if table.isBits {
            if count == 1 { return .bool }
            reporter.leftOut(
                value, "'\(title)' is a list of \(count) bits; write a tag for each. The point is left out")
            return nil
        }
        let named: ValueType? =
            switch name {
            case "int", "long", "integer": [1: .int16, 2: .int32, 4: .int64][count]
            case "uint": [1: .uint16, 2: .uint32, 4: .uint64][count]
            case "float", "double": [1: .float16, 2: .float32, 4: .float64][count]
            case "string": .string
            case "16int", "16uint", "16float", "32int", "32uint", "32float", "64int", "64uint", "64float":
                TypeNames.type(name)
            default: nil
            }
        guard let named else {
            reporter.leftOut(
                value["type"] ?? value,
                "'\(title)': the type '\(name)' of \(count) registers has no counterpart; the point is left out")
            return nil
        }
        if let fixed = named.fixedRegisterCount, fixed != count, value["objectsCount"] != nil {
            reporter.assumed(value, "'\(title)' is \(named), which takes \(fixed) registers, not \(count)")
        }
        return named
    }

    /// Both orders are little where they are not said to be big.
    private func order(_ value: SourceNode, _ device: SourceNode) -> ByteOrder {
        func isLittle(_ key: String) -> Bool {
            guard let order = value[key] ?? device[key] else {
                reporter.assumed(device, "no \(key) is named; LITTLE is taken, as the gateway does")
                return true
            }
            return order.words?.uppercased() != "BIG"
        }
        return ByteOrder(wordsAreSwapped: isLittle("wordOrder"), bytesAreSwapped: isLittle("byteOrder"))
    }

    private func scale(_ point: inout DraftPoint, _ value: SourceNode) -> Bool {
        guard point.type.isNumeric else { return true }
        if let divider = value["divider"], divider.decimal?.mantissa != 0 {
            guard let number = divider.decimal, let (scale, isExact) = Ratio.quotient(.one, number) else {
                reporter.leftOut(divider, "'\(point.title)': \(divider.written) is no divider; the point is left out")
                return false
            }
            if !isExact { reporter.assumed(divider, "'\(point.title)': 1 / \(number) is rounded to \(scale)") }
            point.scale = scale
        } else if let multiplier = value["multiplier"] {
            guard let number = multiplier.decimal else {
                reporter.leftOut(
                    multiplier, "'\(point.title)': \(multiplier.written) is no factor; the point is left out")
                return false
            }
            point.scale = number
        }
        return true
    }

    // MARK: - Writing

    /// A place that is written belongs to the point that is read there; one that nothing reads becomes a point.
    private func write(
        _ value: SourceNode, _ title: String, of device: SourceNode, into points: inout [DraftPoint]
    ) {
        let modes: [Int: (RegisterTable, WriteRule.Mode)] = [
            5: (.coil, .single), 6: (.holding, .single), 15: (.coil, .multiple), 16: (.holding, .multiple),
        ]
        guard let code = value["functionCode"]?.integer, let (table, named) = modes[code] else {
            reporter.ignored(title, in: value, because: "a call that reads, which the polled points do")
            return
        }
        reporter.keys(value, taken: Self.valueKeys, ignored: Self.valuePresentation)
        guard let address = reporter.address(value["address"], of: title, in: value),
            let type = type(value, table, title)
        else { return }
        guard type != .string else {
            reporter.leftOut(value, "'\(title)' writes a text; left out")
            return
        }
        let width = table.isBits ? 1 : type.fixedRegisterCount ?? 1
        let mode: WriteRule.Mode = width > 1 ? .multiple : named
        if let index = points.firstIndex(where: {
            $0.table == table && $0.protocolAddress == address && $0.type == (table.isBits ? .bool : type)
        }) {
            points[index].write = DraftWrite(mode: mode)
            if points[index].kind == .measurement { points[index].kind = .setpoint }
        } else {
            var point = DraftPoint(title, at: value, table: table, address: address, type: type)
            point.order = order(value, device)
            guard scale(&point, value) else { return }
            point.every = .seconds(60)
            if !table.isBits { point.kind = .setpoint }
            point.write = DraftWrite(mode: mode)
            points.append(point)
            reporter.assumed(
                value, "'\(title)' is written and never read by its source; it is read where it is written")
        }
        if !table.isBits {
            reporter.assumed(
                value,
                "'\(title)' is writable, and the source gives no bounds of the device; add min and max to 'write'")
        }
    }
}
