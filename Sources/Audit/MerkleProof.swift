/// Proofs of RFC 9162, section 2.1.3 and 2.1.4 (the same as in RFC 6962): that a leaf is in a tree, and that a tree is the
/// beginning of a larger one.
///
/// Making one asks for complete subtrees by position; checking one needs the hashes alone.
package enum MerkleProof {
    /// The hashes that lead from leaf `index` to the root of the first `size` leaves. Empty when there is no such leaf.
    package static func inclusion<Failure: Error>(
        of index: UInt64, size: UInt64, node: (MerklePosition) throws(Failure) -> MerkleHash
    ) throws(Failure) -> [MerkleHash] {
        guard index < size else { return [] }
        var (low, high) = (UInt64(0), size)
        var path: [MerkleHash] = []
        while high - low > 1 {
            let middle = split(low, high)
            if index < middle {
                path.append(try root(from: middle, to: high, node: node))
                high = middle
            } else {
                path.append(try root(from: low, to: middle, node: node))
                low = middle
            }
        }
        return path.reversed()
    }

    /// The hashes that show that the first `size` of `newSize` leaves have the root that they had. Empty for equal sizes and
    /// for an empty tree, where there is nothing to show.
    package static func consistency<Failure: Error>(
        from size: UInt64, to newSize: UInt64, node: (MerklePosition) throws(Failure) -> MerkleHash
    ) throws(Failure) -> [MerkleHash] {
        guard size > 0, size < newSize else { return [] }
        var (low, high) = (UInt64(0), newSize)
        var path: [MerkleHash] = []
        while high != size {
            let middle = split(low, high)
            if size <= middle {
                path.append(try root(from: middle, to: high, node: node))
                high = middle
            } else {
                path.append(try root(from: low, to: middle, node: node))
                low = middle
            }
        }
        // The old tree is itself a subtree of the new one: its root is known to whoever checks.
        if low > 0 { path.append(try root(from: low, to: high, node: node)) }
        return path.reversed()
    }

    package static func holds(
        inclusion path: [MerkleHash], of leaf: MerkleHash, at index: UInt64, size: UInt64, root: MerkleHash
    ) -> Bool {
        guard index < size else { return false }
        var (own, last) = (index, size - 1)
        var hash = leaf
        for sibling in path {
            guard last > 0 else { return false }
            if own & 1 == 1 || own == last {
                hash = .node(sibling, hash)
                skipLevels(&own, &last)
            } else {
                hash = .node(hash, sibling)
            }
            own >>= 1
            last >>= 1
        }
        return last == 0 && hash == root
    }

    package static func holds(
        consistency path: [MerkleHash], from size: UInt64, root: MerkleHash, to newSize: UInt64, newRoot: MerkleHash
    ) -> Bool {
        guard size < newSize else { return size == newSize && path.isEmpty && root == newRoot }
        guard size > 0 else { return path.isEmpty && root == .empty }
        var path = path[...]
        // A size that is a power of two is a subtree of the new tree, and the proof leaves it out.
        guard let first = size & (size - 1) == 0 ? root : path.popFirst() else { return false }
        var (own, last) = (size - 1, newSize - 1)
        while own & 1 == 1 {
            own >>= 1
            last >>= 1
        }
        var (old, new) = (first, first)
        for sibling in path {
            guard last > 0 else { return false }
            if own & 1 == 1 || own == last {
                old = .node(sibling, old)
                new = .node(sibling, new)
                skipLevels(&own, &last)
            } else {
                new = .node(new, sibling)
            }
            own >>= 1
            last >>= 1
        }
        return last == 0 && old == root && new == newRoot
    }

    /// At the right edge a node moves up without a sibling until it is a right child.
    private static func skipLevels(_ own: inout UInt64, _ last: inout UInt64) {
        while own & 1 == 0, own != 0 {
            own >>= 1
            last >>= 1
        }
    }

    /// Where RFC 6962 splits the leaves from `low` to before `high`: behind the largest power of two below their number.
    private static func split(_ low: UInt64, _ high: UInt64) -> UInt64 {
        low + 1 << UInt64(UInt64.bitWidth - 1 - (high - low - 1).leadingZeroBitCount)
    }

    /// The root of the leaves from `low` to before `high`, a part that splitting leads to.
    private static func root<Failure: Error>(
        from low: UInt64, to high: UInt64, node: (MerklePosition) throws(Failure) -> MerkleHash
    ) throws(Failure) -> MerkleHash {
        var hash: MerkleHash?
        for position in MerkleFrontier.peakPositions(from: low, to: high).reversed() {
            let peak = try node(position)
            hash = hash.map { .node(peak, $0) } ?? peak
        }
        return hash ?? .empty
    }
}
