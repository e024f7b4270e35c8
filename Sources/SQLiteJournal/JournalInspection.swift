package import Engine
import Foundation
import GRDB
package import Model

/// A look at a journal's file from outside, also while a gateway runs on it (`headgate journal status`).
package struct JournalInspection: Sendable {
    package var epoch: UInt32
    package var first: Position
    package var next: Position
    /// Bytes of the database file with its write-ahead log and the index of that.
    package var byteCount: Int64
    package var oldest: UnixTime?
    package var newest: UnixTime?
    /// Of these, bytes of pages that hold something.
    package var usedByteCount: Int64
    /// Readings in a row on average, over the newest rows; nil where there are none.
    package var readingsPerRow: Double?
    /// Rows that were journaled in the last ``recentSpan`` before the newest.
    package var recentRows: UInt64
    /// What each publisher still has to deliver.
    package var publishers: [String: PublisherDepth]

    /// How much waits for one publisher, as far as it was last written down.
    package struct PublisherDepth: Hashable, Sendable {
        package var rows: UInt64
        package var oldest: Position?
    }

    /// What ``recentRows`` looks back on.
    package static let recentSpan = Duration.seconds(600)
    /// Newest rows that are decoded for an average.
    private static let sample = 500

    /// - Throws: ``JournalError`` when there is no journal or it cannot be read.
    package init(folder: String) throws(JournalError) {
        let path = folder + "/" + JournalOpening.fileName
        if let refusal = ReadAccess.refusal(path) { throw .unusable(refusal) }
        guard FileManager.default.fileExists(atPath: path) else {
            throw .unusable("no journal at \(path); has a gateway ever run on this state folder?")
        }
        do {
            let queue = try DatabaseQueue(path: StoreFile.readablePath(path), configuration: StoreFile.readOnly)
            self = try queue.read { try JournalInspection($0) }
        } catch {
            throw .unusable("\(path) cannot be read: \(error)")
        }
        byteCount = StoreFile.byteCountOnDisk(path)
    }

    private init(_ db: Database) throws {
        func integer(_ sql: String) throws -> Int64? { try Int64.fetchOne(db, sql: sql) }
        epoch = UInt32(truncatingIfNeeded: try integer("SELECT value FROM meta WHERE key = 'epoch'") ?? 0)
        let remembered = try integer("SELECT value FROM meta WHERE key = 'next'") ?? 1
        let last = try integer("SELECT max(seq) FROM row") ?? 0
        guard let next = Position(exactly: max(min(last, .max - 1) + 1, remembered)),
            let first = Position(exactly: try integer("SELECT min(seq) FROM row") ?? Int64(clamping: next))
        else { throw ByteReader.Malformed() }
        (self.first, self.next) = (first, next)
        oldest = try integer("SELECT recorded FROM row ORDER BY seq LIMIT 1").map(UnixTime.init(microseconds:))
        newest = try integer("SELECT recorded FROM row ORDER BY seq DESC LIMIT 1").map(UnixTime.init(microseconds:))
        byteCount = 0
        let pages = try integer("PRAGMA page_count") ?? 0
        usedByteCount = (pages - (try integer("PRAGMA freelist_count") ?? 0)) * (try integer("PRAGMA page_size") ?? 0)
        recentRows = try Self.recentRows(db, newest: newest, next: next)
        readingsPerRow = try Self.readingsPerRow(db)
        publishers = try JournalDatabase.publishers(db).mapValues { intervals in
            guard first < next else { return PublisherDepth(rows: 0) }
            let owed = intervals.overlap(with: first...(next - 1))
            return PublisherDepth(
                rows: owed.reduce(0) { $0 + $1.upperBound - $1.lowerBound + 1 }, oldest: owed.first?.lowerBound)
        }
    }

    private static func readingsPerRow(_ db: Database) throws -> Double? {
        let rows = try Row.fetchAll(
            db, sql: "SELECT seq, epoch, recorded, body FROM row ORDER BY seq DESC LIMIT \(sample)")
        let counts = rows.map { row in
            let body = (try? StoredRow(row)).flatMap { try? BatchCodec.decode($0.body) }
            return if case .readings(let batch)? = body { batch.count } else { 0 }
        }
        return counts.isEmpty ? nil : Double(counts.reduce(0, +)) / Double(counts.count)
    }

    /// Found by halving: rows are in the order of time, unless the clock was set meanwhile.
    private static func recentRows(_ db: Database, newest: UnixTime?, next: Position) throws -> UInt64 {
        guard let since = newest.map({ $0 - recentSpan }) else { return 0 }
        var (low, high) = (Position(1), next)
        while low < high {
            let middle = low + (high - low) / 2
            let recorded = try Int64.fetchOne(
                db, sql: "SELECT recorded FROM row WHERE seq >= ? ORDER BY seq LIMIT 1", arguments: [Int64(middle)])
            if recorded ?? .max < since.microseconds { low = middle + 1 } else { high = middle }
        }
        return next - low
    }
}
