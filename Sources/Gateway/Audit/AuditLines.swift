import Audit
import Foundation
import Model

/// Reads what ``AuditExport`` wrote. Strict: a line that is anything else is told by its number.
struct AuditLines {
    struct Trouble: Error {
        var text: String
    }

    enum Line {
        case leaf(index: UInt64, content: [UInt8], proof: [MerkleHash]?)
        case checkpoint(note: [UInt8])
    }

    let keys: [String]
    let size: UInt64
    let range: Range<UInt64>
    private let data: Data
    private let start: Data.Index

    init(path: String) throws(Trouble) {
        guard let data = try? Data(contentsOf: URL(fileURLWithPath: path), options: .mappedIfSafe) else {
            throw Trouble(text: "\(path) cannot be read")
        }
        let end = data.firstIndex(of: 0x0A) ?? data.endIndex
        guard let head = try? JSONValue(parsing: Array(data[..<end])), head["schema"] == .string("audit/1"),
            let size = Self.number(head["size"]), let from = Self.number(head["from"]),
            let to = Self.number(head["to"]), from <= to, to <= size
        else { throw Trouble(text: "\(path) is neither a ledger nor an export of one: its first line is not audit/1") }
        self.data = data
        (self.size, range) = (size, from..<to)
        keys = head["keys"]?.elements.compactMap(\.text) ?? []
        start = end < data.endIndex ? end + 1 : end
    }

    private static func number(_ value: JSONValue?) -> UInt64? {
        value?.integer(in: 0...UInt64(Int64.max))
    }

    var isWhole: Bool { range == 0..<size }

    /// Every line behind the first, or what is wrong with it.
    func forEach(_ body: (Result<Line, Trouble>) -> Void) {
        var (position, number) = (start, 1)
        while position < data.endIndex {
            let end = data[position...].firstIndex(of: 0x0A) ?? data.endIndex
            number += 1
            let line = Self.line(Array(data[position..<end]))
            body(line.map { .success($0) } ?? .failure(Trouble(text: "line \(number) is no line of an export")))
            position = end < data.endIndex ? end + 1 : end
        }
    }

    private static func line(_ bytes: [UInt8]) -> Line? {
        guard let json = try? JSONValue(parsing: bytes) else { return nil }
        switch json.members.map(\.key) {
        case ["checkpoint", "note"]:
            guard let size = number(json["checkpoint"]), let note = json["note"]?.text.map({ Array($0.utf8) }),
                (try? Checkpoint(text: SignedNote(note).text))?.size == size
            else { return nil }
            return .checkpoint(note: note)
        case ["leaf", "text"], ["leaf", "base64"], ["leaf", "text", "proof"], ["leaf", "base64", "proof"]:
            guard let index = number(json["leaf"]), let content = content(json) else { return nil }
            let proof = json["proof"]?.elements.map {
                $0.text.flatMap { Base64.standard.decode($0) }.flatMap { MerkleHash($0) }
            }
            guard proof?.contains(nil) != true else { return nil }
            return .leaf(index: index, content: content, proof: proof?.compactMap { $0 })
        case _: return nil
        }
    }

    private static func content(_ json: JSONValue) -> [UInt8]? {
        json["text"]?.text.map { Array($0.utf8) } ?? json["base64"]?.text.flatMap { Base64.standard.decode($0) }
    }
}
