import Model

/// The key `parts` of a point: a value in several places.
struct PartsParser {
    let layers: PointLayers
    let table: RegisterTable
    let encoding: Encoding
    let problems: ProblemList

    private static let keys = ["table", "address", "reference", "count", "type", "scale"]
    private static let countLimit = 2...8

    private func fail(_ field: Field, _ message: String) {
        field.fail("\(layers.name): \(message)")
    }

    func parse(_ field: Field) -> ValueParts? {
        for key in ["bits", "write"] {
            layers.fields[key].map { fail($0, "\(key) is for a value in one place, not for parts") }
        }
        let items = field.list(allowed: "addresses or {address, count} or {address, type, scale}") ?? []
        guard Self.countLimit.contains(items.count) else {
            fail(field, "parts names 2 to 8 places, not \(items.count)")
            return nil
        }
        let members = items.map { $0.isMapping ? $0.fields(Self.keys) : Fields(byKey: ["address": $0]) }
        let isSum = members.contains { $0?["type"] != nil || $0?["scale"] != nil }
        if isSum, !encoding.type.isNumeric {
            fail(field, "type and scale of a part are for numbers, not for \(encoding.type)")
            return nil
        }
        let parts = zip(items, members).compactMap { item, fields in
            fields.flatMap { part(item, $0, isSum: isSum) }
        }
        guard parts.count == items.count, isSum || isWhole(parts, field) else { return nil }
        return ValueParts(items: parts, isSum: isSum)
    }

    /// The parts together must be the registers of the value.
    private func isWhole(_ parts: [ValueParts.Item], _ field: Field) -> Bool {
        let total = parts.reduce(0) { $0 + $1.span.registerCount }
        guard total != encoding.registerCount else { return true }
        fail(
            field,
            "\(encoding.type) has \(encoding.registerCount) registers, and the parts have \(total); 'count' says how many a part has, 'scale' makes a sum of numbers"
        )
        return false
    }

    private func part(_ item: Field, _ fields: Fields, isSum: Bool) -> ValueParts.Item? {
        guard let (table, address) = place(item, fields) else { return nil }
        guard !table.isBits else {
            fail(item, "parts are registers, not \(table)")
            return nil
        }
        guard isSum else {
            guard let count = fields["count"].map({ $0.integer(in: 1...125) }) ?? 1 else { return nil }
            return ValueParts.Item(
                span: RegisterSpan(table: table, start: address, registerCount: count), encoding: encoding)
        }
        if let count = fields["count"] { fail(count, "the type of a part says how many registers it has") }
        guard let own = ownEncoding(fields["type"]), let scale = fields["scale"].map({ $0.decimal() }) ?? .one else {
            return nil
        }
        if scale.mantissa <= 0 { fields["scale"].map { fail($0, "the scale of a part must be above 0") } }
        return ValueParts.Item(
            span: RegisterSpan(table: table, start: address, registerCount: own.registerCount), encoding: own,
            scale: scale)
    }

    private func place(_ item: Field, _ fields: Fields) -> (RegisterTable, UInt16)? {
        let named = fields["table"].map { $0.choice(RegisterTable.allCases.map(\.rawValue)) }
        if case .some(.none) = named { return nil }
        let table = named.flatMap { $0 }.flatMap(RegisterTable.init(rawValue:))
        if let reference = fields["reference"] {
            fields["address"].map { fail($0, "address and reference are both given; write one of them") }
            return PointParser(layers: layers, problems: problems).reference(reference, table)
        }
        guard let address = fields["address"] else {
            fail(item, "a part needs 'address' or 'reference'")
            return nil
        }
        return address.address().map { (table ?? self.table, UInt16($0)) }
    }

    /// Raw numbers of one part; those of the type of the point have its order and its sentinels.
    private func ownEncoding(_ field: Field?) -> Encoding? {
        var own = encoding
        (own.scale, own.offset, own.transform) = (.one, .zero, nil)
        guard let field else { return own }
        let types = ValueType.allCases.filter { $0.isNumeric && $0.fixedRegisterCount != nil }
        guard let type = field.choice(types.map(\.rawValue)).flatMap(ValueType.init(rawValue:)) else { return nil }
        guard type != encoding.type else { return own }
        return Encoding(type: type, order: (type.fixedRegisterCount ?? 1) > 1 ? encoding.order : .bigEndian)
    }
}
