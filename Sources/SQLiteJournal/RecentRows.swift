import Engine
import Model

/// The newest committed rows in memory, so that a publisher that keeps up costs no reads. What it returns is what is on
/// disk, byte for byte. Positions in it are contiguous.
struct RecentRows: Sendable {
    /// Bytes kept, each row's own cost included; older rows are read from the file.
    static let byteLimit = 2 << 20
    /// What a row takes in memory besides its body.
    private static let rowCost = 80

    private var rows: [StoredRow] = []
    private var start = 0
    private var byteCount = 0

    mutating func append(_ committed: [StoredRow]) {
        for row in committed {
            rows.append(row)
            byteCount += row.body.count + Self.rowCost
        }
        while byteCount > Self.byteLimit, start < rows.count - 1 { dropOldest() }
        if start > 1024, start > rows.count / 2 {
            rows.removeFirst(start)
            start = 0
        }
    }

    /// Rows below `first` are no longer stored.
    mutating func evict(below first: Position) {
        while start < rows.count, rows[start].position < first { dropOldest() }
    }

    private mutating func dropOldest() {
        byteCount -= rows[start].body.count + Self.rowCost
        rows[start].body = []
        start += 1
    }

    /// Rows from `position` on; nil when they are not all here.
    func rows(from position: Position, limit: Int, byteLimit: Int) -> [StoredRow]? {
        guard start < rows.count, position >= rows[start].position else { return nil }
        let offset = position - rows[start].position
        guard offset < UInt64(rows.count - start) else { return [] }
        var result: [StoredRow] = []
        var byteCount = 0
        for row in rows[(start + Int(offset))...].prefix(max(0, limit)) {
            guard byteCount < byteLimit else { break }
            byteCount += row.body.count
            result.append(row)
        }
        return result
    }
}
