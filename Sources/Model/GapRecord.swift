/// Why data is missing (`gap/1`, field `reason`). The raw value is stored in the journal: never renumber.
package enum GapReason: UInt8, Sendable, CaseIterable {
    /// Rows left the journal before every publisher had delivered them: `max_size`, `max_age`, or a disk that fills.
    case bufferEvicted = 0
    /// The bus had no time for the poll, or polling was paused.
    case notPolled = 1
    /// The device did not answer; its readings are published as bad too.
    case deviceDown = 2
    /// The gateway was not running, or was killed before a commit.
    case restart = 3
    /// The disk refused rows, or stored rows cannot be read, or positions are skipped after files were put back.
    case diskError = 4

    package var code: String {
        switch self {
        case .bufferEvicted: "buffer_evicted"
        case .notPolled: "not_polled"
        case .deviceDown: "device_down"
        case .restart: "restart"
        case .diskError: "disk_error"
        }
    }
}

/// A loss, recorded like data (`gap/1` without what the journal adds).
package struct GapRecord: Hashable, Sendable {
    package var device: String?
    package var point: String?
    /// Journal positions that are gone, where positions are gone.
    package var positions: ClosedRange<UInt64>?
    /// The time in which something is missing.
    package var from: UnixTime
    package var to: UnixTime
    package var reason: GapReason
    /// How many batches, polls or readings are missing; 0 where nobody can know.
    package var count: UInt64

    package init(
        device: String? = nil, point: String? = nil, positions: ClosedRange<UInt64>? = nil, from: UnixTime,
        to: UnixTime,
        reason: GapReason, count: UInt64
    ) {
        self.device = device
        self.point = point
        self.positions = positions
        self.from = from
        self.to = to
        self.reason = reason
        self.count = count
    }
}
