import Model

/// Entities of a hub, each as the points that it reads and writes.
struct HomeAssistantEntities {
    let reporter: Reporter

    static let common: Set<String> = ["name", "address", "slave", "device_address", "scan_interval", "input_type"]
    static let presentation: Set<String> = [
        "precision", "device_class", "unique_id", "icon", "lazy_error_count", "entity_category",
        "suggested_display_precision",
    ]
    private static let sensorKeys: Set<String> = [
        "data_type", "count", "structure", "scale", "offset", "swap", "unit_of_measurement", "state_class",
        "nan_value", "virtual_count", "slave_count",
    ]

    typealias Read = (SourceNode) -> [DraftPoint]

    /// The sections that are taken, with what makes points of their entities.
    var sections: [(key: String, read: Read)] {
        [
            ("sensors", sensor), ("binary_sensors", binarySensor), ("switches", self.switch), ("lights", self.switch),
            ("fans", self.switch), ("climates", climate),
        ]
    }

    func title(_ entity: SourceNode) -> String {
        entity["name"]?.words ?? entity["unique_id"]?.words ?? "address \(entity["address"]?.text ?? "?")"
    }

    /// Home Assistant polls each 15 seconds where nothing is said; 0 stands for "only when asked".
    func period(_ entity: SourceNode) -> Duration {
        guard let node = entity["scan_interval"] else { return .seconds(15) }
        guard let seconds = node.integer, seconds > 0 else {
            reporter.assumed(node, "\(node.written) is no period to poll at; 15s is taken")
            return .seconds(15)
        }
        return .seconds(seconds)
    }

    // MARK: - Sensors

    private func sensor(_ entity: SourceNode) -> [DraftPoint] {
        reporter.keys(entity, taken: Self.common.union(Self.sensorKeys), ignored: Self.presentation)
        let title = title(entity)
        guard let table = table(entity["input_type"], default: .holding, title),
            let address = reporter.address(entity["address"], of: title, in: entity),
            let shape = HomeAssistantShape(entity, default: .int16, reporter: reporter, title: title)
        else { return [] }
        var point = DraftPoint(title, at: entity, table: table, address: address, type: shape.type)
        guard !table.isBits else {
            reporter.leftOut(entity, "'\(title)' is a sensor of \(table)s; the point is left out")
            return []
        }
        shape.apply(to: &point)
        point.every = period(entity)
        point.unit = reporter.unit(entity["unit_of_measurement"])
        switch entity["state_class"]?.words {
        case "total", "total_increasing": point.kind = .counter
        default: point.kind = shape.type == .string ? .state : .measurement
        }
        return copies(point, entity)
    }

    /// `virtual_count: n` stands for n more values behind the first, all alike.
    private func copies(_ point: DraftPoint, _ entity: SourceNode) -> [DraftPoint] {
        let node = entity["virtual_count"] ?? entity["slave_count"]
        guard let node else { return [point] }
        guard let more = node.integer, (0...500).contains(more) else {
            reporter.leftOut(node, "\(node.written) is no number of further values; only the first one is taken")
            return [point]
        }
        return (0...more).map { number in
            var copy = point
            copy.protocolAddress += number * point.registerCount
            if number > 0 { copy.title += " \(number)" }
            return copy
        }
    }

    private func binarySensor(_ entity: SourceNode) -> [DraftPoint] {
        reporter.keys(
            entity, taken: Self.common.union(["virtual_count", "slave_count"]), ignored: Self.presentation)
        let title = title(entity)
        guard let table = table(entity["input_type"], default: .coil, title),
            let address = reporter.address(entity["address"], of: title, in: entity)
        else { return [] }
        var point = DraftPoint(title, at: entity, table: table, address: address, type: .uint16, kind: .state)
        point.every = period(entity)
        guard !table.isBits else { return copies(point, entity) }
        point.bits = 0...0
        if let more = entity["virtual_count"] ?? entity["slave_count"] {
            reporter.leftOut(more, "'\(title)': further bits of registers are not taken; only the first one is")
        }
        return [point]
    }

    func table(_ node: SourceNode?, default table: RegisterTable, _ title: String) -> RegisterTable? {
        guard let node else { return table }
        switch node.words {
        case "holding", "holdings": return .holding
        case "input": return .input
        case "coil", "coils": return .coil
        case "discrete_input": return .discrete
        default:
            reporter.leftOut(node, "'\(title)': \(node.written) is no table; the point is left out")
            return nil
        }
    }
}

/// How registers hold a value, by `data_type`, `structure`, `count` and `swap`.
struct HomeAssistantShape {
    var type: ValueType
    var count: Int?
    var order: ByteOrder
    var scale: DecimalNumber
    var offset: DecimalNumber
    var sentinels: [UInt64]

    /// One letter of Python's `struct`, behind a sign for the order.
    private static let letters: [Character: ValueType] = [
        "h": .int16, "H": .uint16, "i": .int32, "I": .uint32, "l": .int32, "L": .uint32, "q": .int64, "Q": .uint64,
        "e": .float16, "f": .float32, "d": .float64,
    ]

    init?(_ entity: SourceNode, default standard: ValueType, reporter: Reporter, title: String) {
        let name = entity["data_type"]?.words ?? standard.rawValue
        let count = entity["count"]?.integer
        guard let type = Self.type(name, count, entity["structure"]?.words) else {
            reporter.leftOut(
                entity["structure"] ?? entity["data_type"] ?? entity,
                "'\(title)': the data type '\(name)'\(entity["structure"].map { " \($0.written)" } ?? "") has no counterpart; the point is left out"
            )
            return nil
        }
        if let count, let fixed = type.fixedRegisterCount, count != fixed {
            reporter.leftOut(
                entity["count"] ?? entity,
                "'\(title)' is \(type) and takes \(fixed) registers, not \(count); the point is left out")
            return nil
        }
        self.type = type
        self.count = type == .string ? count : nil
        guard type != .string || count != nil else {
            reporter.leftOut(entity, "'\(title)' is a text without a count; the point is left out")
            return nil
        }
        switch entity["swap"]?.words {
        case nil, "none": order = .bigEndian
        case "byte": order = ByteOrder(bytesAreSwapped: true)
        case "word": order = ByteOrder(wordsAreSwapped: true)
        case "word_byte": order = ByteOrder(wordsAreSwapped: true, bytesAreSwapped: true)
        case .some(let other):
            reporter.leftOut(entity["swap"] ?? entity, "'\(title)': no swap '\(other)'; the point is left out")
            return nil
        }
        scale = entity["scale"]?.decimal ?? .one
        offset = entity["offset"]?.decimal ?? .zero
        for key in ["scale", "offset"] {
            guard let node = entity[key], node.decimal == nil else { continue }
            reporter.leftOut(node, "'\(title)': \(node.written) is no number; the point is left out")
            return nil
        }
        sentinels = Self.sentinels(entity["nan_value"], type)
    }

    private static func type(_ name: String, _ count: Int?, _ structure: String?) -> ValueType? {
        switch name {
        case "custom":
            guard let structure, let sign = structure.first, sign == ">" || sign == "!" else { return nil }
            return structure.count == 2 ? structure.last.flatMap { letters[$0] } : nil
        // Names of versions before 2021.10, wide by count.
        case "int": return [1: .int16, 2: .int32, 4: .int64][count ?? 1]
        case "uint": return [1: .uint16, 2: .uint32, 4: .uint64][count ?? 1]
        case "float": return [1: .float16, 2: .float32, 4: .float64][count ?? 2]
        case "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16", "float32", "float64", "string":
            return ValueType(rawValue: name)
        default: return nil
        }
    }

    private static func sentinels(_ node: SourceNode?, _ type: ValueType) -> [UInt64] {
        guard let value = node?.integer(in: .min ... .max), let width = type.fixedRegisterCount.map({ $0 * 16 }) else {
            return []
        }
        let mask: UInt64 = width == 64 ? .max : (1 << UInt64(width)) - 1
        return [UInt64(bitPattern: Int64(value)) & mask]
    }

    func apply(to point: inout DraftPoint) {
        point.type = type
        point.count = count
        if type == .string {
            point.characters = order.bytesAreSwapped ? .lowFirst : .highFirst
            return
        }
        point.order = order
        point.scale = scale
        point.offset = offset
        point.sentinels = sentinels
    }
}
