/// What a log says of itself at one size (https://c2sp.org/tlog-checkpoint). To be believed only as the text of a
/// ``SignedNote``.
package struct Checkpoint: Hashable, Sendable {
    /// Names the log.
    package var origin: String
    /// Leaves that it covers.
    package var size: UInt64
    package var root: MerkleHash

    package init(origin: String, size: UInt64, root: MerkleHash) {
        self.origin = origin
        self.size = size
        self.root = root
    }

    package var text: String {
        "\(origin)\n\(size)\n\(Base64.standard.encode(root.bytes))\n"
    }

    /// Reads the text of a note. Lines behind the third are left to whoever wrote them.
    package init(text: String) throws(SignedNote.Problem) {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        guard lines.count >= 4, lines.last == "", !lines.dropLast().contains("") else {
            throw .malformed("a checkpoint has an origin, a size and a root")
        }
        guard let size = UInt64(lines[1]), size <= UInt64(Int64.max), String(size) == lines[1] else {
            throw .malformed("'\(lines[1])' is no tree size")
        }
        guard let root = Base64.standard.decode(lines[2]).flatMap({ MerkleHash($0) }) else {
            throw .malformed("'\(lines[2])' is no root hash")
        }
        self.init(origin: String(lines[0]), size: size, root: root)
    }

    package func signed(by signer: NoteSigner) throws(KeyProblem) -> SignedNote {
        try SignedNote(text: text, signer: signer)
    }
}
