/// A register that a device wants to be written again and again, and takes as a sign that whoever commands it is alive: when
/// it is silent for the device's own time, the device falls back by itself (profile key `watchdog`).
package struct DeviceWatchdog: Hashable, Sendable {
    /// What is written.
    package enum Values: Hashable, Sendable {
        /// 0 and 1 in turn.
        case toggle
        /// From `first` to `last`, one more each time, and again.
        case count(first: Int64, last: Int64)
        /// Always the same: the device counts writes.
        case constant(PointValue)
    }

    /// Name of the point of the same device.
    package var point: String
    /// Time between two writes: a part of the time that the device waits.
    package var every: Duration
    package var values: Values
    /// Names of the points that the device takes back by itself; nil for all that can be written.
    package var covered: [String]?

    package init(point: String, every: Duration, values: Values, covered: [String]? = nil) {
        self.point = point
        self.every = every
        self.values = values
        self.covered = covered
    }

    /// What is written the `number`th time.
    package func value(_ number: UInt64, isBool: Bool) -> PointValue {
        switch values {
        case .toggle: isBool ? .bool(number % 2 == 1) : .int(Int64(number % 2))
        case .count(let first, let last): .int(first + Int64(number % UInt64(max(1, last - first + 1))))
        case .constant(let value): value
        }
    }
}
