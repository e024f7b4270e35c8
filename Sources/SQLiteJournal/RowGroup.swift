import Engine
import Model

/// Rows that wait for the next group commit. A pure value; its owner decides when.
struct RowGroup: Sendable {
    /// A group this large is committed without waiting for its time.
    static let byteLimit = 4 << 20
    static let rowLimit = 8192

    struct Waiting: Sendable {
        var recorded: UnixTime
        var body: [UInt8]
        var readings: Int
    }

    private(set) var rows: [Waiting] = []
    private(set) var byteCount = 0
    /// Publisher states to store with the next commit.
    var pending: [String: [PositionInterval]] = [:]

    var isFull: Bool { byteCount >= Self.byteLimit || rows.count >= Self.rowLimit }
    var isEmpty: Bool { rows.isEmpty && pending.isEmpty }

    var readings: Int { rows.reduce(0) { $0 + $1.readings } }

    mutating func append(_ row: Waiting) {
        rows.append(row)
        byteCount += row.body.count
    }
}

/// The newest committed rows in memory, so that a publisher that keeps up costs no reads. What it returns is what is on
/// disk, byte for byte.
struct RecentRows: Sendable {
    /// Bytes kept; older rows are read from the file.
    static let byteLimit = 2 << 20

    private var rows: [StoredRow] = []
    private var start = 0
    private var byteCount = 0

    mutating func append(_ committed: [StoredRow]) {
        for row in committed {
            rows.append(row)
            byteCount += row.body.count
        }
        while byteCount > Self.byteLimit, start < rows.count - 1 {
            byteCount -= rows[start].body.count
            rows[start].body = []
            start += 1
        }
        if start > 1024, start > rows.count / 2 {
            rows.removeFirst(start)
            start = 0
        }
    }

    /// Rows from `position` on; nil when they are not all here.
    func rows(from position: Position, limit: Int, byteLimit: Int) -> [StoredRow]? {
        guard start < rows.count, let first = rows[start...].first?.position, position >= first else { return nil }
        let index = start + Int(position - first)
        guard index < rows.count else { return [] }
        var result: [StoredRow] = []
        var byteCount = 0
        for row in rows[index..<min(rows.count, index + limit)] where byteCount < byteLimit {
            byteCount += row.body.count
            result.append(row)
        }
        return result
    }
}
