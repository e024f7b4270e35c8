import Engine
import GRDB
import GRDBSQLite
import Synchronization

/// Counts the fsyncs of the connection that writes, and takes over the decision when the write-ahead log is checkpointed:
/// SQLite's own automatic checkpoint is a hook of the same kind, but tells nobody.
final class LogMeter: Sendable {
    private struct State {
        var syncs: UInt64 = 0
        var logPages = 0
    }

    private let state = Mutex(State())
    private let syncsEachCommit: Bool

    init(syncsEachCommit: Bool) {
        self.syncsEachCommit = syncsEachCommit
    }

    /// Times that the disk was told to make what it was given durable.
    var syncs: UInt64 { state.withLock { $0.syncs } }

    /// Pages in the write-ahead log since it was last moved into the main file as a whole.
    var logPages: Int { state.withLock { $0.logPages } }

    /// Hooks into the connection that writes. The meter must outlive it.
    func install(on db: Database) {
        sqlite3_wal_hook(
            db.sqliteConnection,
            { owner, _, _, pages in
                if let owner { Unmanaged<LogMeter>.fromOpaque(owner).takeUnretainedValue().committed(Int(pages)) }
                return SQLITE_OK
            }, Unmanaged.passUnretained(self).toOpaque())
    }

    private func committed(_ pages: Int) {
        state.withLock { state in
            if syncsEachCommit { state.syncs += 1 }
            state.logPages = pages
        }
    }

    /// A checkpoint syncs the log, then the main file.
    ///
    /// - Parameter isWhole: whether the next commit begins the log anew.
    func checkpointed(isWhole: Bool) {
        state.withLock { state in
            state.syncs += 2
            if isWhole { state.logPages = 0 }
        }
    }
}
