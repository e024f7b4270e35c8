import Model

/// The fields of one input, whatever style they are written in.
struct TelegrafFields {
    let reporter: Reporter
    let every: Duration
    let input: SourceNode

    /// Fields that are read from one unit.
    struct FieldSet {
        var unit: SourceNode?
        var measurement: String?
        var node: SourceNode
        var points: [DraftPoint]
    }

    private static let fieldKeys: Set<String> = [
        "name", "address", "type", "data_type", "byte_order", "scale", "register", "length", "bit", "omit",
        "measurement",
    ]
    private static let tables: [String: RegisterTable] = [
        "coil": .coil, "discrete": .discrete, "holding": .holding, "input": .input,
    ]

    /// Nil where the style is none that is known, which has been said.
    func sets(_ style: String) -> [FieldSet]? {
        switch style {
        case "register": return [registers()]
        case "request", "metric":
            return (input[style]?.itemsOrSelf ?? []).map { request($0, isMetric: style == "metric") }
        default:
            reporter.leftOut(
                input["configuration_type"] ?? input, "the style '\(style)' is not known; the input is left out")
            return nil
        }
    }

    private func registers() -> FieldSet {
        var set = FieldSet(unit: input["slave_id"], node: input, points: [])
        let lists: [(String, RegisterTable)] = [
            ("discrete_inputs", .discrete), ("coils", .coil), ("holding_registers", .holding),
            ("input_registers", .input),
        ]
        for (key, table) in lists {
            for field in input[key]?.items ?? [] {
                if let point = register(field, table) { set.points.append(point) }
            }
        }
        return set
    }

    private func request(_ node: SourceNode, isMetric: Bool) -> FieldSet {
        reporter.keys(
            node, taken: ["slave_id", "byte_order", "register", "measurement", "fields"],
            ignored: ["tags", "optimization", "optimization_max_register_fill"])
        var set = FieldSet(unit: node["slave_id"], measurement: node["measurement"]?.words, node: node, points: [])
        let requested = node["register"]?.words ?? "holding"
        for field in node["fields"]?.items ?? [] {
            if field["omit"]?.bool == true { continue }
            let name = isMetric ? field["register"]?.words ?? "holding" : requested
            let title = title(field)
            guard let table = Self.tables[name] else {
                reporter.leftOut(field, "'\(title)': the register type '\(name)' is not known; the point is left out")
                continue
            }
            reporter.keys(field, taken: Self.fieldKeys, ignored: ["output"])
            guard let address = reporter.address(field["address"], of: title, in: field) else { continue }
            if let point = point(
                title, field, table, address, type: field["type"]?.words, order: node["byte_order"]?.words ?? "ABCD")
            {
                set.points.append(point)
            }
        }
        return set
    }

    private func title(_ field: SourceNode) -> String { field["name"]?.words ?? "field" }

    /// The original style: the registers are listed one by one, and say how wide the fixed-point types are.
    private func register(_ field: SourceNode, _ table: RegisterTable) -> DraftPoint? {
        reporter.keys(field, taken: Self.fieldKeys, ignored: ["output"])
        let title = title(field)
        let addresses = field["address"]?.itemsOrSelf.compactMap(\.integer) ?? []
        guard let address = addresses.first, (0...65_535).contains(address),
            addresses == Array(address..<address + addresses.count)
        else {
            reporter.leftOut(field, "'\(title)': its addresses do not follow each other; the point is left out")
            return nil
        }
        let fixed: [Int: (signed: String, unsigned: String)] = [
            1: ("INT16", "UINT16"), 2: ("INT32", "UINT32"), 4: ("INT64", "UINT64"),
        ]
        var type = field["data_type"]?.words
        switch type {
        case "FIXED": type = fixed[addresses.count]?.signed
        case "UFIXED", "FLOAT32": type = fixed[addresses.count]?.unsigned
        case "FLOAT16-IEEE": type = "FLOAT16"
        case "FLOAT32-IEEE": type = "FLOAT32"
        case "FLOAT64-IEEE": type = "FLOAT64"
        default: break
        }
        if field["data_type"]?.words == "FLOAT32" {
            reporter.assumed(field, "'\(title)': FLOAT32 of this style is an unsigned integer, as Telegraf reads it")
        }
        guard let point = point(title, field, table, address, type: type, order: field["byte_order"]?.words ?? "ABCD")
        else {
            return nil
        }
        guard table.isBits || point.registerCount == addresses.count else {
            reporter.leftOut(
                field, "'\(title)': \(point.type) does not take \(addresses.count) registers; the point is left out")
            return nil
        }
        return point
    }

    private func point(
        _ title: String, _ field: SourceNode, _ table: RegisterTable, _ address: Int, type name: String?, order: String
    ) -> DraftPoint? {
        var point = DraftPoint(title, at: field, table: table, address: address, type: .uint16)
        point.every = every
        if table.isBits { return point }
        guard let order = Self.order(order) else {
            reporter.leftOut(field, "'\(title)': no byte order '\(order)'; the point is left out")
            return nil
        }
        point.order = order
        switch name {
        case "INT8L", "INT8H", "UINT8L", "UINT8H":
            point.type = name?.hasPrefix("U") == true ? .uint8 : .int8
            // The half is meant after the bytes of the register were put into order.
            let isHigh = name?.hasSuffix("H") == true
            point.characters = isHigh != order.bytesAreSwapped ? .high : .low
        case "BIT":
            point.kind = .state
            let bit = field["bit"]?.integer ?? 0
            point.bits = bit...bit
        case "STRING":
            point.type = .string
            point.kind = .state
            point.count = field["length"]?.integer ?? 1
            point.characters = order.bytesAreSwapped ? .lowFirst : .highFirst
        default:
            guard let name, let type = TypeNames.type(name), name.uppercased() == name, type != .bool else {
                reporter.leftOut(
                    field, "'\(title)': the type '\(name ?? "nothing")' is not known; the point is left out")
                return nil
            }
            point.type = type
        }
        guard let scale = field["scale"], point.type.isNumeric, point.bits == nil else { return point }
        guard let number = scale.decimal else {
            reporter.leftOut(scale, "'\(title)': \(scale.written) is no scale; the point is left out")
            return nil
        }
        // Telegraf takes 0 for "not said".
        point.scale = number.mantissa == 0 ? .one : number
        return point
    }

    private static func order(_ name: String) -> ByteOrder? {
        switch name.uppercased() {
        case "MSW-BE", "MSW": .bigEndian
        case "MSW-LE": ByteOrder(bytesAreSwapped: true)
        case "LSW-BE": ByteOrder(wordsAreSwapped: true)
        case "LSW-LE", "LSW": ByteOrder(wordsAreSwapped: true, bytesAreSwapped: true)
        // Of two bytes it turns both: with them, the words.
        case "BA": ByteOrder(wordsAreSwapped: true, bytesAreSwapped: true)
        default: ByteOrder(name: name.uppercased())
        }
    }
}
