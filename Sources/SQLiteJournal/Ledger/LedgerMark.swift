import Audit
import Model

/// The largest checkpoint that was signed over this ledger, kept in `ledger.lock`, outside of the database: a file that was
/// lost, replaced by an older one or cut short does not pass for a whole one.
struct LedgerMark: Hashable {
    var size: UInt64
    var root: MerkleHash

    static let byteCount = 128

    /// One line of text, padded so that it is always overwritten in place.
    var line: [UInt8] {
        let text = Array("headgate-ledger 1 \(size) \(root.hex)".utf8)
        return text + [UInt8](repeating: 0x20, count: Self.byteCount - 1 - text.count) + [0x0A]
    }

    init(size: UInt64, root: MerkleHash) {
        self.size = size
        self.root = root
    }

    /// Nil where the bytes are not a mark.
    init?(line: [UInt8]) {
        let words = String(decoding: line, as: UTF8.self).split(whereSeparator: \.isWhitespace)
        guard words.count == 4, words[0] == "headgate-ledger", words[1] == "1", let size = UInt64(words[2], in: 0...UInt64(Int64.max / 2)),
            let root = MerkleHash(hex: words[3])
        else { return nil }
        self.init(size: size, root: root)
    }
}
