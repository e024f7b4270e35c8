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
    /// What makes the start durable, where the disk refused that: nothing is stored before it is.
    private(set) var refused: RefusedStart?
    /// Rows of this start that the disk has not taken.
    private(set) var held: [StoredRow] = []

    private let storedEpoch: UInt32
    private let lastRecorded: UnixTime?
    private var gaps: [GapRecord] = []
    /// What a put back state folder may have forgotten.
    private var forgottenStarts: UInt32 = 0
    /// Positions that are missing and that this start tells.
    var toldHoles: [ClosedRange<Position>] { gaps.compactMap(\.positions) }

    static let fileName = "journal.sqlite"

    /// What was found before, and how.
    private struct Place {
        var path: String
        var mark: StateMark?
        /// Whether the lock file is a copy of the one that the mark was written into.
        var isCopy: Bool
        var settings: BufferSettings
        var clock: any Timekeeper
    }

    static func open(
        folder: String, lock: StateLock, settings: BufferSettings, clock: any Timekeeper
    ) throws(JournalError) -> JournalOpening {
        let path = folder + "/" + fileName
        let mark = lock.mark
        let place = Place(
            path: path, mark: mark, isCopy: !lock.isOriginal(mark?.stamp), settings: settings, clock: clock)
        let ballast = Ballast(folder: folder)
        do {
            var opening = try attempt(place, lock, makesRoom: false)
            if opening.refused != nil, ballast.release() {
                opening.database.abandon()
                opening = try attempt(place, lock, makesRoom: true)
            }
            if opening.refused == nil { ballast.restore() }
            return opening
        } catch let error as JournalError {
            throw error
        } catch {
            throw .unusable("\(path) cannot be opened: \(error); check the folder's owner and free space")
        }
    }

    private static func attempt(_ place: Place, _ lock: StateLock, makesRoom: Bool) throws -> JournalOpening {
        let found = try found(place)
        do {
            return try begun(found, lock, place, makesRoom: makesRoom)
        } catch  where isDamage(error) && found.notes.isEmpty {
            // Damage that only writing meets.
            found.database.abandon()
            return try begun(try afterDamage("\(error)", place), lock, place, makesRoom: false)
        }
    }

    private static func begun(
        _ found: JournalOpening, _ lock: StateLock, _ place: Place, makesRoom: Bool
    ) throws -> JournalOpening {
        var opening = found
        opening.skipWhatMayBeGone(place)
        if makesRoom, opening.database.isOpen { opening.evictSome(place) }
        try opening.begin(lock, place)
        return opening
    }

    private static func found(_ place: Place) throws -> JournalOpening {
        do {
            return try sound(place)
        } catch  where DiskRefusal.isRefusal(error, of: place.path) {
            return try JournalOpening(refused: error, place)
        }
    }

    private static func sound(_ place: Place) throws -> JournalOpening {
        if place.mark?.isDamaged == true { return try afterDamage("damage was met while running", place) }
        do {
            return try JournalOpening(place)
        } catch  where isDamage(error) {
            return try afterDamage("\(error)", place)
        }
    }

    private init(_ place: Place) throws {
        database = try place.settings.database(at: place.path)
        do {
            storedEpoch = try database.storedEpoch()
            (first, next) = try database.bounds()
            publishers = try database.publishers()
            lastRecorded = try database.lastRecorded()
        } catch {
            database.abandon()
            throw error
        }
        mark = place.mark ?? StateMark(epoch: 0, reserved: 1, unsyncedBoot: nil)
    }

    /// The disk refuses to open the file: what can be read of it without writing, and the mark, have to do.
    private init(refused error: any Error, _ place: Place) throws {
        database = try place.settings.database(at: place.path, isOpen: false)
        mark = place.mark ?? StateMark(epoch: 0, reserved: 1, unsyncedBoot: nil)
        let glance = JournalGlance(path: place.path)
        storedEpoch = glance?.epoch ?? mark.epoch
        next = glance?.next ?? mark.reserved
        first = glance?.first ?? next
        publishers = glance?.publishers ?? [:]
        lastRecorded = glance?.lastRecorded
        refused = RefusedStart(reason: "\(error)", knowsPublishers: glance != nil)
    }

    /// Sets the file aside, saves the rows that can still be read, and goes on behind them.
    private static func afterDamage(_ damage: String, _ place: Place) throws -> JournalOpening {
        let path = place.path
        let aside = path + ".corrupt-" + place.clock.utc.rfc3339.replacingOccurrences(of: ":", with: "")
        let salvage = Salvage(path: path)
        // Made beside the old file and renamed when it is complete: a kill in between repeats the repair.
        try salvage.rescue(into: path + ".salvage", durability: place.settings.durability)
        for suffix in StoreFile.suffixes where FileManager.default.fileExists(atPath: path + suffix) {
            try FileManager.default.moveItem(atPath: path + suffix, toPath: aside + suffix)
        }
        try FileManager.default.moveItem(atPath: path + ".salvage", toPath: path)
        var opening = try JournalOpening(place)
        opening.gaps = salvage.holes
        opening.notes.append(
            "\(path) was damaged (\(damage)) and is set aside as \(aside); \(salvage.rowCount) rows were saved")
        let reserved = place.mark?.reserved ?? opening.next + Salvage.safetyMargin
        opening.skip(to: max(reserved, opening.next), clock: place.clock)
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

    /// Positions that an older, replaced, put back or rolled back file does not know of are never given again.
    private mutating func skipWhatMayBeGone(_ place: Place) {
        if place.isCopy {
            return skipForgotten(
                place, since: place.mark?.stamp?.time, "the state folder was put back from a copy, or moved")
        }
        guard notes.isEmpty else { return }
        guard let mark = place.mark else {
            // A journal without its mark may be of any age.
            guard storedEpoch > 0, refused == nil else { return }
            return skipForgotten(place, since: lastRecorded, "the mark of the state folder is gone (journal.lock)")
        }
        let isOlder = storedEpoch < mark.epoch
        let isPutBack = mark.next.map { next < $0 } ?? false
        let lostPower = mark.unsyncedBoot.map { $0 != StateMark.currentBoot } ?? false
        guard mark.reserved > next, isOlder || isPutBack || lostPower || mark.isVolatile else { return }
        if isOlder {
            notes.append("the journal is older than the state folder: rows of the last run are gone")
        } else if mark.isVolatile {
            notes.append("the last run ended while the disk refused rows: those that waited in memory are gone")
        } else if lostPower {
            notes.append("the machine went down with the last moments not yet on the disk (durability: process)")
        } else {
            notes.append(
                "the journal was put back from a copy of this run: it ends before row \(next), rows up to "
                    + "\((mark.next ?? next) - 1) were stored")
        }
        skip(to: mark.reserved, clock: place.clock)
    }

    /// Skips what a lost time may have used, epochs as well.
    private mutating func skipForgotten(_ place: Place, since: UnixTime?, _ why: String) {
        let forgotten = ForgottenRun(since: since, now: place.clock.utc)
        forgottenStarts = forgotten.starts
        notes.append("\(why): positions and epochs that were used since then are skipped")
        skip(to: max(next, mark.reserved) + forgotten.rows, clock: place.clock)
    }

    private mutating func skip(to position: Position, clock: any Timekeeper) {
        let now = clock.utc
        // Positions end where they are stored: as signed numbers.
        let position = max(next, min(position, Position(Int64.max / 2)))
        gaps.append(
            GapRecord(
                positions: position > next ? next...(position - 1) : nil, from: min(lastRecorded ?? now, now), to: now,
                reason: .diskError, count: 0))
        if first == next { first = position }
        next = position
    }

    /// Gives up the oldest rows for room on a full disk.
    private mutating func evictSome(_ place: Place) {
        do {
            let (kept, gap) = try database.makeRoom(
                first: first, next: next, publishers: publishers, epoch: max(storedEpoch, 1), now: place.clock.utc)
            notes.append("the disk is full: rows \(first) to \(kept - 1) were evicted to make room")
            publishers = publishers.mapValues { $0.removing(0...(kept - 1)) }
            first = kept
            if gap { next += 1 }
        } catch {
            // The start goes on from memory.
        }
    }

    // MARK: - Beginning

    /// The epoch, the positions behind it and what the start has to tell become durable before anything else is done; where the
    /// disk refuses that, the mark alone does, and where it refuses that too, numbers that no other start can have.
    private mutating func begin(_ lock: StateLock, _ place: Place) throws {
        let now = place.clock.utc
        if refused != nil { try prepareMemory(lock, place) }
        let last = max(storedEpoch, mark.epoch)
        guard last < .max - forgottenStarts, next < Position(Int64.max / 2) else {
            throw JournalError.unusable("the state folder has used up its numbers; start with a new gateway.state")
        }
        epoch = last + 1 + forgottenStarts
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
        let found = (next: next, gaps: gaps)
        next += Position(rows.count)
        if refused == nil {
            do {
                try database.begin(epoch: epoch, at: now, next: next, gaps: rows, publishers: publishers)
            } catch  where DiskRefusal.isRefusal(error, of: place.path) {
                refused = RefusedStart(reason: "\(error)", knowsPublishers: true)
                (next, gaps) = found
                gaps.removeAll { $0.reason == .restart }
                return try begin(lock, place)
            }
        }
        if refused != nil { held = rows }
        refused?.begins(epoch: epoch, at: now)
        try writeMark(lock, place.settings)
    }

    private mutating func writeMark(_ lock: StateLock, _ settings: BufferSettings) throws {
        let isMarked = refused?.isMarked ?? true
        mark = StateMark(
            epoch: epoch, reserved: next + StateMark.reserve,
            unsyncedBoot: settings.durability == .power ? nil : StateMark.currentBoot, next: next)
        mark.isVolatile = refused != nil
        if isMarked { try lock.write(mark) }
    }

    /// Whether the mark can be written. Where not, the start's numbers come from the clock.
    private mutating func prepareMemory(_ lock: StateLock, _ place: Place) throws {
        let reason = refused?.reason ?? ""
        notes.append("the disk refuses the journal (\(reason)): readings are published from memory until it takes them")
        var known = mark
        known.isVolatile = true
        guard (try? lock.write(known)) == nil else { return }
        refused?.isMarked = false
        guard forgottenStarts == 0 else { return }
        let since = place.mark?.stamp?.time ?? .earliestPlausible
        skipForgotten(place, since: since, "the mark of the state folder cannot be written")
    }
}

/// A start that the disk refused: what has to be stored before the first row is.
struct RefusedStart: Hashable, Sendable {
    let reason: String
    /// Whether it is known what publishers have to deliver.
    let knowsPublishers: Bool
    /// Whether the mark of the state folder could be written.
    var isMarked = true
    private(set) var epoch: UInt32 = 0
    private(set) var time = UnixTime(milliseconds: 0)

    init(reason: String, knowsPublishers: Bool) {
        self.reason = reason
        self.knowsPublishers = knowsPublishers
    }

    mutating func begins(epoch: UInt32, at time: UnixTime) {
        (self.epoch, self.time) = (epoch, time)
    }
}

extension BufferSettings {
    /// Bytes of ``maxByteCount`` that are left to the write-ahead log and its index: what is evicted is moved through it, and a
    /// reader may hold it back for a while.
    var logAllowance: Int64 { min(maxByteCount / 8, 64 << 20) }

    /// Bytes that rows may take.
    var rowByteLimit: Int64 { maxByteCount - logAllowance }

    func database(at path: String, isOpen: Bool = true) throws -> JournalDatabase {
        try JournalDatabase(
            path: path, durability: durability, logByteLimit: min(StoreFile.logByteLimit, logAllowance / 2),
            isOpen: isOpen)
    }
}
