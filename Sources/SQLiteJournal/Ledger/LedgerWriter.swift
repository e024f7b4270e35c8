import Audit
import Engine
import GRDB
import Model

/// Writes one transaction after the other, on a queue of its own so that an fsync holds up nobody else. The only writer.
actor LedgerWriter {
    private let executor = QueueExecutor(label: "ledger")
    private let database: LedgerDatabase
    private let lock: StateLock
    /// Nil when a transaction failed: what is on the disk is looked up before the next.
    private var frontier: MerkleFrontier?
    private var mark: LedgerMark
    private var watch: LedgerWatch

    init(_ opened: LedgerOpening) {
        database = opened.database
        lock = opened.lock
        frontier = opened.frontier
        mark = opened.mark
        watch = LedgerWatch(path: database.pool.path)
        try? watch.adopt(database)
    }

    nonisolated var unownedExecutor: UnownedSerialExecutor {
        executor.asUnownedSerialExecutor()
    }

    /// Commits groups of those that wait, first come first, until `request` is done: later callers see to their own.
    func commit(_ request: LedgerRequest, of ledger: SQLiteLedger) {
        while !request.isFinished {
            let group = ledger.takeGroup()
            precondition(!group.isEmpty, "a request that is not finished is still waiting")
            commit(group, of: ledger)
        }
    }

    private func commit(_ requests: [LedgerRequest], of ledger: SQLiteLedger) {
        let (time, start) = ledger.now
        do {
            let before = try known()
            frontier = nil
            let (group, firsts, after) = Self.group(requests, on: before, time: time)
            let records = try database.commit(group, mark.records ?? RecordDigest())
            frontier = after
            try? write(LedgerMark(size: after.size, root: after.root, records: records))
            ledger.committed(requests.count, size: after.size, since: start)
            for (request, first) in zip(requests, firsts) { request.finish(.success(first)) }
            // No request waits for it: until then a power cut leaves a mark that is behind, and the seals tell the rest.
            try? lock.sync()
            // The log is read through anyway: a log that cannot be moved yet only grows.
            try? database.checkpointIfDue()
            try? watch.adopt(database)
        } catch {
            let problem = ledger.refused(error)
            for request in requests { request.finish(.failure(problem)) }
        }
    }

    /// The tree as it is on the disk, once it is certain that no other program has written.
    private func known() throws -> MerkleFrontier {
        let isTouched = try watch.isTouched(database, lock)
        let frontier = try frontier ?? database.frontier()
        if isTouched || frontier.size < mark.size {
            guard frontier.size == mark.size, let records = mark.records else {
                throw LedgerOpening.Broken("entries were added or removed while the gateway runs")
            }
            try watch.lookThrough(frontier, records)
            try watch.adopt(database)
        }
        return frontier
    }

    private func write(_ changed: LedgerMark) throws {
        var changed = changed
        changed.requestsSince = mark.requestsSince
        mark = changed
        try lock.write(changed)
    }

    /// The transaction for `requests`, the index of each one's first leaf, and the tree behind it.
    private static func group(
        _ requests: [LedgerRequest], on frontier: MerkleFrontier, time: UnixTime
    ) -> (group: LedgerGroup, firsts: [UInt64], after: MerkleFrontier) {
        var group = LedgerGroup(first: frontier.size)
        var firsts: [UInt64] = []
        for request in requests {
            firsts.append(group.first + UInt64(group.leaves.count))
            group.leaves += request.leaves
            group.records += request.records
        }
        group.leaves.append(Seal(time: time.microseconds, first: group.first, changes: changes(group.records)).leaf)
        var after = frontier
        for leaf in group.leaves { group.nodes += after.append(.leaf(leaf)).dropFirst() }
        return (group, firsts, after)
    }

    /// Each record once, as the last of several changes leaves it.
    private static func changes(_ records: [LedgerRecord]) -> [Seal.Change] {
        var seen: Set<[String]> = []
        let last = records.reversed().filter { seen.insert([$0.kind, $0.key]).inserted }
        return last.reversed().map { record in
            Seal.Change(kind: record.kind, key: record.key, hash: record.body.map(MerkleHash.digest))
        }
    }

    func checkpoint(_ signer: NoteSigner) throws -> SignedNote {
        let frontier = try known()
        let stored = try database.newestNote().map { try SignedNote($0) }
        if let stored {
            let last = try Checkpoint(text: stored.text)
            // A log never signs what contradicts what it signed before.
            guard last.size <= frontier.size, try database.root(size: last.size) == last.root else {
                throw LedgerOpening.Broken("its first \(last.size) entries are not those that were signed")
            }
            if last.size == frontier.size, (try? stored.verified(by: [signer.verifier])) != nil { return stored }
        }
        let checkpoint = Checkpoint(origin: signer.verifier.name, size: frontier.size, root: frontier.root)
        let note = try checkpoint.signed(by: signer)
        try database.store(note: note.bytes, size: frontier.size, signer: signer.verifier.description)
        try watch.adopt(database)
        return note
    }

    /// Lets go of files that are not the gateway's any more, as they are.
    func abandon() {
        lock.release()
    }

    func close() {
        database.close()
        lock.release()
    }
}

/// Reads on a queue of its own: readers never wait for the writer's fsync.
actor LedgerReader {
    private let executor = QueueExecutor(label: "ledger.read")
    private let database: LedgerDatabase

    init(database: LedgerDatabase) {
        self.database = database
    }

    nonisolated var unownedExecutor: UnownedSerialExecutor {
        executor.asUnownedSerialExecutor()
    }

    func records(_ kind: String) throws -> [LedgerRecord] {
        try database.records(kind)
    }
}
