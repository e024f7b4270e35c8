import Engine
import Files
import Foundation
import Model

/// What must be known of a state folder even when its database is damaged, gone, put back from a copy or rolled back by a
/// power cut: which epoch runs and which positions may have been given away. Stored in the lock file.
struct StateMark: Hashable, Sendable {
    /// How far ahead positions are reserved: one more fsync in so many rows, and the largest hole that a lost database leaves.
    static let reserve: Position = 100_000

    var epoch: UInt32
    /// No position at or above was ever given away; exactly the next one after a clean close.
    var reserved: Position
    /// Damage was met while running: the next start repairs.
    var isDamaged = false
    /// Positions were given to rows that the disk had refused: the next start goes on behind all of them.
    var isVolatile = false
    /// The machine's boot under which commits are not synced, nil where each is: another boot then means that committed
    /// rows may be gone.
    var unsyncedBoot: String?
    /// The position behind the newest row of the database: a database that knows less was put back from a copy. Written
    /// behind each commit, before anything of it is published, and not synced: what a power cut leaves is never ahead of the
    /// rows. Nil in a mark of an older version.
    var next: Position?
    /// Tells the lock file from a copy of it; nil in a mark of an older version.
    var stamp: FileStamp?

    static let byteCount = 256

    /// One line of text, padded so that it is always overwritten in place.
    var line: [UInt8] {
        let text =
            "headgate-state 2 \(epoch) \(reserved) \(condition) \(unsyncedBoot ?? "synced") \(next ?? 0) "
            + (stamp ?? .none).words
        return Array(text.utf8.prefix(Self.byteCount - 1))
            + [UInt8](repeating: 32, count: Self.byteCount - 1)
            .dropFirst(text.utf8.count) + [10]
    }

    private var condition: String {
        switch (isDamaged, isVolatile) {
        case (false, false): "sound"
        case (true, false): "damaged"
        case (false, true): "volatile"
        case (true, true): "damaged+volatile"
        }
    }

    init(epoch: UInt32, reserved: Position, unsyncedBoot: String?, next: Position? = nil) {
        self.epoch = epoch
        self.reserved = reserved
        self.unsyncedBoot = unsyncedBoot
        self.next = next
    }

    /// Nil where the bytes are not a mark. Version 1 has neither ``next`` nor ``stamp``.
    init?(line: [UInt8]) {
        let words = String(decoding: line, as: UTF8.self).split(whereSeparator: \.isWhitespace)
        guard words.count >= 6, words[0] == "headgate-state", let epoch = UInt32(words[2], in: 0...UInt32.max),
            let reserved = Position(words[3], in: 0...Position(Int64.max / 2))
        else { return nil }
        self.init(epoch: epoch, reserved: reserved, unsyncedBoot: words[5] == "synced" ? nil : String(words[5]))
        isDamaged = words[4].hasPrefix("damaged")
        isVolatile = words[4].hasSuffix("volatile")
        switch (words[1], words.count) {
        case ("1", 6): return
        case ("2", 7 + FileStamp.wordCount):
            guard let next = Position(words[6], in: 0...reserved), let stamp = FileStamp(words[7...]) else {
                return nil
            }
            self.next = next == 0 ? nil : next
            self.stamp = stamp == .none ? nil : stamp
        case _: return nil
        }
    }

    /// The mark of a state folder that another process may hold; nil where there is none that can be read.
    init?(folder: String) {
        guard let file = try? RegularFile(folder + "/journal.lock", limit: Self.byteCount) else { return nil }
        self.init(line: file.bytes)
    }

    /// Names this boot of the machine.
    static var currentBoot: String {
        let id = try? String(contentsOfFile: "/proc/sys/kernel/random/boot_id", encoding: .utf8)
        return id?.trimmingCharacters(in: .whitespacesAndNewlines) ?? "unknown"
    }
}

/// How much a state folder that was put back from a copy may have forgotten: all that a gateway could have done since the
/// copy was made. What is skipped is named by a gap record, so too much costs nothing.
struct ForgottenRun: Hashable, Sendable {
    private static let rowsPerSecond: Position = 2000
    private static let secondsPerStart: Int64 = 10
    private static let leastRows: Position = 10_000_000
    private static let leastStarts: UInt32 = 1000
    /// Ten years: a clock that was wrong must not use up the numbers.
    private static let longest: Int64 = 315_360_000

    let rows: Position
    let starts: UInt32

    /// - Parameter since: when the copy was made, nil where that is unknown.
    init(since: UnixTime?, now: UnixTime) {
        let age = since.map { now - $0 } ?? .zero
        let seconds = min(max(0, age.components.seconds), Self.longest)
        rows = Self.leastRows + Position(seconds) * Self.rowsPerSecond
        starts = Self.leastStarts + UInt32(seconds / Self.secondsPerStart)
    }
}
