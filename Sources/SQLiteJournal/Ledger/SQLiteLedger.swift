package import Audit
package import Engine
import Foundation
import GRDB
package import Model
import Synchronization

/// The ledger over SQLite: state and audit in one file of its own, one synced transaction for both.
///
/// 1. **All or nothing, and on the disk**: what a call commits is there after a kill or a power cut once it returns
///    (synchronous=FULL, checked after opening), or it never was. Callers that come at the same time share a transaction.
/// 2. **Append-only**: leaves are numbered from 0 and hashed into the tree of RFC 6962. The last leaf of each transaction is
///    a ``Seal``, so the indices of one's own leaves are in order but not always adjacent to those of the next call.
/// 3. **Fails closed**: a damaged, missing, older or newer file gives an error from the initialiser, and nothing is written.
package final class SQLiteLedger: Ledger {
    private let path: String
    let database: LedgerDatabase
    private let clock: any Timekeeper
    private let writer: LedgerWriter
    private let reader: LedgerReader
    private let state = Mutex(State())
    package let requestsSince: UnixTime?

    struct State {
        var waiting: [LedgerRequest] = []
        var waitingByteCount = 0
        var figures = LedgerFigures()
        var isClosed = false
        var isBroken = false
    }

    /// Name of the ledger's file in the state folder.
    package static let fileName = LedgerDatabase.fileName
    /// All files that belong to it; the index of the log is left out, which readers change too.
    package static let fileNames = [fileName, fileName + "-wal", LedgerOpening.lockName]

    /// The largest leaf or record.
    package static let bodyByteLimit = 1 << 20
    /// Calls and bytes that wait for the disk; beyond, calls are refused.
    private static let waitingLimit = 10_000
    private static let waitingByteLimit = 64 << 20
    /// Requests in one transaction, so that the first of them does not wait for all others.
    private static let groupLimit = 500

    /// Opens the ledger of a state folder, which is made if it does not exist.
    package init(folder: String, clock: any Timekeeper) throws(LedgerError) {
        path = folder + "/" + LedgerDatabase.fileName
        self.clock = clock
        let opened = try LedgerOpening(folder: folder, now: clock.utc)
        database = opened.database
        requestsSince = opened.mark.requestsSince
        writer = LedgerWriter(opened)
        reader = LedgerReader(database: opened.database)
        state.withLock { $0.figures.size = opened.frontier.size }
    }

    // MARK: - Port

    package func commit(_ records: [LedgerRecord], leaves: [[UInt8]]) async throws(LedgerError) -> UInt64 {
        let request = try LedgerRequest(records: records, leaves: leaves)
        try enqueue(request)
        // Whoever comes first takes along all that wait: those find their requests done when it is their turn.
        await writer.commit(request, of: self)
        return try request.outcome()
    }

    package func records(_ kind: String) async throws(LedgerError) -> [LedgerRecord] {
        do {
            return try await reader.records(kind)
        } catch {
            throw LedgerOpening.problem(error, path)
        }
    }

    // MARK: - Checkpoints

    /// Signs the tree as it is and keeps the signature; where nothing was added since the last, it is that one.
    package func checkpoint(signedBy signer: NoteSigner) async throws(LedgerError) -> SignedNote {
        do {
            return try await writer.checkpoint(signer)
        } catch {
            throw refused(error)
        }
    }

    /// Signs a checkpoint every `interval` for as long as the task is not cancelled, and hands on each that is new.
    package func run(
        signer: NoteSigner, every interval: Duration = .seconds(60), announce: @Sendable (SignedNote) async -> Void
    ) async {
        var last: SignedNote?
        while !Task.isCancelled {
            // A disk that refuses shows in the figures; the next checkpoint covers what this one would have.
            if let note = try? await checkpoint(signedBy: signer), note != last {
                last = note
                await announce(note)
            }
            do { try await clock.sleep(until: clock.uptime + interval) } catch { return }
        }
    }

    /// Lets go of the file. Later calls are refused.
    package func close() async {
        let isFirst = state.withLock { state in
            defer { state.isClosed = true }
            return !state.isClosed
        }
        if isFirst { await writer.close() }
    }

    /// Lets go of files that another program has changed, without writing anything into them: the database is never closed.
    package func abandon() async {
        let isFirst = state.withLock { state in
            defer { state.isClosed = true }
            return !state.isClosed
        }
        guard isFirst else { return }
        Self.abandoned.withLock { $0.append(database) }
        await writer.abandon()
    }

    /// Closing would write into files that are not the gateway's any more, and remove a log that may be the newest.
    private static let abandoned = Mutex<[LedgerDatabase]>([])

    package var figures: LedgerFigures {
        let (byteCount, syncs) = (database.byteCountOnDisk(), database.meter.syncs)
        return state.withLock { state in
            var figures = state.figures
            figures.byteCount = byteCount
            figures.syncs = syncs
            return figures
        }
    }

    // MARK: - Requests

    private func enqueue(_ request: LedgerRequest) throws(LedgerError) {
        let refusal = state.withLock { state -> LedgerError? in
            if state.isClosed { return .unavailable("the ledger is closed") }
            guard state.waiting.count < Self.waitingLimit,
                state.waitingByteCount + request.byteCount <= Self.waitingByteLimit
            else {
                return .unavailable("\(state.waiting.count) calls wait for the disk; the limit is \(Self.waitingLimit)")
            }
            state.waiting.append(request)
            state.waitingByteCount += request.byteCount
            return nil
        }
        if let refusal { throw refusal }
    }

    /// What the next transaction is about.
    func takeGroup() -> [LedgerRequest] {
        state.withLock { state in
            let group = Array(state.waiting.prefix(Self.groupLimit))
            state.waiting.removeFirst(group.count)
            state.waitingByteCount -= group.reduce(0) { $0 + $1.byteCount }
            return group
        }
    }

    var now: (utc: UnixTime, uptime: Duration) { (clock.utc, clock.uptime) }

    func committed(_ requests: Int, size: UInt64, since start: Duration) {
        let latency = clock.uptime - start
        state.withLock { $0.figures.committed(requests, size: size, latency: latency) }
    }

    func refused(_ error: any Error) -> LedgerError {
        let problem = LedgerOpening.problem(error, path)
        let isBroken = error is LedgerOpening.Broken || JournalOpening.isDamage(error)
        state.withLock { state in
            state.figures.refused(problem)
            if isBroken { state.isBroken = true }
        }
        return problem
    }

    /// Whether the files are not what they were: nothing is written into them any more.
    package var isBroken: Bool { state.withLock { $0.isBroken } }
}
