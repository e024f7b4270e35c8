import Model

/// Makes a ``Point`` of its layers, or says everything that is wrong with it.
struct PointParser {
    let layers: PointLayers
    let problems: ProblemList

    private func field(_ key: String) -> Field? { layers.fields[key] }

    func parse() -> Point? {
        let before = problems.problems.count
        let position = field("parts") == nil ? position() : partsTable().map { ($0, 0) }
        guard let position,
            let encoding = EncodingParser(layers: layers, table: position.table, problems: problems).parse()
        else { return nil }
        var point = Point(
            name: layers.name, table: position.table, protocolAddress: position.address, encoding: encoding)
        if let parts = field("parts") {
            for key in ["address", "reference"] {
                field(key)?.fail("\(layers.name): \(key) and parts are both given; write one of them")
            }
            point.parts = PartsParser(layers: layers, table: position.table, encoding: encoding, problems: problems)
                .parse(parts)
            guard let first = point.parts?.items.first else { return nil }
            (point.table, point.protocolAddress) = (first.span.table, first.span.start)
        }
        meaning(&point)
        polling(&point)
        point.write = field("write").flatMap { WriteRuleParser(field: $0, point: point).parse() }
        check(point)
        return problems.hasErrors && problems.problems.count > before ? nil : point
    }

    // MARK: - Where

    private func position() -> (table: RegisterTable, address: UInt16)? {
        let table = field("table")?.choice(RegisterTable.allCases.map(\.rawValue)).flatMap(
            RegisterTable.init(rawValue:))
        if let reference = field("reference") {
            if let address = field("address") {
                address.fail("\(layers.name): address and reference are both given; write one of them")
                return nil
            }
            return self.reference(reference, table)
        }
        guard let field = field("address") else {
            problems.error(layers.place, "\(layers.name): the key 'address' (or 'reference') is missing")
            return nil
        }
        guard let address = field.address() else { return nil }
        guard let table else {
            if self.field("table") == nil {
                problems.error(
                    layers.place, "\(layers.name): the key 'table' is missing; allowed: coil, discrete, input, holding")
            }
            return nil
        }
        if field.instance?.shift ?? 0 == 0,
            (table == .holding && (40_001...49_999).contains(address))
                || (table == .input && (30_001...39_999).contains(address))
        {
            problems.warning(
                field.place,
                "\(layers.name): address \(address) looks like a manual's number; did you mean 'reference: \(address)'?"
            )
        }
        return (table, UInt16(address))
    }

    /// A manual's notation: the first digit names the table, the rest counts from 1.
    func reference(_ field: Field, _ table: RegisterTable?) -> (RegisterTable, UInt16)? {
        guard let text = field.text("five or six digits such as 40108"), text.utf8.count == 5 || text.utf8.count == 6,
            text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = Int(text.dropFirst(), in: 0...99_999)
        else {
            field.fail(
                "\(layers.name): a reference has five or six digits, such as 40108 or 400108, not \(field.written)")
            return nil
        }
        let tables: [Character: RegisterTable] = ["0": .coil, "1": .discrete, "3": .input, "4": .holding]
        guard let named = text.first.flatMap({ tables[$0] }) else {
            field.fail(
                "\(layers.name): reference \(text) is ambiguous: it begins with 0 (coil), 1 (discrete), 3 (input) or 4 (holding); above 9999 six digits are needed, or write table and address"
            )
            return nil
        }
        guard (1...65_536).contains(number) else {
            field.fail("\(layers.name): reference \(text) is outside 1 to 65536 of its table")
            return nil
        }
        // The table of the defaults may differ; one that the point itself names may not.
        if let table, table != named, self.field("table")?.isDefault == false {
            field.fail("\(layers.name): reference \(text) is in the table \(named), but table says \(table)")
            return nil
        }
        let address = number - 1 + (field.instance?.shift ?? 0)
        guard address <= 65_535 else {
            field.fail(
                "\(layers.name): reference \(text) is address \(address) there, beyond 65535; count is too large")
            return nil
        }
        return (named, UInt16(address))
    }

    /// A value in several places has the table of the point where its parts name none.
    private func partsTable() -> RegisterTable? {
        let table = field("table")?.choice(RegisterTable.allCases.map(\.rawValue)).flatMap(
            RegisterTable.init(rawValue:))
        if field("table") == nil { return .holding }
        return table
    }

    // MARK: - What

    private func meaning(_ point: inout Point) {
        point.kind =
            field("kind")?.choice(PointKind.allCases.map(\.rawValue)).flatMap(PointKind.init(rawValue:))
            ?? .measurement
        point.unit = field("unit").flatMap(unit) ?? "1"
        point.range = numeric("range", point)?.range()
        point.limits = numeric("limits", point)?.range()
        point.deadband = numeric("deadband", point)?.number()
        point.summary = field("description").flatMap { field in
            field.text().map { field.instance?.filled($0) ?? $0 }
        }
        point.publishesRaw = field("raw")?.bool() ?? false
        point.scaleReference = field("scale_from").flatMap(scaleReference)
        point.enumeration = field("enum").map { enumeration($0, point) } ?? []
        if let deadband = point.deadband, deadband < 0 { field("deadband")?.fail("deadband must be 0 or more") }
    }

    /// What is for numbers; among the defaults it is not meant for others.
    private func numeric(_ key: String, _ point: Point) -> Field? {
        field(key).flatMap { $0.isDefault && !point.datatype.isNumeric ? nil : $0 }
    }

    private func unit(_ field: Field) -> String? {
        guard let code = field.text("a UCUM code such as kW.h, Cel or 1") else { return nil }
        guard UnitOfMeasure.isValid(code) else {
            let hint = UnitOfMeasure.suggestion(for: code).map { ", did you mean '\($0)'?" } ?? ""
            field.fail(
                "\(layers.name): '\(code)' is not a UCUM unit\(hint); allowed: UCUM codes such as V, kW.h, Cel, %, /min, 1"
            )
            return nil
        }
        return code
    }

    private func enumeration(_ field: Field, _ point: Point) -> [EnumerationLabel] {
        if point.datatype == .string {
            field.fail("\(layers.name): enum names numbers, false and true, not a \(point.encoding.type)")
            return []
        }
        var known: Set<Int64> = []
        return (field.members(allowed: "code: label") ?? []).compactMap { key, keyField, value in
            guard let code = code(key, point) else {
                let allowed = point.datatype == .bool ? "false and true, or 0 and 1," : "whole numbers"
                keyField.fail("\(layers.name): enum keys are \(allowed) not '\(key)'")
                return nil
            }
            guard known.insert(code).inserted else {
                keyField.fail("\(layers.name): enum has two labels for \(code)")
                return nil
            }
            return value.text("a label").map { EnumerationLabel(code: code, label: $0) }
        }
    }

    private func code(_ key: String, _ point: Point) -> Int64? {
        guard point.datatype == .bool else { return Field.integer(key).map { Int64($0) } }
        return ["false": 0, "0": 0, "true": 1, "1": 1][key]
    }

    private func scaleReference(_ field: Field) -> ScaleReference? {
        guard field.isMapping else { return field.pointName().map { .exponent(point: $0) } }
        guard let fields = field.fields(["factor", "exponent"]) else { return nil }
        guard fields.byKey.count == 1 else {
            field.fail("\(layers.name): scale_from names one point, {factor: name} or {exponent: name}")
            return nil
        }
        return fields["factor"]?.pointName().map { .factor(point: $0) }
            ?? fields["exponent"]?.pointName().map { .exponent(point: $0) }
    }

    // MARK: - When

    private func polling(_ point: inout Point) {
        point.every = field("every")?.duration(in: PointLayers.periods) ?? .seconds(1)
        point.syncGroup = field("sync").flatMap { field in
            guard let instance = field.instance, let text = field.text() else { return field.identifier() }
            return field.identifier(instance.groupName(text))
        }
        point.isDestructiveRead = field("destructive_read")?.bool() ?? false
    }

    // MARK: - Together

    private func check(_ point: Point) {
        for span in point.spans where span.end > 65_536 {
            problems.error(layers.place, "\(point.name): \(span) goes beyond address 65535")
        }
        effectless(point)
        if let range = point.range, let limits = point.limits, range.low < limits.low || range.high > limits.high {
            field("range")?.fail("\(point.name): range must lie inside limits")
        }
    }

    /// A key that changes nothing is a mistake, and said to be one.
    private func effectless(_ point: Point) {
        if !point.datatype.isNumeric {
            let what = point.encoding.bits == nil ? "a \(point.encoding.type)" : "one bit, which is true or false"
            for key in ["range", "limits", "deadband", "scale", "offset", "scale_from"] {
                guard let field = field(key), !field.isDefault else { continue }
                // What takes a default back has an effect.
                if ["scale", "offset"].contains(key), point.encoding.isUnscaled { continue }
                field.fail("\(point.name): \(key) is for numbers, not for \(what)")
            }
            if let unit = field("unit"), !unit.isDefault, point.unit != "1" {
                problems.warning(
                    unit.place, "\(point.name): a unit is for numbers; it is not published with \(what)")
            }
        }
        if let layout = field("layout"), point.encoding.type != .datetime {
            layout.fail("\(point.name): layout is for type datetime, not for \(point.encoding.type)")
        }
        if let order = field("order"), !order.isDefault, point.table.isBits {
            order.fail("\(point.name): a bit has no order")
        }
        if let meaning = field("sentinels_mean"), !meaning.isDefault, point.encoding.sentinels.isEmpty,
            !point.encoding.type.isFloat, point.encoding.type != .string
        {
            meaning.fail("\(point.name): sentinels_mean needs sentinels; there are none")
        }
    }
}
