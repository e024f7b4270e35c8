import Engine
import Foundation
import GRDB
import Model

/// What opening a state folder found.
struct JournalOpening {
    var database: JournalDatabase
    var epoch: UInt32
    var first: Position
    var next: Position
    var publishers: [String: [PositionInterval]]
    var gaps: [GapRecord] = []
    var notes: [String] = []

    static let fileName = "journal.sqlite"

    static func open(
        folder: String, settings: BufferSettings, clock: any Timekeeper
    ) throws(JournalError) -> JournalOpening {
        let path = folder + "/" + fileName
        do {
            return try JournalOpening(path: path, settings: settings, clock: clock)
        } catch let error as DatabaseError where error.isDamage {
            return try afterDamage(error, path: path, settings: settings, clock: clock)
        } catch let error as JournalError {
            throw error
        } catch {
            throw .unusable("\(path) cannot be opened: \(error); check the folder's owner and free space")
        }
    }

    private init(path: String, settings: BufferSettings, clock: any Timekeeper) throws {
        database = try JournalDatabase(path: path, durability: settings.durability)
        epoch = try database.beginEpoch()
        (first, next) = try database.bounds()
        publishers = try database.publishers()
        if let last = try database.lastRecorded() {
            gaps.append(GapRecord(from: min(last, clock.utc), to: clock.utc, reason: .restart, count: 0))
        }
    }

    /// Sets the file aside, saves the rows that can still be read, and starts a new one behind them.
    private static func afterDamage(
        _ error: DatabaseError, path: String, settings: BufferSettings, clock: any Timekeeper
    ) throws(JournalError) -> JournalOpening {
        let aside = path + ".damaged-" + clock.utc.rfc3339.replacingOccurrences(of: ":", with: "")
        do {
            for suffix in ["", "-wal", "-shm"] where FileManager.default.fileExists(atPath: path + suffix) {
                try FileManager.default.moveItem(atPath: path + suffix, toPath: aside + suffix)
            }
            let salvage = Salvage(path: aside)
            let fresh = try JournalDatabase(path: path, durability: settings.durability)
            try salvage.copy(into: fresh)
            try fresh.rememberNext(max(try fresh.bounds().next, salvage.safeNext))
            try fresh.pool.close()
            var opening = try JournalOpening(path: path, settings: settings, clock: clock)
            opening.gaps.append(
                GapRecord(
                    positions: salvage.lost(next: opening.next), from: salvage.lastRecorded ?? clock.utc, to: clock.utc,
                    reason: .diskError, count: 0))
            opening.notes.append(
                "\(path) was damaged (\(error.resultCode)) and is set aside as \(aside); \(salvage.rowCount) rows were saved"
            )
            return opening
        } catch let error as JournalError {
            throw error
        } catch {
            throw .unusable("\(path) is damaged and cannot be set aside: \(error)")
        }
    }
}

extension DatabaseError {
    /// The file is not a database or its pages are damaged.
    var isDamage: Bool {
        resultCode == .SQLITE_CORRUPT || resultCode == .SQLITE_NOTADB
    }
}

/// Reads what can be read of a damaged journal.
final class Salvage {
    private let source: DatabaseQueue?
    private(set) var rowCount = 0
    private(set) var lastRecorded: UnixTime?
    private var lastPosition: Position = 0
    private var epoch: Int64 = 0

    /// Positions that the new journal stays clear of beyond the last one known, so that none is used twice.
    private static let safetyMargin: Position = 10_000_000

    init(path: String) {
        source = try? DatabaseQueue(path: path)
    }

    /// Where the new journal may begin: behind everything saved, and behind what may have been lost.
    var safeNext: Position {
        lastPosition + Self.safetyMargin
    }

    func lost(next: Position) -> ClosedRange<Position>? {
        lastPosition + 1 < next ? (lastPosition + 1)...(next - 1) : nil
    }

    /// Copies rows in order until the first one that cannot be read, and the other tables as far as possible.
    func copy(into target: JournalDatabase) throws {
        guard let source else { return }
        try target.pool.write { db in
            try? source.read { old in
                for row in try Row.fetchAll(old, sql: "SELECT id, body FROM layout") {
                    try db.execute(
                        sql: "INSERT OR IGNORE INTO layout VALUES (?, ?)", arguments: [row[0] as Int64, row[1] as Data])
                }
                epoch = try Int64.fetchOne(old, sql: "SELECT value FROM meta WHERE key = 'epoch'") ?? 0
                for row in try Row.fetchAll(old, sql: "SELECT name, pending FROM publisher") {
                    try db.execute(
                        sql: "INSERT OR REPLACE INTO publisher VALUES (?, ?)",
                        arguments: [row[0] as String, row[1] as Data])
                }
            }
            try? source.read { old in
                let cursor = try Row.fetchCursor(old, sql: "SELECT seq, epoch, recorded, body FROM row ORDER BY seq")
                while let row = try cursor.next() {
                    try db.execute(
                        sql: "INSERT INTO row VALUES (?, ?, ?, ?)",
                        arguments: [row[0] as Int64, row[1] as Int64, row[2] as Int64, row[3] as Data])
                    lastPosition = Position(row[0] as Int64)
                    epoch = max(epoch, row[1] as Int64)
                    lastRecorded = UnixTime(microseconds: row[2])
                    rowCount += 1
                }
            }
            // Where the epoch cannot be read, one that no journal reaches by restarts.
            let safeEpoch = epoch > 0 ? epoch + 1 : Int64(UInt32.max / 2)
            try db.execute(sql: "INSERT OR REPLACE INTO meta VALUES ('epoch', ?)", arguments: [safeEpoch])
        }
    }
}
