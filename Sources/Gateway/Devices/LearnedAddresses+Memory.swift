package import Engine
package import Model

extension LearnedAddresses: DeviceFinding {
    package static var fileName: String { "learned.json" }
    package static var schema: String { "learned/1" }
    package static var loss: String { "what devices refuse is found out anew" }

    package init?(entry: JSONValue) {
        self.init(
            refused: entry["refused"]?.elements.compactMap(RegisterSpan.init) ?? [],
            cuts: Set(entry["cuts"]?.elements.compactMap(RegisterCut.init) ?? []),
            registerLimit: Self.limit(entry["registers"], most: 125), bitLimit: Self.limit(entry["bits"], most: 2000))
    }

    private static func limit(_ document: JSONValue?, most: Int) -> Int? {
        document?.integer(in: 1...most)
    }

    /// `refused`, `cuts`, `registers` and `bits`.
    package var members: [(String, JSONValue)] {
        let ordered = cuts.sorted { ($0.table, $0.address) < ($1.table, $1.address) }
        return [
            ("refused", .array(refused.map(\.document))), ("cuts", .array(ordered.map(\.document))),
            ("registers", registerLimit.map { .integer($0) } ?? .null),
            ("bits", bitLimit.map { .integer($0) } ?? .null),
        ]
    }
}

extension RegisterSpan {
    /// `{"table","address","count"}`
    package var document: JSONValue {
        .compact([
            ("table", .string(table.rawValue)), ("address", .integer(start)), ("count", .integer(registerCount)),
        ])
    }

    package init?(_ document: JSONValue) {
        guard let table = document["table"]?.text.flatMap(RegisterTable.init(rawValue:)),
            let start = document["address"]?.integer(in: 0...UInt16.max),
            let count = document["count"]?.integer(in: 1...table.protocolLimit)
        else { return nil }
        self.init(table: table, start: start, registerCount: count)
    }
}

extension RegisterCut {
    /// `{"table","address"}`
    var document: JSONValue {
        .compact([("table", .string(table.rawValue)), ("address", .integer(address))])
    }

    init?(_ document: JSONValue) {
        guard let table = document["table"]?.text.flatMap(RegisterTable.init(rawValue:)),
            let address = document["address"]?.integer(in: 0...65_536)
        else { return nil }
        self.init(table: table, address: address)
    }
}
