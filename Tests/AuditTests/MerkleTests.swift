import Audit
import GatewayTesting
import Testing

@Suite struct MerkleTests {
    /// The eight leaves, roots and proofs that Certificate Transparency's reference implementations test with.
    static let leaves: [[UInt8]] = [
        [], [0x00], [0x10], [0x20, 0x21], [0x30, 0x31], [0x40, 0x41, 0x42, 0x43], Array(0x50...0x57),
        Array(0x60...0x6F),
    ]
    static let roots = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ]

    @Test(arguments: 0...8)
    func rootsAreThePublishedOnes(size: Int) {
        #expect(GrownTree(Self.leaves.prefix(size)).frontier.root.hex == Self.roots[size])
    }

    @Test(arguments: [
        (0, 1, []),
        (
            0, 8,
            [
                "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
            ]
        ),
        (
            5, 8,
            [
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ]
        ),
        (2, 3, ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
        (
            1, 5,
            [
                "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            ]
        ),
    ])
    func inclusionProofsAreThePublishedOnes(index: UInt64, size: UInt64, expected: [String]) {
        let path = GrownTree(Self.leaves).inclusion(of: index, size: size)
        #expect(path.map(\.hex) == expected)
    }

    @Test(arguments: [
        (1, 1, []),
        (
            1, 8,
            [
                "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
            ]
        ),
        (
            6, 8,
            [
                "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ]
        ),
        (
            2, 5,
            [
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            ]
        ),
    ])
    func consistencyProofsAreThePublishedOnes(size: UInt64, newSize: UInt64, expected: [String]) {
        #expect(GrownTree(Self.leaves).consistency(from: size, to: newSize).map(\.hex) == expected)
    }

    @Test func everySizeHasTheRootThatTheDefinitionGives() {
        let content = (0..<300).map { Array("leaf \($0)".utf8) }
        let tree = GrownTree([])
        for size in 0...300 {
            #expect(tree.frontier.root == Naive.root(content[..<size]), "size \(size)")
            #expect(MerkleFrontier(size: UInt64(size), node: tree.node) == tree.frontier, "size \(size)")
            if size < 300 { tree.append(content[size]) }
        }
    }

    @Test func everyInclusionProofIsTheOneOfTheDefinitionAndHolds() {
        let content = (0..<70).map { Array("leaf \($0)".utf8) }
        let tree = GrownTree(content)
        for size in 1...70 {
            let root = Naive.root(content[..<size])
            for index in 0..<size {
                let path = tree.inclusion(of: UInt64(index), size: UInt64(size))
                #expect(path == Naive.path(to: index, in: content[..<size]))
                let leaf = MerkleHash.leaf(content[index])
                #expect(
                    MerkleProof.holds(inclusion: path, of: leaf, at: UInt64(index), size: UInt64(size), root: root))
            }
        }
    }

    @Test func everyConsistencyProofIsTheOneOfTheDefinitionAndHolds() {
        let content = (0..<70).map { Array("leaf \($0)".utf8) }
        let tree = GrownTree(content)
        for newSize in 0...70 {
            for size in 0...newSize {
                let path = tree.consistency(from: UInt64(size), to: UInt64(newSize))
                if size > 0 { #expect(path == Naive.consistency(size, content[..<newSize], isWhole: true)) }
                #expect(
                    MerkleProof.holds(
                        consistency: path, from: UInt64(size), root: Naive.root(content[..<size]), to: UInt64(newSize),
                        newRoot: Naive.root(content[..<newSize])), "\(size) to \(newSize)")
            }
        }
    }

    @Test func noProofHoldsForAnythingElse() {
        let content = (0..<40).map { Array("leaf \($0)".utf8) }
        let tree = GrownTree(content)
        var random = SeededGenerator(11)
        for round in 0..<3000 {
            let size = UInt64.random(in: 2...40, using: &random)
            let index = UInt64.random(in: 0..<size, using: &random)
            let root = Naive.root(content[..<Int(size)])
            let leaf = MerkleHash.leaf(content[Int(index)])
            var path = tree.inclusion(of: index, size: size)
            var (claimed, claimedSize) = (index, size)
            switch round % 5 {
            case 0: path[Int.random(in: 0..<path.count, using: &random)] = .leaf([1])
            case 1: path.removeLast()
            case 2: path.append(.empty)
            case 3: claimed = (index + 1) % size
            case _: claimedSize = size * 2
            }
            #expect(
                !MerkleProof.holds(inclusion: path, of: leaf, at: claimed, size: claimedSize, root: root),
                "seed 11, round \(round): leaf \(index) of \(size)")
        }
    }

    @Test func noConsistencyIsShownBetweenTreesThatDiffer() {
        let content = (0..<40).map { Array("leaf \($0)".utf8) }
        var other = content
        other[3] = [9]
        let (tree, changed) = (GrownTree(content), GrownTree(other))
        for newSize in 5...40 as ClosedRange<UInt64> {
            for size in 4..<newSize {
                for path in [tree, changed].map({ $0.consistency(from: size, to: newSize) }) {
                    let holds = MerkleProof.holds(
                        consistency: path, from: size, root: Naive.root(content[..<Int(size)]), to: newSize,
                        newRoot: Naive.root(other[..<Int(newSize)]))
                    #expect(!holds, "\(size) to \(newSize)")
                }
            }
        }
    }
}

/// Grown leaf by leaf, with every complete subtree kept.
final class GrownTree {
    private(set) var frontier = MerkleFrontier()
    private var nodes: [MerklePosition: MerkleHash] = [:]

    init(_ leaves: some Sequence<[UInt8]>) {
        leaves.forEach(append)
    }

    func append(_ leaf: [UInt8]) {
        for node in frontier.append(.leaf(leaf)) { nodes[node.position] = node.hash }
    }

    func node(_ position: MerklePosition) -> MerkleHash {
        nodes[position] ?? .empty
    }

    func inclusion(of index: UInt64, size: UInt64) -> [MerkleHash] {
        MerkleProof.inclusion(of: index, size: size, node: node)
    }

    func consistency(from size: UInt64, to newSize: UInt64) -> [MerkleHash] {
        MerkleProof.consistency(from: size, to: newSize, node: node)
    }
}

/// RFC 6962, section 2.1, word for word.
enum Naive {
    static func root(_ leaves: ArraySlice<[UInt8]>) -> MerkleHash {
        guard let first = leaves.first else { return .empty }
        guard leaves.count > 1 else { return .leaf(first) }
        let split = split(leaves)
        return .node(root(leaves[..<split]), root(leaves[split...]))
    }

    static func path(to index: Int, in leaves: ArraySlice<[UInt8]>) -> [MerkleHash] {
        guard leaves.count > 1 else { return [] }
        let split = split(leaves)
        return index < split
            ? path(to: index, in: leaves[..<split]) + [root(leaves[split...])]
            : path(to: index, in: leaves[split...]) + [root(leaves[..<split])]
    }

    static func consistency(_ size: Int, _ leaves: ArraySlice<[UInt8]>, isWhole: Bool) -> [MerkleHash] {
        if size == leaves.endIndex { return isWhole ? [] : [root(leaves)] }
        let split = split(leaves)
        return size <= split
            ? consistency(size, leaves[..<split], isWhole: isWhole) + [root(leaves[split...])]
            : consistency(size, leaves[split...], isWhole: false) + [root(leaves[..<split])]
    }

    /// Behind the largest power of two that is smaller than the number of leaves.
    private static func split(_ leaves: ArraySlice<[UInt8]>) -> Int {
        var power = 1
        while power * 2 < leaves.count { power *= 2 }
        return leaves.startIndex + power
    }
}
