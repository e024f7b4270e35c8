/// The type of a point's published value (`point/1`, field `datatype`).
package enum Datatype: String, Sendable, CaseIterable {
    case bool, int16, uint16, int32, uint32, int64, uint64, float32, float64, string

    package var isNumeric: Bool {
        self != .bool && self != .string
    }
}

/// What a point is for (`point/1`, field `kind`).
package enum PointKind: String, Sendable, CaseIterable {
    case measurement, counter, state, setpoint, alarm
}
