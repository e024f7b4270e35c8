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
    /// - Returns: the rows, and the damage that was stepped over.
    func rows(
        from position: Position, before next: Position, limit: Int, byteLimit: Int
    ) throws -> (rows: [StoredRow], damage: (any Error)?) {
        var start = position
        var step: Position = 1
        var damage: (any Error)?
        while start < next {
            do {
                let rows = try database.rows(from: start, limit: limit, byteLimit: byteLimit)
                return (rows.filter { $0.position < next }, damage)
            } catch  where JournalOpening.isDamage(error) {
                damage = error
                start += step
                step *= 2
            }
        }
        return ([], damage)
    }

    func layout(_ id: LayoutID) throws -> [UInt8]? {
        try database.layout(id)
    }
}
