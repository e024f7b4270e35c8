/// The last leaf of every transaction of the ledger: when it was made, where its leaves begin, and the hash of every record
/// that it changed. So a record that was changed behind the ledger's back, or that is gone, does not agree with the log.
///
/// ```
/// headgate-seal/1
/// time 1795218067105000
/// first 17
/// set command 0193a1c4-… 6e340b9c…
/// drop slot chiller1/chw_setpoint
/// ```
///
/// The time is in microseconds since 1970; `first` is the index of the transaction's first leaf; the hash is the SHA-256 of the
/// record. Words are separated by one space: kinds and keys have none.
package struct Seal: Hashable, Sendable {
    package struct Change: Hashable, Sendable {
        package var kind: String
        package var key: String
        /// Nil where the record was removed.
        package var hash: MerkleHash?

        package init(kind: String, key: String, hash: MerkleHash?) {
            self.kind = kind
            self.key = key
            self.hash = hash
        }
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    package var time: Int64
    /// Index of the transaction's first leaf; the seal's own index where there is no other.
    package var first: UInt64
    package var changes: [Change]

    package init(time: Int64, first: UInt64, changes: [Change]) {
        self.time = time
        self.first = first
        self.changes = changes
    }

    package static let marker = Array("headgate-seal/1\n".utf8)

    package static func isSeal(_ leaf: [UInt8]) -> Bool {
        leaf.starts(with: marker)
    }

    /// Whether `word` can be the kind or the key of a record.
    package static func isWord(_ word: String) -> Bool {
        !word.isEmpty && word.utf8.count <= 512 && word.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7F }
    }

    package var leaf: [UInt8] {
        var text = "time \(time)\nfirst \(first)\n"
        for change in changes {
            if let hash = change.hash {
                text += "set \(change.kind) \(change.key) \(hash.hex)\n"
            } else {
                text += "drop \(change.kind) \(change.key)\n"
            }
        }
        return Self.marker + Array(text.utf8)
    }

    /// Nil where `leaf` is no seal.
    package init?(leaf: [UInt8]) {
        guard Self.isSeal(leaf), let text = String(validating: leaf.dropFirst(Self.marker.count), as: UTF8.self) else {
            return nil
        }
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        guard lines.count >= 3, lines.last == "", let time = Self.number(lines[0], after: "time ", Int64.self),
            let first = Self.number(lines[1], after: "first ", UInt64.self)
        else { return nil }
        let changes = lines[2...].dropLast().map(Self.change)
        guard !changes.contains(nil) else { return nil }
        self.init(time: time, first: first, changes: changes.compactMap { $0 })
    }

    private static func number<Number: FixedWidthInteger>(
        _ line: Substring, after word: String, _: Number.Type
    ) -> Number? {
        line.hasPrefix(word) ? Number(line.dropFirst(word.count)) : nil
    }

    private static func change(_ line: Substring) -> Change? {
        let words = line.split(separator: " ", omittingEmptySubsequences: false).map(String.init)
        switch (words.first, words.count) {
        case ("set", 4):
            guard let hash = MerkleHash(hex: words[3]) else { return nil }
            return Change(kind: words[1], key: words[2], hash: hash)
        case ("drop", 3): return Change(kind: words[1], key: words[2], hash: nil)
        case _: return nil
        }
    }
}
