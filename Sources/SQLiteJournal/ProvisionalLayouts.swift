import Engine
import Model

/// Layouts that were registered while the disk took nothing, under numbers of their own, and the numbers that they got once it
/// did. A pure value.
struct ProvisionalLayouts: Sendable {
    /// Numbers that a journal never comes to by counting.
    private static let base: LayoutID = 0x8000_0000

    private(set) var waiting: [LayoutID: DeviceLayout] = [:]
    /// The stored number of each that is stored.
    private(set) var known: [LayoutID: LayoutID] = [:]

    mutating func add(_ layout: DeviceLayout) -> LayoutID {
        if let id = waiting.first(where: { $0.value == layout })?.key { return id }
        let id = Self.base + LayoutID(waiting.count + known.count)
        waiting[id] = layout
        return id
    }

    mutating func stored(_ id: LayoutID, as stored: LayoutID) {
        waiting[id] = nil
        known[id] = stored
    }

    /// The row with the stored number of its layout.
    func settled(_ row: StoredRow) -> StoredRow {
        guard !known.isEmpty, case .readings(var batch)? = try? BatchCodec.decode(row.body),
            let id = known[batch.layout]
        else { return row }
        batch.layout = id
        var row = row
        row.body = BatchCodec.encode(.readings(batch))
        return row
    }
}
