import Engine
import Model

/// Rows that have their positions but not yet a place on the disk, because it refuses them: publishers are served from
/// here, and each commit tries to store them first. Positions are contiguous. A pure value; its owner decides when.
struct HeldRows: Sendable {
    /// Bytes held, each row's own cost included. More than ``RecentRows`` keeps, so that what is dropped is nowhere else.
    static let byteLimit = 8 << 20
    private static let rowCost = 96

    /// What had to be given up because the disk refused for too long: the oldest first.
    struct Dropped: Hashable, Sendable {
        var positions: ClosedRange<Position>
        var from: UnixTime
        var to: UnixTime
        /// Readings that some publisher still had to deliver.
        var readings: UInt64
    }

    private(set) var rows: [StoredRow] = []
    /// Readings in each row; 0 for a gap record.
    private var readings: [Int] = []
    private var byteCount = 0
    private(set) var dropped: Dropped?

    var isEmpty: Bool { rows.isEmpty }
    var first: Position? { rows.first?.position }

    /// - Parameter isOwed: whether some publisher still has to deliver a position.
    /// - Returns: undelivered readings that had to go to make room.
    mutating func append(
        _ row: StoredRow, readings count: Int, isOwed: (Position) -> Bool
    ) -> UInt64 {
        rows.append(row)
        readings.append(count)
        byteCount += row.body.count + Self.rowCost
        guard byteCount > Self.byteLimit else { return 0 }
        return makeRoom(isOwed)
    }

    /// Drops an eighth at once, so that it does not come back with each row.
    private mutating func makeRoom(_ isOwed: (Position) -> Bool) -> UInt64 {
        var lost: UInt64 = 0
        var end = 0
        while byteCount > Self.byteLimit / 8 * 7, end < rows.count - 1 {
            byteCount -= rows[end].body.count + Self.rowCost
            if isOwed(rows[end].position) { lost += UInt64(readings[end]) }
            end += 1
        }
        let from = dropped?.from ?? rows[0].recorded
        let low = dropped?.positions.lowerBound ?? rows[0].position
        dropped = Dropped(
            positions: low...rows[end - 1].position, from: from, to: max(from, rows[end - 1].recorded),
            readings: (dropped?.readings ?? 0) + lost)
        rows.removeFirst(end)
        readings.removeFirst(end)
        return lost
    }

    var readingCount: UInt64 { readings.reduce(0) { $0 + UInt64($1) } }

    /// Rows from `position` on.
    func rows(from position: Position, limit: Int, byteLimit: Int) -> [StoredRow] {
        guard let first, position >= first, position - first < UInt64(rows.count) else { return [] }
        var result: [StoredRow] = []
        var byteCount = 0
        for row in rows[Int(position - first)...].prefix(max(0, limit)) where byteCount < byteLimit {
            byteCount += row.body.count
            result.append(row)
        }
        return result
    }
}

extension HeldRows.Dropped {
    /// What is told as soon as the disk takes rows again.
    var record: GapRecord {
        GapRecord(positions: positions, from: from, to: to, reason: .diskError, count: readings)
    }
}
