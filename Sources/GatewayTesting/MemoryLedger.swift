package import Engine
import Synchronization

/// A ledger in memory that fails on request, and that can be told to die after a number of commits: from then on it refuses
/// everything, as if the process were gone, until it is revived.
package final class MemoryLedger: Ledger {
    private struct State {
        var bodies: [String: [String: [UInt8]]] = [:]
        var leaves: [[UInt8]] = []
        var commits = 0
        var fault: LedgerError?
        /// Whether the fault leaves records readable.
        var isReadable = false
        /// Commits that are still taken; nil for all.
        var commitsLeft: Int?
    }

    private let state = Mutex(State())

    package init() {}

    package func commit(_ records: [LedgerRecord], leaves: [[UInt8]]) async throws(LedgerError) -> UInt64 {
        let result: Result<UInt64, LedgerError> = state.withLock { state in
            if let fault = state.fault { return .failure(fault) }
            guard records.allSatisfy({ Self.isWord($0.kind) && Self.isWord($0.key) }) else {
                return .failure(.unusable("white space in the name of a record"))
            }
            if state.commitsLeft == 0 { return .failure(.unavailable("the process has died")) }
            if let left = state.commitsLeft { state.commitsLeft = left - 1 }
            for record in records { state.bodies[record.kind, default: [:]][record.key] = record.body }
            let first = UInt64(state.leaves.count)
            state.leaves += leaves
            state.commits += 1
            return .success(first)
        }
        return try result.get()
    }

    private static func isWord(_ text: String) -> Bool {
        (1...512).contains(text.utf8.count) && text.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7F }
    }

    package func records(_ kind: String) async throws(LedgerError) -> [LedgerRecord] {
        let result: Result<[LedgerRecord], LedgerError> = state.withLock { state in
            if let fault = state.fault, !state.isReadable { return .failure(fault) }
            if state.commitsLeft == 0 { return .failure(.unavailable("the process has died")) }
            let entries = (state.bodies[kind] ?? [:]).sorted { $0.key < $1.key }
            return .success(entries.map { LedgerRecord(kind: kind, key: $0.key, body: $0.value) })
        }
        return try result.get()
    }

    package var leaves: [[UInt8]] { state.withLock { $0.leaves } }
    package var commits: Int { state.withLock { $0.commits } }

    /// Refuses everything with `fault`, or nothing any more; with `isReadable` only commits.
    package func fail(_ fault: LedgerError?, isReadable: Bool = false) {
        state.withLock { ($0.fault, $0.isReadable) = (fault, isReadable) }
    }

    /// Dies once `commits` more were taken.
    package func die(after commits: Int) {
        state.withLock { $0.commitsLeft = commits }
    }

    /// Takes commits again, with everything that was committed.
    package func revive() {
        state.withLock { $0.commitsLeft = nil }
    }
}
