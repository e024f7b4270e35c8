package import Engine
import Foundation
import GRDB
package import Model

/// Reads a journal's file from outside, also while a gateway runs on it: for export, replay and verification. It reads in
/// short transactions, so that it does not keep the running gateway from cutting its write-ahead log back.
package final class JournalReader {
    private let path: String
    private let queue: DatabaseQueue
    private var layouts: [LayoutID: DeviceLayout] = [:]

    /// A row as it is stored; `body` is nil where it cannot be decoded.
    package struct StoredEntry: Sendable {
        package var position: Position
        package var epoch: UInt32
        package var recorded: UnixTime
        package var body: JournalEntry.Body?
    }

    /// Rows of one transaction.
    private static let chunk = 1000

    /// - Parameter path: a state folder, or the file itself.
    /// - Throws: ``JournalError`` when there is no journal or it cannot be read.
    package init(path: String) throws(JournalError) {
        var isFolder: ObjCBool = false
        let exists = FileManager.default.fileExists(atPath: path, isDirectory: &isFolder)
        self.path = isFolder.boolValue ? path + "/" + JournalOpening.fileName : path
        if let refusal = ReadAccess.refusal(self.path) { throw .unusable(refusal) }
        guard exists, FileManager.default.fileExists(atPath: self.path) else {
            throw .unusable("no journal at \(self.path); has a gateway ever run on this state folder?")
        }
        do {
            queue = try DatabaseQueue(path: StoreFile.readablePath(self.path), configuration: StoreFile.readOnly)
        } catch {
            throw .unusable("\(self.path) cannot be read: \(error)")
        }
    }

    /// Every row from `start` on, in order, that was journaled in `span`.
    ///
    /// - Throws: what `body` throws, and ``JournalError`` where the file cannot be read.
    package func forEach(
        from start: Position = 1, before end: Position = .max, recordedIn span: Range<UnixTime>? = nil,
        _ body: (StoredEntry) throws -> Void
    ) throws {
        var position = start
        while position < end {
            let rows = try chunk(from: position, recordedIn: span)
            for row in rows {
                guard row.position < end else { return }
                try body(row)
                position = row.position + 1
            }
            if rows.count < Self.chunk { return }
        }
    }

    private func chunk(from position: Position, recordedIn span: Range<UnixTime>?) throws(JournalError) -> [StoredEntry]
    {
        do {
            return try queue.read { db in
                var rows: [StoredEntry] = []
                let cursor = try Row.fetchCursor(
                    db,
                    sql: """
                        SELECT seq, epoch, recorded, body FROM row
                        WHERE seq >= ? AND recorded >= ? AND recorded < ? ORDER BY seq LIMIT ?
                        """,
                    arguments: [
                        Int64(clamping: position), span?.lowerBound.microseconds ?? .min,
                        span?.upperBound.microseconds ?? .max, Self.chunk,
                    ])
                while let row = try cursor.next() { rows.append(try StoredEntry(row)) }
                return rows
            }
        } catch {
            throw .unusable("\(path) cannot be read from row \(position) on: \(error)")
        }
    }

    /// The positions journaled in a span of time, as ascending ranges: more than one where the clock was set meanwhile.
    package func positions(recordedIn span: Range<UnixTime>) throws(JournalError) -> [ClosedRange<Position>] {
        do {
            return try queue.read { db in
                let cursor = try Int64.fetchCursor(
                    db, sql: "SELECT seq FROM row WHERE recorded >= ? AND recorded < ? ORDER BY seq",
                    arguments: [span.lowerBound.microseconds, span.upperBound.microseconds])
                var ranges: [ClosedRange<Position>] = []
                while let seq = try cursor.next() {
                    let position = Position(clamping: seq)
                    if let last = ranges.last, last.upperBound + 1 == position {
                        ranges[ranges.count - 1] = last.lowerBound...position
                    } else {
                        ranges.append(position...position)
                    }
                }
                return ranges
            }
        } catch {
            throw .unusable("\(path) cannot be read: \(error)")
        }
    }

    /// What SQLite finds wrong with the file's structure; empty for a sound one. Reads the whole file.
    package func damage() throws(JournalError) -> [String] {
        do {
            let lines = try queue.read { try String.fetchAll($0, sql: "PRAGMA quick_check(20)") }
            return lines == ["ok"] ? [] : lines
        } catch {
            throw .unusable("\(path) cannot be read: \(error)")
        }
    }

    /// What the mark of the state folder beside the file contradicts; nil where they agree or there is no mark. The mark is read
    /// first: a gateway that runs writes it behind its rows.
    package func contradiction() throws(JournalError) -> String? {
        let folder = (path as NSString).deletingLastPathComponent
        guard let mark = StateMark(folder: folder.isEmpty ? "." : folder), !mark.isVolatile else { return nil }
        do {
            let (next, epoch) = try queue.read { db in
                let epoch = try Int64.fetchOne(db, sql: "SELECT value FROM meta WHERE key = 'epoch'") ?? 0
                return (try JournalDatabase.bounds(db).next, epoch)
            }
            if let stored = mark.next, next < stored {
                return "it ends before row \(next), and journal.lock knows that rows up to \(stored - 1) were stored: "
                    + "it was put back from a copy, or lost its -wal"
            }
            guard epoch < Int64(mark.epoch) else { return nil }
            return "its newest epoch is \(epoch), and journal.lock knows of \(mark.epoch): it was put back from a copy"
        } catch {
            throw .unusable("\(path) cannot be read: \(error)")
        }
    }

    package func layout(_ id: LayoutID) throws(JournalError) -> DeviceLayout {
        if let known = layouts[id] { return known }
        do {
            let bytes = try queue.read { db in
                try Data.fetchOne(db, sql: "SELECT body FROM layout WHERE id = ?", arguments: [Int64(id)])
            }
            guard let bytes else { throw ByteReader.Malformed() }
            let layout = try DeviceLayout(encoded: Array(bytes))
            layouts[id] = layout
            return layout
        } catch {
            throw .unusable("\(path): layout \(id) cannot be read: \(error)")
        }
    }
}

extension JournalReader.StoredEntry {
    fileprivate init(_ row: Row) throws {
        guard let seq = Int64.fromDatabaseValue(row[0]), let position = Position(exactly: seq),
            let epoch = Int64.fromDatabaseValue(row[1]), let recorded = Int64.fromDatabaseValue(row[2])
        else { throw ByteReader.Malformed() }
        self.position = position
        self.epoch = UInt32(truncatingIfNeeded: epoch)
        self.recorded = UnixTime(microseconds: recorded)
        body = Data.fromDatabaseValue(row[3]).flatMap { RowCheck.opened(Array($0), seq, epoch, recorded) }
            .flatMap { try? BatchCodec.decode($0) }
    }
}
