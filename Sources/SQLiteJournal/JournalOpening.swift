import Engine
import Foundation
import GRDB
import Model

/// Opens a state folder: what was found, what this start has to tell, and the epoch that begins.
struct JournalOpening {
    let database: JournalDatabase
    private(set) var epoch: UInt32 = 0
    private(set) var first: Position
    private(set) var next: Position
    private(set) var publishers: [String: [PositionInterval]]
    private(set) var mark: StateMark
    private(set) var notes: [String] = []

    private let storedEpoch: UInt32
    private let lastRecorded: UnixTime?
    private var gaps: [GapRecord] = []
    /// Positions that are missing and that this start tells.
    var toldHoles: [ClosedRange<Position>] { gaps.compactMap(\.positions) }

    static let fileName = "journal.sqlite"

    static func open(
        folder: String, lock: StateLock, settings: BufferSettings, clock: any Timekeeper
    ) throws(JournalError) -> JournalOpening {
        let path = folder + "/" + fileName
        let mark = lock.mark
        do {
            var opening = try find(path: path, mark: mark, settings: settings, clock: clock)
            opening.skipWhatMayBeGone(mark, clock: clock)
            try opening.begin(lock: lock, after: mark, settings: settings, clock: clock)
            return opening
        } catch let error as JournalError {
            throw error
        } catch {
            throw .unusable("\(path) cannot be opened: \(error); check the folder's owner and free space")
        }
    }

    private static func find(
        path: String, mark: StateMark?, settings: BufferSettings, clock: any Timekeeper
    ) throws -> JournalOpening {
        if mark?.isDamaged == true {
            return try afterDamage("damage was met while running", path, mark, settings: settings, clock: clock)
        }
        do {
            return try JournalOpening(path: path, mark: mark, settings: settings)
        } catch  where isDamage(error) {
            return try afterDamage("\(error)", path, mark, settings: settings, clock: clock)
        }
    }

    private init(path: String, mark: StateMark?, settings: BufferSettings) throws {
        database = try JournalDatabase(path: path, durability: settings.durability)
        do {
            storedEpoch = try database.storedEpoch()
            (first, next) = try database.bounds()
            publishers = try database.publishers()
            lastRecorded = try database.lastRecorded()
        } catch {
            try? database.pool.close()
            throw error
        }
        self.mark = mark ?? StateMark(epoch: 0, reserved: 1, unsyncedBoot: nil)
    }

    /// Sets the file aside, saves the rows that can still be read, and goes on behind them.
    private static func afterDamage(
        _ damage: String, _ path: String, _ mark: StateMark?, settings: BufferSettings, clock: any Timekeeper
    ) throws -> JournalOpening {
        let aside = path + ".corrupt-" + clock.utc.rfc3339.replacingOccurrences(of: ":", with: "")
        let salvage = Salvage(path: path)
        // Made beside the old file and renamed when it is complete: a kill in between repeats the repair.
        try salvage.rescue(into: path + ".salvage", durability: settings.durability)
        for suffix in ["", "-wal", "-shm"] where FileManager.default.fileExists(atPath: path + suffix) {
            try FileManager.default.moveItem(atPath: path + suffix, toPath: aside + suffix)
        }
        try FileManager.default.moveItem(atPath: path + ".salvage", toPath: path)
        var opening = try JournalOpening(path: path, mark: mark, settings: settings)
        opening.gaps = salvage.holes
        opening.notes.append(
            "\(path) was damaged (\(damage)) and is set aside as \(aside); \(salvage.rowCount) rows were saved")
        let reserved = mark?.reserved ?? opening.next + Salvage.safetyMargin
        opening.skip(to: max(reserved, opening.next), clock: clock)
        return opening
    }

    /// The file is not a database, or its pages do not hold what a journal writes.
    static func isDamage(_ error: any Error) -> Bool {
        if error is ByteReader.Malformed { return true }
        guard let code = (error as? DatabaseError)?.resultCode else { return false }
        return code == .SQLITE_CORRUPT || code == .SQLITE_NOTADB
    }

    /// A row has a position that is taken already.
    static func isConflict(_ error: any Error) -> Bool {
        (error as? DatabaseError)?.resultCode == .SQLITE_CONSTRAINT
    }

    /// Positions that an older, replaced or rolled back file does not know of are never given again.
    private mutating func skipWhatMayBeGone(_ mark: StateMark?, clock: any Timekeeper) {
        guard let mark, notes.isEmpty else { return }
        let isOlder = storedEpoch < mark.epoch
        let lostPower = mark.unsyncedBoot.map { $0 != StateMark.currentBoot } ?? false
        guard mark.reserved > next, isOlder || lostPower || mark.isVolatile else { return }
        if isOlder {
            notes.append("the journal is older than the state folder: rows of the last run are gone")
        } else if mark.isVolatile {
            notes.append("the last run ended while the disk refused rows: those that waited in memory are gone")
        } else {
            notes.append("the machine went down with the last moments not yet on the disk (durability: process)")
        }
        skip(to: mark.reserved, clock: clock)
    }

    private mutating func skip(to position: Position, clock: any Timekeeper) {
        let now = clock.utc
        gaps.append(
            GapRecord(
                positions: position > next ? next...(position - 1) : nil, from: min(lastRecorded ?? now, now), to: now,
                reason: .diskError, count: 0))
        if first == next { first = position }
        next = position
    }

    /// The epoch, the positions behind it and what the start has to tell become durable before anything else is done.
    private mutating func begin(
        lock: StateLock, after mark: StateMark?, settings: BufferSettings, clock: any Timekeeper
    ) throws {
        guard max(storedEpoch, self.mark.epoch) < .max else {
            throw JournalError.unusable("the state folder has used up its epochs; start with a new gateway.state")
        }
        epoch = max(storedEpoch, self.mark.epoch) + 1
        let now = clock.utc
        if let lastRecorded {
            gaps.append(GapRecord(from: min(lastRecorded, now), to: now, reason: .restart, count: 0))
        }
        for range in gaps.compactMap(\.positions) {
            publishers = publishers.mapValues { $0.removing(range) }
        }
        let rows = gaps.enumerated().map { index, gap in
            StoredRow(
                position: next + Position(index), epoch: epoch, recorded: now, body: BatchCodec.encode(.gap(gap)))
        }
        next += Position(rows.count)
        try database.begin(epoch: epoch, at: now, next: next, gaps: rows, publishers: publishers)
        self.mark = StateMark(
            epoch: epoch, reserved: next + StateMark.reserve,
            unsyncedBoot: settings.durability == .power ? nil : StateMark.currentBoot)
        try lock.write(self.mark)
    }
}
