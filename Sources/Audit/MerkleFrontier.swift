/// Where a complete subtree stands: `level` 0 are the leaves, and `index` counts the subtrees of a level from the left, so that
/// it covers the leaves from `index << level` on, `1 << level` of them.
package struct MerklePosition: Hashable, Sendable {
    package var level: Int
    package var index: UInt64

    package init(level: Int, index: UInt64) {
        self.level = level
        self.index = index
    }
}

/// A complete subtree. It never changes again, whatever is appended.
package struct MerkleNode: Hashable, Sendable {
    package var position: MerklePosition
    package var hash: MerkleHash

    package init(position: MerklePosition, hash: MerkleHash) {
        self.position = position
        self.hash = hash
    }
}

/// The right edge of a growing Merkle tree: as many hashes as the number of leaves has one bits, which is all that appending
/// and the root need.
package struct MerkleFrontier: Hashable, Sendable {
    /// Leaves so far.
    package private(set) var size: UInt64 = 0
    /// Roots of the complete subtrees that make up the tree, largest first.
    private var peaks: [MerkleHash] = []

    package init() {}

    /// Takes up a tree of `size` leaves.
    ///
    /// - Parameter node: the hash of a complete subtree of it.
    package init<Failure: Error>(
        size: UInt64, node: (MerklePosition) throws(Failure) -> MerkleHash
    ) throws(Failure) {
        self.size = size
        for position in Self.peakPositions(size: size) { peaks.append(try node(position)) }
    }

    /// Appends a leaf.
    ///
    /// - Returns: the subtrees that it completes, the leaf itself first.
    package mutating func append(_ leaf: MerkleHash) -> [MerkleNode] {
        var completed = [MerkleNode(position: MerklePosition(level: 0, index: size), hash: leaf)]
        var hash = leaf
        var rest = size
        while rest & 1 == 1, let left = peaks.popLast() {
            hash = .node(left, hash)
            rest >>= 1
            completed.append(
                MerkleNode(position: MerklePosition(level: completed.count, index: rest), hash: hash))
        }
        peaks.append(hash)
        size += 1
        return completed
    }

    package var root: MerkleHash {
        guard var hash = peaks.last else { return .empty }
        for peak in peaks.dropLast().reversed() { hash = .node(peak, hash) }
        return hash
    }

    /// The complete subtrees that make up a tree of `size` leaves, from the left.
    static func peakPositions(size: UInt64) -> [MerklePosition] {
        peakPositions(from: 0, to: size)
    }

    /// The complete subtrees that make up the leaves from `start` to before `end` of a tree, from the left, where `start` is a
    /// place at which RFC 6962 splits.
    static func peakPositions(from start: UInt64, to end: UInt64) -> [MerklePosition] {
        var positions: [MerklePosition] = []
        var start = start
        for level in stride(from: UInt64.bitWidth - 1, through: 0, by: -1) where (end - start) >> UInt64(level) & 1 == 1
        {
            positions.append(MerklePosition(level: level, index: start >> UInt64(level)))
            start += 1 << UInt64(level)
        }
        return positions
    }
}
