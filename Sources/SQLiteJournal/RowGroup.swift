import Engine
import Model

/// Rows that wait for the next group commit. A pure value; its owner decides when.
struct RowGroup: Sendable {
    /// A group this large is committed without waiting for its time. Small enough that what is committed still fits into
    /// ``RecentRows`` and memory stays low when readings come as fast as they can.
    static let byteLimit = 1 << 20
    static let rowLimit = 8192

    struct Waiting: Sendable {
        var recorded: UnixTime
        var body: [UInt8]
        /// Readings in the row; 0 for a gap record.
        var readings: Int
        /// Whether the disk refused it already once.
        var wasRefused = false
    }

    private(set) var rows: [Waiting] = []
    private(set) var byteCount = 0
    /// Publisher states to store with the next commit.
    var pending: [String: [PositionInterval]] = [:]

    var isFull: Bool { byteCount >= Self.byteLimit || rows.count >= Self.rowLimit }
    var isEmpty: Bool { rows.isEmpty && pending.isEmpty }
    /// Whether rows wait that the disk refused once: their next commit is their last chance.
    var hasRefusedReadings: Bool { rows.contains { $0.wasRefused && $0.readings > 0 } }

    var readings: Int { rows.reduce(0) { $0 + $1.readings } }

    mutating func append(_ row: Waiting) {
        rows.append(row)
        byteCount += row.body.count
    }

    /// Takes back a group that the disk refused, in front of what came since. A batch gets a second chance; a gap record
    /// waits until the disk takes it, because it tells a loss, unless there are more of them than a group holds.
    ///
    /// - Returns: the rows that are lost.
    mutating func takeBack(_ refused: RowGroup) -> [Waiting] {
        var kept: [Waiting] = []
        var lost: [Waiting] = []
        for var row in refused.rows {
            let hasChance = row.readings > 0 ? !row.wasRefused : kept.count < Self.rowLimit
            row.wasRefused = true
            if hasChance { kept.append(row) } else { lost.append(row) }
        }
        rows = kept + rows
        byteCount = rows.reduce(0) { $0 + $1.body.count }
        pending.merge(refused.pending) { newer, _ in newer }
        return lost
    }
}
