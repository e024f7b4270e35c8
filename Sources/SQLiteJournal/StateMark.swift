import Engine
import Foundation
import Model

/// What must be known of a state folder even when its database is damaged, gone or rolled back by a power cut: which epoch
/// runs and which positions may have been given away. Stored in the lock file, always synced.
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

    static let byteCount = 160

    /// One line of text, padded so that it is always overwritten in place.
    var line: [UInt8] {
        let text =
            "headgate-state 1 \(epoch) \(reserved) \(condition) \(unsyncedBoot ?? "synced")"
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

    init(epoch: UInt32, reserved: Position, unsyncedBoot: String?) {
        self.epoch = epoch
        self.reserved = reserved
        self.unsyncedBoot = unsyncedBoot
    }

    /// Nil where the bytes are not a mark.
    init?(line: [UInt8]) {
        let words = String(decoding: line, as: UTF8.self).split(whereSeparator: \.isWhitespace)
        guard words.count == 6, words[0] == "headgate-state", words[1] == "1", let epoch = UInt32(words[2], in: 0...UInt32.max - 1),
            let reserved = Position(words[3], in: 0...Position(Int64.max / 2))
        else { return nil }
        self.init(epoch: epoch, reserved: reserved, unsyncedBoot: words[5] == "synced" ? nil : String(words[5]))
        isDamaged = words[4].hasPrefix("damaged")
        isVolatile = words[4].hasSuffix("volatile")
    }

    /// Names this boot of the machine.
    static var currentBoot: String {
        let id = try? String(contentsOfFile: "/proc/sys/kernel/random/boot_id", encoding: .utf8)
        return id?.trimmingCharacters(in: .whitespacesAndNewlines) ?? "unknown"
    }
}
