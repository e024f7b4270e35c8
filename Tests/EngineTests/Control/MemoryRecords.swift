import Engine
import Model

/// What a ledger holds, without waiting: for tests that drive the desk themselves.
struct MemoryRecords {
    private var bodies: [String: [String: [UInt8]]] = [:]
    /// Writes that an audit leaf announces.
    private(set) var announced: Set<WriteTag> = []

    mutating func commit(_ records: [LedgerRecord], _ leaves: [[UInt8]]) throws {
        for record in records { bodies[record.kind, default: [:]][record.key] = record.body }
        // Reading all of them would take most of the time of the model test.
        for bytes in leaves where String(decoding: bytes, as: UTF8.self).contains("\"write\":") {
            let leaf = try JSONValue(parsing: bytes)
            let id = leaf["id"]?.text ?? leaf["event"]?["id"]?.text
            if let number = leaf["write"]?.integer(in: 0...Int64.max), let id = id.flatMap(CommandID.init) {
                announced.insert(WriteTag(command: id, number: UInt32(number)))
            }
        }
    }

    var records: [LedgerRecord] {
        bodies.flatMap { kind, entries in
            entries.map { LedgerRecord(kind: kind, key: $0.key, body: $0.value) }
        }
    }

    func count(_ kind: String) -> Int { bodies[kind]?.count ?? 0 }
}
