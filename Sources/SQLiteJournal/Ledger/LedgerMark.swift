import Audit
import Model

/// What was committed last to this ledger, kept in `ledger.lock`, outside of the database: a file that was lost, replaced by an
/// older one, cut short or whose records were changed does not pass for a whole one. Written behind each commit, before anything
/// follows from it.
struct LedgerMark: Hashable {
    var size: UInt64
    var root: MerkleHash
    /// Over all records; nil in a mark of an older version, which knows what was signed only.
    var records: RecordDigest?
    /// Requests that were issued before are not followed: a copy of this folder may have forgotten that they were.
    var requestsSince: UnixTime?
    /// Tells the lock file from a copy of it.
    var stamp: FileStamp?

    static let byteCount = 256

    /// One line of text, padded so that it is always overwritten in place.
    var line: [UInt8] {
        let since = requestsSince?.microseconds ?? 0
        let text = Array(
            "headgate-ledger 2 \(size) \(root.hex) \((records ?? RecordDigest()).hex) \(since) \((stamp ?? .none).words)"
                .utf8)
        return text + [UInt8](repeating: 0x20, count: Self.byteCount - 1 - text.count) + [0x0A]
    }

    init(size: UInt64, root: MerkleHash, records: RecordDigest? = nil, requestsSince: UnixTime? = nil) {
        self.size = size
        self.root = root
        self.records = records
        self.requestsSince = requestsSince
    }

    /// Nil where the bytes are not a mark.
    init?(line: [UInt8]) {
        let words = String(decoding: line, as: UTF8.self).split(whereSeparator: \.isWhitespace)
        guard words.count >= 4, words[0] == "headgate-ledger",
            let size = UInt64(words[2], in: 0...UInt64(Int64.max / 2)),
            let root = MerkleHash(hex: words[3])
        else { return nil }
        self.init(size: size, root: root)
        switch (words[1], words.count) {
        case ("1", 4): return
        case ("2", 6 + FileStamp.wordCount):
            guard let records = RecordDigest(hex: String(words[4])), let since = Int64(words[5], in: 0...Int64.max / 2),
                let stamp = FileStamp(words[6...])
            else { return nil }
            self.records = records
            requestsSince = since == 0 ? nil : UnixTime(microseconds: since)
            self.stamp = stamp == .none ? nil : stamp
        case _: return nil
        }
    }
}

/// A digest over a set of records that follows each change without reading the others: the sum of the hashes of all records,
/// in four parts that wrap around.
struct RecordDigest: Hashable, Sendable {
    private var parts: [UInt64] = [0, 0, 0, 0]

    init() {}

    init?(hex: String) {
        guard let hash = MerkleHash(hex: hex) else { return nil }
        parts = Self.parts(of: hash)
    }

    var hex: String {
        parts.map { part in
            let digits = String(part, radix: 16)
            return String(repeating: "0", count: 16 - digits.count) + digits
        }.joined()
    }

    /// - Parameters:
    ///   - old: the body that the record had, nil where it was not there.
    ///   - new: the one that it has, nil where it is gone.
    mutating func change(_ kind: String, _ key: String, from old: MerkleHash?, to new: MerkleHash?) {
        if let old { add(Self.parts(of: Self.hash(kind, key, old)), sign: { $0 &- $1 }) }
        if let new { add(Self.parts(of: Self.hash(kind, key, new)), sign: { $0 &+ $1 }) }
    }

    private mutating func add(_ other: [UInt64], sign: (UInt64, UInt64) -> UInt64) {
        for index in parts.indices { parts[index] = sign(parts[index], other[index]) }
    }

    private static func hash(_ kind: String, _ key: String, _ body: MerkleHash) -> MerkleHash {
        .digest(Array("\(kind) \(key) ".utf8) + body.bytes)
    }

    private static func parts(of hash: MerkleHash) -> [UInt64] {
        (0..<4).map { part in hash.bytes[(part * 8)..<(part * 8 + 8)].reduce(0) { $0 << 8 | UInt64($1) } }
    }
}
