import Audit
import Engine
import Foundation
package import Model
import Payloads
import SQLiteJournal

/// `headgate audit export`: the log as JSON lines, with everything that somebody needs who trusts only a public key.
///
/// A whole log is told so that its roots can be computed; of a part, each entry brings its inclusion proof.
package struct AuditExport: Sendable {
    /// An end of what is exported: the index of an entry, or a time.
    package enum Bound: Hashable, Sendable {
        case index(UInt64)
        case time(UnixTime)

        /// Reads an index, or RFC 3339 in UTC.
        package init?(_ text: String) {
            if let index = UInt64(text, in: 0...UInt64(Int64.max)) {
                self = .index(index)
            } else if let time = UnixTime(rfc3339: text) {
                self = .time(time)
            } else {
                return nil
            }
        }
    }

    private let ledger: LedgerInspection
    private let notes: [(size: UInt64, note: [UInt8])]
    private let keys: [String]
    private let size: UInt64
    private let range: Range<UInt64>

    /// - Parameters:
    ///   - path: of a state folder or a ledger.
    ///   - from: the first entry; all from the beginning where it is nil.
    ///   - to: the first entry that is left out.
    package init(path: String, from: Bound?, to: Bound?) throws {
        let ledger = try LedgerInspection(path: path)
        // Before the size: a gateway may be writing, and no checkpoint shall cover more than is exported.
        notes = try ledger.notes().compactMap { note in
            (try? Checkpoint(text: SignedNote(note).text)).map { ($0.size, note) }
        }
        let size = try ledger.size()
        let low = try from.map { try Self.index($0, ledger, size) } ?? 0
        let high = try to.map { try Self.index($0, ledger, size) } ?? size
        keys = try ledger.signers()
        range = min(low, size)..<max(min(low, size), min(high, size))
        self.ledger = ledger
        self.size = size
    }

    /// Entries have the time of the seal behind them.
    private static func index(_ bound: Bound, _ ledger: LedgerInspection, _ size: UInt64) throws -> UInt64 {
        switch bound {
        case .index(let index): return min(index, size)
        case .time(let time):
            var found: UInt64?
            try ledger.leaves(0..<size) { _, leaf in
                guard found == nil, Seal.isSeal(leaf), let seal = Seal(leaf: leaf), seal.time >= time.microseconds
                else {
                    return
                }
                found = seal.first
            }
            return found ?? size
        }
    }

    private var isWhole: Bool { range == 0..<size }

    /// Hands on one line after the other.
    package func write(_ line: ([UInt8]) throws -> Void) throws {
        try line(head)
        guard isWhole else { return try writePart(line) }
        var due = notes[...]
        try ledger.leaves(range) { index, leaf in
            while let next = due.first, next.size <= index {
                try line(Self.line(of: next.note, size: next.size))
                due.removeFirst()
            }
            try line(Self.line(of: leaf, index: index, proof: nil))
        }
        for next in due { try line(Self.line(of: next.note, size: next.size)) }
    }

    /// A part rests on the newest checkpoint.
    private func writePart(_ line: ([UInt8]) throws -> Void) throws {
        try ledger.leaves(range, provenIn: notes.last?.size ?? 0) { index, leaf, proof in
            try line(Self.line(of: leaf, index: index, proof: proof))
        }
        if let newest = notes.last { try line(Self.line(of: newest.note, size: newest.size)) }
    }

    private var head: [UInt8] {
        var json = JSONWriter()
        json.object { json in
            json.member("schema") { $0.string("audit/1") }
            json.member("size") { $0.integer(size) }
            json.member("from") { $0.integer(range.lowerBound) }
            json.member("to") { $0.integer(range.upperBound) }
            json.member("keys") { $0.array { list in keys.forEach { list.string($0) } } }
        }
        return json.bytes
    }

    private static func line(of leaf: [UInt8], index: UInt64, proof: [MerkleHash]?) -> [UInt8] {
        var json = JSONWriter(capacity: leaf.count + 128)
        json.object { json in
            json.member("leaf") { $0.integer(index) }
            if let text = String(validating: leaf, as: UTF8.self) {
                json.member("text") { $0.string(text) }
            } else {
                json.member("base64") { $0.string(Base64.standard.encode(leaf)) }
            }
            json.optional("proof", proof) { json, proof in
                json.array { list in proof.forEach { list.string(Base64.standard.encode($0.bytes)) } }
            }
        }
        return json.bytes
    }

    private static func line(of note: [UInt8], size: UInt64) -> [UInt8] {
        var json = JSONWriter()
        json.object { json in
            json.member("checkpoint") { $0.integer(size) }
            json.member("note") { $0.string(String(decoding: note, as: UTF8.self)) }
        }
        return json.bytes
    }
}
