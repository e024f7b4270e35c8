package import Engine
import Foundation
import GRDB
package import Model

/// A look at a journal's file from outside, also while a gateway runs on it (`headgate journal status`).
package struct JournalInspection: Sendable {
    package var epoch: UInt32
    package var first: Position
    package var next: Position
    /// Bytes of the database file with its write-ahead log.
    package var byteCount: Int64
    package var oldest: UnixTime?
    package var newest: UnixTime?
    /// What each publisher still has to deliver.
    package var publishers: [String: UInt64]

    /// - Throws: ``JournalError`` when there is no journal or it cannot be read.
    package init(folder: String) throws(JournalError) {
        let path = folder + "/" + JournalOpening.fileName
        guard FileManager.default.fileExists(atPath: path) else {
            throw .unusable("no journal at \(path); has a gateway ever run on this state folder?")
        }
        do {
            var configuration = Configuration()
            configuration.readonly = true
            configuration.busyMode = .timeout(5)
            let queue = try DatabaseQueue(path: path, configuration: configuration)
            self = try queue.read { try JournalInspection($0) }
        } catch {
            throw .unusable("\(path) cannot be read: \(error)")
        }
        for suffix in ["", "-wal"] {
            let attributes = try? FileManager.default.attributesOfItem(atPath: path + suffix)
            byteCount += (attributes?[.size] as? NSNumber)?.int64Value ?? 0
        }
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
        publishers = try JournalDatabase.publishers(db).mapValues { intervals in
            guard first < next else { return 0 }
            return intervals.overlap(with: first...(next - 1)).reduce(0) { $0 + $1.upperBound - $1.lowerBound + 1 }
        }
    }
}
