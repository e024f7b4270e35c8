/// Checks a log from its first leaf to its last against what was signed about it. Feed it the leaves in order, then ask for
/// ``finish()``; it never needs more than the right edge of the tree and the hashes of the records in memory.
package struct AuditVerification: Sendable {
    /// Something that is wrong. The text names the entry and what was found.
    package struct Finding: Hashable, Sendable {
        package enum Kind: String, Hashable, Sendable {
            case badCheckpoint = "bad_checkpoint"
            case badSignature = "bad_signature"
            case rootMismatch = "root_mismatch"
            case entryMissing = "entry_missing"
            case badSeal = "bad_seal"
            case nodeMismatch = "node_mismatch"
            case recordMismatch = "record_mismatch"
            case notSigned = "not_signed"
            case unreadable
        }

        package var kind: Kind
        package var text: String

        package init(_ kind: Kind, _ text: String) {
            self.kind = kind
            self.text = text
        }
    }

    /// Findings that are told one by one.
    private static let findingLimit = 100

    private let keys: [NoteVerifier]
    /// In the order of their sizes.
    private var due: [Checkpoint] = []
    private var frontier = MerkleFrontier()
    private var expected: [String: MerkleHash] = [:]
    private var lastSeal: UInt64?

    package private(set) var findings: [Finding] = []
    package private(set) var findingCount = 0
    /// Checkpoints whose signature and root hold.
    package private(set) var checkpointCount = 0
    /// The largest of them.
    package private(set) var covered: UInt64 = 0
    package private(set) var origin: String?

    /// - Parameters:
    ///   - notes: every checkpoint that is known of the log, from wherever, in any order.
    ///   - keys: who may have signed them.
    package init(notes: [[UInt8]], keys: [NoteVerifier]) {
        self.keys = keys
        for (number, note) in notes.enumerated() { take(note, number: number + 1) }
        due.sort { $0.size < $1.size }
    }

    /// The largest of `notes` whose signature holds, for proofs against it. Each that does not hold is a finding; so is it when
    /// none is left.
    package mutating func trust(_ notes: [[UInt8]]) -> Checkpoint? {
        for (number, note) in notes.enumerated() { take(note, number: number + 1) }
        defer { due = [] }
        let newest = due.max { $0.size < $1.size }
        checkpointCount = due.count
        covered = newest?.size ?? 0
        if newest == nil { found(.notSigned, "no checkpoint covers any entry") }
        return newest
    }

    package var size: UInt64 { frontier.size }
    package var root: MerkleHash { frontier.root }
    package var isSound: Bool { findingCount == 0 }

    private mutating func take(_ bytes: [UInt8], number: Int) {
        do {
            let note = try SignedNote(bytes)
            _ = try note.verified(by: keys)
            let checkpoint = try Checkpoint(text: note.text)
            if let origin, origin != checkpoint.origin {
                return found(.badCheckpoint, "checkpoint \(number) is of the log \(checkpoint.origin), not \(origin)")
            }
            origin = checkpoint.origin
            due.append(checkpoint)
        } catch {
            switch error {
            case .malformed(let why): found(.badCheckpoint, "checkpoint \(number): \(why)")
            case .badSignature(let key): found(.badSignature, "checkpoint \(number) was changed after \(key) signed it")
            case .unknownKeys(let names):
                found(.badSignature, "checkpoint \(number) is signed by \(names.joined(separator: ", ")) only")
            }
        }
    }

    package mutating func found(_ kind: Finding.Kind, _ text: String) {
        findingCount += 1
        if findings.count < Self.findingLimit { findings.append(Finding(kind, text)) }
    }

    /// Takes the next leaf.
    ///
    /// - Returns: the subtrees that it completes.
    @discardableResult
    package mutating func append(_ leaf: [UInt8]) -> [MerkleNode] {
        compareRoots()
        if Seal.isSeal(leaf) { take(sealed: leaf) }
        return frontier.append(.leaf(leaf))
    }

    private mutating func take(sealed leaf: [UInt8]) {
        let begin = lastSeal.map { $0 + 1 } ?? 0
        guard let seal = Seal(leaf: leaf), seal.first == begin else {
            return found(.badSeal, "entry \(size) should seal the entries from \(begin) on, and does not")
        }
        lastSeal = size
        for change in seal.changes { expected["\(change.kind) \(change.key)"] = change.hash }
    }

    private mutating func compareRoots() {
        while let checkpoint = due.first, checkpoint.size <= size {
            due.removeFirst()
            guard checkpoint.root == root else {
                found(
                    .rootMismatch,
                    "the first \(checkpoint.size) entries are not those that were signed: one was changed, removed, added or moved"
                )
                continue
            }
            checkpointCount += 1
            covered = checkpoint.size
        }
    }

    /// Compares the records as they are now with what the log says of them. Only for the whole log with its records.
    package mutating func compare(records: some Sequence<(kind: String, key: String, body: [UInt8])>) {
        for record in records {
            let name = "\(record.kind) \(record.key)"
            guard let hash = expected.removeValue(forKey: name) else {
                found(.recordMismatch, "the record \(name) is there, and no entry says so")
                continue
            }
            if hash != .digest(record.body) {
                found(.recordMismatch, "the record \(name) is not what its last entry says")
            }
        }
        for name in expected.keys.sorted() {
            found(.recordMismatch, "the record \(name) is gone, and no entry says so")
        }
        expected = [:]
    }

    /// To be called behind the last leaf.
    package mutating func finish() {
        compareRoots()
        for checkpoint in due {
            found(.entryMissing, "\(checkpoint.size) entries were signed, \(size) are there")
        }
        due = []
        if checkpointCount == 0, size > 0 { found(.notSigned, "no checkpoint covers any of the \(size) entries") }
        let unsealed = lastSeal.map { $0 + 1 } ?? 0
        if unsealed != size { found(.badSeal, "the entries from \(unsealed) on belong to no whole transaction") }
    }
}
