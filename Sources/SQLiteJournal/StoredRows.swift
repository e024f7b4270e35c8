import Engine
import Model

/// Reads rows from the file, on a queue of its own: a slow disk holds up no task that does not wait for it.
actor StoredRows {
    private let executor = QueueExecutor(label: "journal.read")
    private let database: JournalDatabase

    init(database: JournalDatabase) {
        self.database = database
    }

    nonisolated var unownedExecutor: UnownedSerialExecutor {
        executor.asUnownedSerialExecutor()
    }

    /// Rows from `position` on up to `next`. Where the file is damaged they begin later, at the first row that can be read.
    ///
    /// - Returns: the rows, the end of what was looked at, and the damage that was stepped over.
    func rows(
        from position: Position, before next: Position, limit: Int, byteLimit: Int
    ) throws -> (rows: [StoredRow], end: Position, damage: (any Error)?) {
        var start = position
        var step: Position = 1
        var damage: (any Error)?
        while start < next {
            do {
                let found = try database.rows(from: start, limit: limit, byteLimit: byteLimit)
                let rows = found.rows.filter { $0.position < next }
                return (rows, found.isComplete ? next : rows.last.map { $0.position + 1 } ?? next, damage)
            } catch  where JournalOpening.isDamage(error) {
                damage = error
                start += step
                step *= 2
            }
        }
        return ([], next, damage)
    }

    func layout(_ id: LayoutID) throws -> [UInt8]? {
        try database.layout(id)
    }
}
