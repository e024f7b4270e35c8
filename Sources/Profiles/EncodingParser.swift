import Model

/// The keys of a point that say how its registers hold the value.
struct EncodingParser {
    let layers: PointLayers
    let table: RegisterTable
    let problems: ProblemList

    private func field(_ key: String) -> Field? { layers.fields[key] }

    func parse() -> Encoding? {
        guard let type = type() else { return nil }
        let layout = field("layout")?.choice(DatetimeLayout.allCases.map(\.rawValue)).flatMap(
            DatetimeLayout.init(rawValue:))
        if type == .datetime, layout == nil {
            if field("layout") == nil {
                fail(
                    "the key 'layout' is missing; allowed: \(DatetimeLayout.allCases.map(\.rawValue).joined(separator: ", "))"
                )
            }
            return nil
        }
        var encoding = Encoding(type: type, datetime: layout ?? .unix32)
        guard let count = registerCount(type, layout) else { return nil }
        encoding.registerCount = count
        guard order(&encoding) else { return nil }
        encoding.bits = field("bits").flatMap { bits($0, width: Self.bitCount(type, count)) }
        // Those of the defaults are meant for the numbers.
        let isNumber = encoding.datatype.isNumeric
        encoding.scale = field("scale").flatMap { $0.isDefault && !isNumber ? nil : $0.decimal() } ?? .one
        encoding.offset = field("offset").flatMap { $0.isDefault && !isNumber ? nil : $0.decimal() } ?? .zero
        encoding.charset = field("charset").flatMap { charset($0, encoding) } ?? .any
        encoding.sentinels = field("sentinels").map { sentinels($0, encoding) } ?? []
        encoding.sentinelReason = field("sentinels_mean").flatMap(sentinelReason) ?? .sentinel
        encoding.transform = field("transform")?.choice(ValueTransform.allCases.map(\.rawValue))
            .flatMap(ValueTransform.init(rawValue:))
        check(encoding)
        return encoding
    }

    private func fail(_ message: String) {
        problems.error(layers.place, "\(layers.name): \(message)")
    }

    private func type() -> ValueType? {
        if table.isBits {
            if let field = field("type"), !field.isDefault, field.choice(["bool"]) == nil {
                return nil
            }
            return .bool
        }
        guard let field = field("type") else {
            fail("the key 'type' is missing; allowed: \(ValueType.allCases.map(\.rawValue).joined(separator: ", "))")
            return nil
        }
        return field.choice(ValueType.allCases.map(\.rawValue)).flatMap(ValueType.init(rawValue:))
    }

    private func registerCount(_ type: ValueType, _ layout: DatetimeLayout?) -> Int? {
        if let fixed = type.fixedRegisterCount ?? layout?.registerCount {
            guard let count = field("count") else { return fixed }
            guard count.integer(in: fixed...fixed) != nil else { return nil }
            return fixed
        }
        guard let count = field("count") else {
            fail("a \(type) needs 'count', its number of registers")
            return nil
        }
        return count.integer(in: type == .mod10k ? 2...4 : 1...125)
    }

    /// - Returns: false when the order is wrong, which has been said.
    private func order(_ encoding: inout Encoding) -> Bool {
        guard let field = field("order"), !table.isBits else { return true }
        // An order among the defaults is meant for the types that have one.
        if field.isDefault, let text = field.text(), !Self.orders(for: encoding).contains(text) {
            return inherited(field, &encoding)
        }
        return Self.setOrder(field, of: &encoding, point: layers.name)
    }

    /// - Returns: false when the order is wrong, which has been said.
    static func setOrder(_ field: Field, of encoding: inout Encoding, point: String) -> Bool {
        let allowed = orders(for: encoding)
        guard let text = field.text(), allowed.contains(text) else {
            let hint = allowed.isEmpty ? "it has no order" : "allowed: \(allowed.joined(separator: ", "))"
            field.fail("\(point): \(field.written) is no order for \(encoding.type); \(hint)")
            return false
        }
        apply(text, to: &encoding)
        return true
    }

    /// A four-letter default such as CDAB also says what 64-bit values do; other types do without.
    private func inherited(_ field: Field, _ encoding: inout Encoding) -> Bool {
        guard let text = field.text(), let order = ByteOrder(name: text) else {
            _ = field.choice(ByteOrder.names + CharacterLayout.allCases.map(\.rawValue))
            return false
        }
        if encoding.takesWordOrder { encoding.order = order }
        return true
    }

    private static func apply(_ text: String, to encoding: inout Encoding) {
        switch encoding.type {
        case .string, .int8, .uint8: encoding.characters = CharacterLayout(rawValue: text) ?? encoding.characters
        case .bool, .int16, .uint16, .int24, .uint24, .int32, .uint32, .int48, .uint48, .int64, .uint64, .float16,
            .float32, .float64, .bcd16, .bcd32, .mod10k, .sm16, .sm32, .offset16, .offset32, .decade32, .udecade32,
            .datetime:
            encoding.order = ByteOrder(name: text) ?? .bigEndian
        }
    }

    private static func orders(for encoding: Encoding) -> [String] {
        switch encoding.type {
        case .string: return CharacterLayout.allCases.map(\.rawValue)
        case .int8, .uint8: return ["high", "low"]
        case .mod10k: return ByteOrder.names(registerCount: 2)
        case .bool, .int16, .uint16, .int24, .uint24, .int32, .uint32, .int48, .uint48, .int64, .uint64, .float16,
            .float32, .float64, .bcd16, .bcd32, .sm16, .sm32, .offset16, .offset32, .decade32, .udecade32:
            return ByteOrder.names(registerCount: encoding.registerCount)
        case .datetime:
            return encoding.datetime.isNumber ? ByteOrder.names(registerCount: encoding.registerCount) : []
        }
    }

    private func bits(_ field: Field, width: Int) -> ClosedRange<Int>? {
        let parts = (field.text("3 or 4..7") ?? "").split(separator: ".", omittingEmptySubsequences: true).map {
            Field.integer($0)
        }
        guard let first = parts.first ?? nil, let last = parts.last ?? nil, parts.count <= 2, first <= last,
            (0..<width).contains(first), (0..<width).contains(last)
        else {
            field.fail(
                "\(layers.name): bits must be one bit or a range of 0 to \(width - 1), such as 3 or 4..7, not \(field.written)"
            )
            return nil
        }
        return first...last
    }

    /// Bits of the raw number.
    private static func bitCount(_ type: ValueType, _ registerCount: Int) -> Int {
        switch type {
        case .int8, .uint8: 8
        case .int24, .uint24: 24
        case _: registerCount * 16
        }
    }

    private func charset(_ field: Field, _ encoding: Encoding) -> TextCharset? {
        let names = TextCharset.allCases.map(\.rawValue).filter { $0 != TextCharset.any.rawValue }
        guard let charset = field.choice(names).flatMap(TextCharset.init(rawValue:)) else { return nil }
        if encoding.type != .string {
            field.fail("\(layers.name): charset is for type string, not for \(encoding.type)")
        }
        if charset == .utf16, encoding.characters == .high || encoding.characters == .low {
            field.fail("\(layers.name): utf16 has two bytes a character; its order is AB or BA")
        }
        return charset
    }

    private func sentinels(_ field: Field, _ encoding: Encoding) -> [UInt64] {
        if encoding.type == .string || encoding.registerCount > 4 {
            // Those of the defaults are meant for the numbers.
            if !field.isDefault {
                field.fail(
                    "\(layers.name): sentinels are compared with up to four registers, not with this \(encoding.type)")
            }
            return []
        }
        let width = min(64, Self.bitCount(encoding.type, encoding.registerCount))
        let largest: UInt64 = width == 64 ? .max : (1 << UInt64(width)) - 1
        return (field.list(allowed: "raw numbers such as 0x8000", single: true) ?? []).compactMap { item in
            let text = item.text("a raw number such as 0x8000") ?? ""
            if text.hasPrefix("0x"), let raw = UInt64(text.dropFirst(2), radix: 16, in: 0...largest) {
                return raw
            }
            if let number = Field.integer(text) {
                if number >= 0, UInt64(number) <= largest { return UInt64(number) }
                if number < 0, number >= -Int(largest / 2) - 1 { return UInt64(bitPattern: Int64(number)) & largest }
            }
            item.fail("\(layers.name): a sentinel is a raw number of \(width) bits such as 0x8000, not \(item.written)")
            return nil
        }
    }

    private func sentinelReason(_ field: Field) -> QualityReason? {
        field.choice([QualityReason.sentinel, .notImplemented].map(\.code)).flatMap(QualityReason.init(code:))
    }

    private func check(_ encoding: Encoding) {
        if encoding.scale.mantissa == 0 { field("scale")?.fail("\(layers.name): a scale of 0 makes every value 0") }
        if encoding.transform != nil {
            if !encoding.type.isNumeric || encoding.bits != nil || field("scale_from") != nil {
                field("transform")?.fail(
                    "\(layers.name): transform is for numbers without bits and scale_from, not for \(encoding.type)")
            }
        }
        if encoding.bits != nil {
            switch encoding.type {
            case .uint8, .uint16, .uint24, .uint32, .uint48, .uint64: break
            case .bool, .int8, .int16, .int24, .int32, .int48, .int64, .float16, .float32, .float64, .bcd16, .bcd32,
                .mod10k, .string, .datetime, .sm16, .sm32, .offset16, .offset32, .decade32, .udecade32:
                field("bits")?.fail(
                    "\(layers.name): bits need an unsigned type (uint8, uint16, uint24, uint32, uint48, uint64), not \(encoding.type)"
                )
            }
        }
    }
}
