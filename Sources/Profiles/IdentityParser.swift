import Model

/// Reads the `identify` of a profile.
struct IdentityParser {
    let problems: ProblemList

    private static let matchKeys = ["equals", "starts_with", "mask", "within"]
    private static let keys =
        ["table", "address", "reference", "type", "order", "count"] + matchKeys + ["device_id"]

    func parse(_ field: Field?) -> [IdentityCheck] {
        (field?.list(allowed: "checks") ?? []).compactMap(check)
    }

    private func check(_ item: Field) -> IdentityCheck? {
        guard let fields = item.fields(Self.keys) else { return nil }
        if let deviceID = fields["device_id"] {
            for key in Self.keys where key != "device_id" {
                fields[key]?.fail("identify: \(key) and device_id are two checks; write two entries")
            }
            return self.deviceID(deviceID)
        }
        let layers = PointLayers(
            name: "identify", place: item.place, fields: fields.byKey.filter { !Self.matchKeys.contains($0.key) })
        guard let point = PointParser(layers: layers, problems: problems).parse(),
            let match = match(fields, point, item)
        else { return nil }
        return .register(point, matches: match, within: fields["within"].flatMap { block($0, around: point) })
    }

    // MARK: - FC43/14

    private func deviceID(_ field: Field) -> IdentityCheck? {
        guard let fields = field.fields(["vendor", "product"]) else { return nil }
        if fields.byKey.isEmpty { field.fail("device_id needs vendor, product or both") }
        return .deviceID(vendor: fields["vendor"].flatMap(text), product: fields["product"].flatMap(text))
    }

    private func text(_ field: Field) -> TextMatch? {
        guard field.isMapping else { return texts(field).map { .contains($0) } }
        return field.fields(["starts_with"], required: ["starts_with"])?["starts_with"].flatMap(texts)
            .map { .prefix($0) }
    }

    /// One text or several; empty ones would match everything.
    private func texts(_ field: Field) -> [String]? {
        let texts = (field.list(allowed: "texts", single: true) ?? []).compactMap {
            $0.text("a text or a list of texts")
        }
        if texts.isEmpty, !problems.hasErrors { field.fail("\(field.name) is an empty list; write at least one text") }
        return texts.isEmpty ? nil : texts
    }

    // MARK: - Registers

    private func match(_ fields: Fields, _ point: Point, _ item: Field) -> IdentityMatch? {
        if let prefix = fields["starts_with"] {
            for key in ["equals", "mask"] { fields[key]?.fail("identify: \(key) and starts_with exclude each other") }
            guard point.encoding.type == .string else {
                prefix.fail("identify: starts_with is for type string, not for \(point.encoding.type)")
                return nil
            }
            return texts(prefix).map { .prefix($0) }
        }
        guard let equals = fields["equals"] else {
            item.fail("identify: the key 'equals' (or 'starts_with', or 'device_id') is missing")
            return nil
        }
        let items = equals.list(allowed: "values", single: true) ?? []
        if items.isEmpty { equals.fail("identify: equals is an empty list; write at least one value") }
        if let mask = fields["mask"] { return masked(items, mask, point) }
        let values = items.compactMap(GoldenTestParser.value)
        return values.isEmpty ? nil : .anyOf(values)
    }

    private func masked(_ items: [Field], _ mask: Field, _ point: Point) -> IdentityMatch? {
        switch point.encoding.type {
        case .uint16, .uint32: break
        case .bool, .int8, .uint8, .int16, .int24, .uint24, .int32, .int48, .uint48, .int64, .uint64, .float16,
            .float32, .float64, .bcd16, .bcd32, .mod10k, .string, .datetime, .sm16, .sm32, .offset16, .offset32,
            .decade32, .udecade32:
            mask.fail("identify: mask is for uint16 and uint32, not for \(point.encoding.type)")
            return nil
        }
        let largest = point.encoding.registerCount == 1 ? 0xFFFF : 0xFFFF_FFFF
        guard let bits = mask.integer(in: 1...largest) else { return nil }
        let numbers = items.compactMap { item -> UInt64? in
            guard let number = item.integer(in: 0...largest) else { return nil }
            guard number & ~bits == 0 else {
                item.fail("identify: \(item.written) has bits outside of the mask, and would never be found")
                return nil
            }
            return UInt64(number)
        }
        return numbers.isEmpty ? nil : .masked(numbers, mask: UInt64(bits))
    }

    /// The registers that the device gives only together.
    private func block(_ field: Field, around point: Point) -> RegisterSpan? {
        guard let fields = field.fields(["address", "count"], required: ["address", "count"]),
            let address = fields["address"]?.address(),
            let count = fields["count"]?.integer(in: 1...point.table.protocolLimit)
        else { return nil }
        let span = RegisterSpan(table: point.table, start: UInt16(address), registerCount: count)
        guard span.start <= point.protocolAddress, point.span.end <= span.end, span.end <= 65_536 else {
            field.fail("identify: \(point.span) does not lie within \(span)")
            return nil
        }
        return span
    }
}
