import Model

/// A device profile of EdgeX device-modbus, as of its second version, with device lists.
struct EdgeXImporter {
    let options: ImportOptions
    let reporter: Reporter

    private static let profileKeys: Set<String> = [
        "name", "manufacturer", "model", "description", "deviceResources", "deviceCommands",
    ]
    private static let resourceKeys: Set<String> = ["name", "description", "attributes", "properties"]
    private static let attributeKeys: Set<String> = [
        "primaryTable", "startingAddress", "rawType", "isByteSwap", "isWordSwap", "stringRegisterSize",
    ]
    private static let propertyKeys: Set<String> = [
        "valueType", "readWrite", "units", "scale", "offset", "minimum", "maximum", "base", "mask", "shift",
    ]

    func draft(_ file: ImportFile) throws(ImportError) -> Draft {
        let root = try file.yaml()
        guard let resources = root["deviceResources"], resources.isList else {
            throw ImportError(root, "has no 'deviceResources': it is no EdgeX device profile")
        }
        guard !resources.items.contains(where: { $0["properties"]?["value"] != nil }) else {
            throw ImportError(
                resources,
                "is a device profile of EdgeX 1 (properties.value); its addresses counted otherwise, convert it first")
        }
        reporter.keys(root, taken: Self.profileKeys, ignored: ["labels", "id", "apiVersion"])
        let name = root["name"]?.words ?? "edgex device"
        var profile = DraftProfile(title: name, points: [])
        profile.manufacturer = root["manufacturer"]?.words
        profile.model = root["model"]?.words
        if let description = root["description"]?.words { profile.comments.append(description) }
        let labels = labels(root["deviceCommands"])
        for resource in resources.items {
            guard var point = point(resource) else { continue }
            if let title = resource["name"]?.words, let known = labels[title], point.type != .bool {
                point.enumeration = known
                if point.kind == .measurement { point.kind = .state }
            }
            profile.points.append(point)
        }
        var draft = Draft()
        draft.profiles = [profile]
        for list in options.devices {
            try EdgeXDevices(reporter: reporter).add(list, profile: name, to: &draft)
        }
        return draft
    }

    /// Labels of codes stand with the commands that show them.
    private func labels(_ commands: SourceNode?) -> [String: [EnumerationLabel]] {
        var result: [String: [EnumerationLabel]] = [:]
        for operation in commands?.items.flatMap({ $0["resourceOperations"]?.items ?? [] }) ?? [] {
            guard let name = operation["deviceResource"]?.words, result[name] == nil else { continue }
            let labels = (operation["mappings"]?.members ?? []).compactMap { key, value in
                Words.integer(key).flatMap { code in value.words.map { EnumerationLabel(code: Int64(code), label: $0) }
                }
            }
            if !labels.isEmpty { result[name] = labels.sorted { $0.code < $1.code } }
        }
        return result
    }

    // MARK: - Resources

    private func point(_ resource: SourceNode) -> DraftPoint? {
        reporter.keys(resource, taken: Self.resourceKeys, ignored: ["isHidden", "tags", "tag"])
        let title = resource["name"]?.words ?? "resource"
        guard let attributes = resource["attributes"], let properties = resource["properties"] else {
            reporter.leftOut(resource, "'\(title)' has no attributes and properties; the point is left out")
            return nil
        }
        reporter.keys(attributes, taken: Self.attributeKeys)
        reporter.keys(
            properties, taken: Self.propertyKeys, ignored: ["defaultValue", "mediaType", "assertion", "optional"])
        let tables: [String: RegisterTable] = [
            "COILS": .coil, "DISCRETES_INPUT": .discrete, "DISCRETE_INPUTS": .discrete, "INPUT_REGISTERS": .input,
            "HOLDING_REGISTERS": .holding,
        ]
        guard let table = attributes["primaryTable"]?.words.flatMap({ tables[$0.uppercased()] }) else {
            reporter.leftOut(
                attributes,
                "'\(title)': \(attributes["primaryTable"]?.written ?? "nothing") is no table; the point is left out")
            return nil
        }
        guard let place = place(attributes["startingAddress"]) else {
            reporter.leftOut(
                attributes,
                "'\(title)': \(attributes["startingAddress"]?.written ?? "nothing") is no address; the point is left out"
            )
            return nil
        }
        guard let type = type(attributes, properties, table, title) else { return nil }
        var point = DraftPoint(title, at: resource, table: table, address: place.address, type: type)
        point.summary = resource["description"]?.words
        if type == .bool, !table.isBits {
            point.type = .uint16
            point.kind = .state
            point.bits = place.bit...place.bit
        }
        if type == .string {
            point.count = attributes["stringRegisterSize"]?.integer ?? 0
            point.kind = .state
        }
        swap(&point, attributes)
        guard value(&point, properties) else { return nil }
        write(&point, properties)
        return point
    }

    /// `3`, or `10.4` for a bit of a register.
    private func place(_ node: SourceNode?) -> (address: Int, bit: Int)? {
        let parts = node?.words?.split(separator: ".", omittingEmptySubsequences: false) ?? []
        guard let first = parts.first, let address = Int(first, in: 0...65_535), parts.count <= 2 else { return nil }
        guard parts.count == 2 else { return (address, 0) }
        if parts[1].count == 1, let node, case .scalar(_, isQuoted: false) = node.content {
            reporter.assumed(
                node,
                "\(node.written) is taken as bit \(parts[1]); EdgeX 4 reads it as a number with two decimals, so write it in quotes"
            )
        }
        return Int(parts[1], in: 0...63).map { (address, $0) }
    }

    private func type(
        _ attributes: SourceNode, _ properties: SourceNode, _ table: RegisterTable, _ title: String
    ) -> ValueType? {
        let name = attributes["rawType"]?.words ?? properties["valueType"]?.words ?? "nothing"
        if table.isBits { return .bool }
        let types: [String: ValueType] = [
            "bool": .bool, "int16": .int16, "uint16": .uint16, "int32": .int32, "uint32": .uint32, "int64": .int64,
            "uint64": .uint64, "float32": .float32, "float64": .float64, "string": .string,
        ]
        if let type = types[name.lowercased()] { return type }
        reporter.leftOut(attributes, "'\(title)': the type '\(name)' has no counterpart; the point is left out")
        return nil
    }

    /// Only values of two registers are swapped.
    private func swap(_ point: inout DraftPoint, _ attributes: SourceNode) {
        let order = ByteOrder(
            wordsAreSwapped: attributes["isWordSwap"]?.bool ?? false,
            bytesAreSwapped: attributes["isByteSwap"]?.bool ?? false)
        guard order != .bigEndian, point.type != .string else { return }
        if point.registerCount == 2 {
            point.order = order
        } else {
            reporter.ignored("isByteSwap, isWordSwap", in: attributes, because: "works for 32-bit values only")
        }
    }

    private func value(_ point: inout DraftPoint, _ properties: SourceNode) -> Bool {
        point.unit = reporter.unit(properties["units"])
        for key in ["base", "mask", "shift"] {
            guard let node = properties[key], !["0", ""].contains(node.words ?? ""), point.type.isNumeric else {
                continue
            }
            reporter.leftOut(node, "'\(point.title)': '\(key)' has no counterpart; the point is left out")
            return false
        }
        guard point.type.isNumeric, point.bits == nil else { return true }
        point.scale = properties["scale"]?.decimal ?? .one
        point.offset = properties["offset"]?.decimal ?? .zero
        for key in ["scale", "offset"] {
            guard let node = properties[key], node.words != nil, node.decimal == nil else { continue }
            reporter.leftOut(node, "'\(point.title)': \(node.written) is no number; the point is left out")
            return false
        }
        return true
    }

    private func write(_ point: inout DraftPoint, _ properties: SourceNode) {
        guard properties["readWrite"]?.words?.uppercased().contains("W") == true else { return }
        guard point.table.isWritable, point.type != .string else {
            reporter.leftOut(
                properties, "'\(point.title)' is writable and cannot be (\(point.table), \(point.type)); read-only")
            return
        }
        if properties["readWrite"]?.words?.uppercased() == "W" {
            reporter.assumed(properties, "'\(point.title)' is write-only; it is read as well")
        }
        point.write = DraftWrite(mode: point.registerCount == 1 ? .single : .multiple)
        if point.kind == .measurement { point.kind = .setpoint }
        guard !point.table.isBits, point.bits == nil else { return }
        point.write?.low = properties["minimum"]?.decimal
        point.write?.high = properties["maximum"]?.decimal
        if point.write?.low == nil || point.write?.high == nil {
            reporter.assumed(
                properties, "'\(point.title)' is writable, and the source gives no bounds; add min and max to 'write'")
        }
    }
}
