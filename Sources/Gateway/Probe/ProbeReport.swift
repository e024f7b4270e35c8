package import Model

/// A ``ProbeTable`` for people and for programs.
package struct ProbeReport: Sendable {
    private let table: ProbeTable
    private let expected: DecimalNumber?

    package init(_ table: ProbeTable, expected: DecimalNumber?) {
        self.table = table
        self.expected = expected
    }

    /// The best answers to `--expect`, best first; empty without it.
    package var answers: [ProbeTable.Candidate] { expected.map(table.answers) ?? [] }

    package var text: String {
        if table.span.table.isBits { return bits }
        let columns: [ValueType] = [.uint16, .int16, .bcd16]
        var lines = ["\(table.span); * marks what could be a measurement"]
        var single = TextTable(["ADDRESS", "HEX", "UINT16", "INT16", "BCD16", "TEXT"])
        for (offset, word) in table.words.enumerated() {
            let address = table.span.start + UInt16(offset)
            let cells = columns.map { cell(address, $0, ByteOrder()) }
            single.add(["\(address)", Self.hex(word)] + cells + [Self.text(word)])
        }
        lines += single.lines
        for type in [ValueType.uint32, .int32, .float32, .bcd32, .float64] { lines += section(type) }
        // Rare: only where the words look like it.
        for type in [ValueType.decade32, .uint48] {
            let isPlausible = table.candidates.contains { $0.type == type && $0.isPlausible }
            if isPlausible { lines += section(type) }
        }
        return (lines + verdict).joined(separator: "\n")
    }

    private func section(_ type: ValueType) -> [String] {
        let names = ByteOrder.names(registerCount: type.fixedRegisterCount ?? 1)
        let orders = names.compactMap(ByteOrder.init(name:))
        var section = TextTable([type.rawValue.uppercased()] + names)
        var isEmpty = true
        for offset in table.words.indices where offset + (type.fixedRegisterCount ?? 1) <= table.words.count {
            let address = table.span.start + UInt16(offset)
            section.add(["\(address)"] + orders.map { cell(address, type, $0) })
            isEmpty = false
        }
        return isEmpty ? [] : [""] + section.lines
    }

    private func cell(_ address: UInt16, _ type: ValueType, _ order: ByteOrder) -> String {
        let found = table.candidates.first { $0.protocolAddress == address && $0.type == type && $0.order == order }
        guard let found else { return "–" }
        return found.value.shown + (found.isPlausible ? " *" : "")
    }

    private var verdict: [String] {
        guard let expected else { return [] }
        guard !answers.isEmpty else { return ["", "nothing here is \(expected.shown)"] }
        return ["", "\(expected.shown) could be, best first:"]
            + answers.prefix(5).map { "  {\($0.keys(in: table.span.table))}  → \($0.value.shown)" }
    }

    private var bits: String {
        let set = table.words.enumerated().map { "\(table.span.start + UInt16($0)): \($1)" }
        return (["\(table.span)"] + set).joined(separator: "\n")
    }

    /// `{"table","address","words":[…],"candidates":[{"address","type","order","value","plausible","scale"}],
    /// "answers":[…]}`
    package var json: [UInt8] {
        JSONValue.compact([
            ("table", .string(table.span.table.rawValue)), ("address", .integer(table.span.start)),
            ("words", .array(table.words.map { .integer($0) })),
            ("candidates", .array(table.candidates.map(\.document))),
            ("answers", expected == nil ? .null : .array(answers.map(\.document))),
        ]).bytes
    }

    private static func hex(_ word: UInt16) -> String {
        let digits = String(word, radix: 16, uppercase: true)
        return "0x" + String(repeating: "0", count: 4 - digits.count) + digits
    }

    private static func text(_ word: UInt16) -> String {
        let bytes = [UInt8(word >> 8), UInt8(word & 0xFF)]
        return bytes.allSatisfy { (0x20...0x7E).contains($0) } ? String(decoding: bytes, as: UTF8.self) : ""
    }
}

extension ProbeTable.Candidate {
    /// As a point of a profile says it.
    fileprivate func keys(in table: RegisterTable) -> String {
        let order = order.flatMap { $0 == .bigEndian ? nil : ", order: \(name(of: $0))" } ?? ""
        let scale = scale.flatMap { $0 == .one ? nil : ", scale: \($0.shown)" } ?? ""
        return "table: \(table), address: \(protocolAddress), type: \(type)\(order)\(scale)"
    }

    fileprivate func name(of order: ByteOrder) -> String {
        order.name(registerCount: words.count)
    }

    fileprivate var document: JSONValue {
        .compact([
            ("address", .integer(protocolAddress)), ("type", .string(type.rawValue)),
            ("order", .optional(order.map(name))), ("value", JSONValue(value)), ("plausible", .bool(isPlausible)),
            ("scale", scale.map { .number($0) } ?? .null),
        ])
    }
}

extension PointValue {
    /// Floats with an exponent where they are absurd, so that a column stays narrow.
    fileprivate var shown: String {
        switch self {
        case .float(let value): "\(value)"
        case .double(let value): "\(value)"
        case .null, .bool, .int, .uint, .decimal, .string: JSONValue(self).shown
        }
    }
}

extension DecimalNumber {
    fileprivate var shown: String { JSONValue.number(self).shown }
}
