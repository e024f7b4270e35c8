import Engine
import Foundation
import GRDB
import Model

/// Reads what can be read of a damaged journal.
final class Salvage {
    private let source: DatabaseQueue?
    private(set) var rowCount = 0
    /// What lay between rows that were saved.
    private(set) var holes: [GapRecord] = []
    private var lastRow: StoredRow?

    /// Where nothing outside the file says which positions were given away, the new journal stays clear of so many.
    static let safetyMargin: Position = 10_000_000
    /// Rows copied in one transaction.
    private static let chunk = 2000
    /// Unreadable spots that are stepped over, and holes that are told one by one.
    private static let failureLimit = 2000

    init(path: String) {
        source = try? DatabaseQueue(path: path)
    }

    /// Makes a sound journal at `path` from everything that can be read.
    func rescue(into path: String, durability: BufferSettings.Durability) throws {
        for suffix in ["", "-wal", "-shm"] { try? FileManager.default.removeItem(atPath: path + suffix) }
        let target = try JournalDatabase(path: path, durability: durability)
        defer { try? target.pool.close() }
        if let source {
            defer { try? source.close() }
            try target.pool.write { copyLayouts(from: source, $0) }
            let epoch = copyState(from: source)
            try target.begin(epoch: epoch.epoch, at: nil, next: 1, gaps: [], publishers: epoch.publishers)
            try copyRows(from: source, into: target)
        }
        try target.close(next: (lastRow?.position ?? 0) + 1)
    }

    private func copyLayouts(from source: DatabaseQueue, _ db: Database) {
        try? source.read { old in
            let cursor = try Row.fetchCursor(old, sql: "SELECT id, body FROM layout")
            while let row = try cursor.next() {
                guard let id = Int64.fromDatabaseValue(row[0]), let body = Data.fromDatabaseValue(row[1]),
                    (try? DeviceLayout(encoded: Array(body))) != nil
                else { continue }
                try db.execute(sql: "INSERT OR IGNORE INTO layout VALUES (?, ?)", arguments: [id, body])
            }
        }
    }

    private func copyState(from source: DatabaseQueue) -> (epoch: UInt32, publishers: [String: [PositionInterval]]) {
        let epoch = try? source.read { try Int64.fetchOne($0, sql: "SELECT value FROM meta WHERE key = 'epoch'") }
        let publishers = try? source.read { try JournalDatabase.publishers($0) }
        return (UInt32(exactly: epoch.flatMap { $0 } ?? 0) ?? 0, publishers ?? [:])
    }

    /// Copies rows in order, stepping over what cannot be read with growing steps.
    private func copyRows(from source: DatabaseQueue, into target: JournalDatabase) throws {
        let end = (try? source.read { try Int64.fetchOne($0, sql: "SELECT max(seq) FROM row") }).flatMap { $0 }
        var position: Position = 1
        var step: Position = 1
        var failures = 0
        while failures < Self.failureLimit {
            let chunk = try? JournalDatabase.rows(source, from: position, limit: Self.chunk, byteLimit: 4 << 20)
            if let chunk = chunk?.rows, let last = chunk.last, last.position < Position(Int64.max / 2) {
                try keep(chunk, in: target)
                (position, step) = (last.position + 1, 1)
            } else if chunk?.rows.isEmpty == true {
                return
            } else {
                failures += 1
                position += step
                step = min(step * 2, 1 << 20)
                if let end, position > UInt64(clamping: end) { return }
            }
        }
    }

    private func keep(_ rows: [StoredRow], in target: JournalDatabase) throws {
        var kept: [StoredRow] = []
        for row in rows where (try? BatchCodec.decode(row.body)) != nil && row.position > lastRow?.position ?? 0 {
            if let lastRow, row.position > lastRow.position + 1, holes.count < Self.failureLimit {
                let missing = (lastRow.position + 1)...(row.position - 1)
                holes.append(
                    GapRecord(
                        positions: missing, from: min(lastRow.recorded, row.recorded),
                        to: max(lastRow.recorded, row.recorded), reason: .diskError, count: UInt64(missing.count)))
            }
            kept.append(row)
            lastRow = row
        }
        rowCount += kept.count
        try target.commit(kept, pending: [:])
    }
}
