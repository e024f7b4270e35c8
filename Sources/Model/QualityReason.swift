/// Why a reading is not plainly good (or that it was forced locally). The raw value is the bit in ``QualityReasons`` and
/// is stored in the journal: never renumber.
package enum QualityReason: UInt8, Sendable, CaseIterable {
    /// A person forced the value at the device; it is good.
    case localOverride = 0
    /// The last value that was read, because the device answers no longer.
    case lastValue = 1
    /// The value is older than it should be.
    case stale = 2
    /// The value has not moved for longer than is plausible.
    case flatline = 3
    /// Another value stands in for the measured one.
    case substituted = 4
    /// The sensor is at the end of its range.
    case sensorLimit = 5
    /// The value is outside of the `range` of the point.
    case outOfRange = 6
    /// The value jumped further than is plausible.
    case spike = 7
    /// The value moves away from what comparable points show.
    case drift = 8
    /// Parts of the value were read at different times.
    case torn = 9
    /// The clock that gave the time was not set.
    case clockSuspect = 10
    /// A simulator made the value.
    case simulated = 11
    /// The device is perhaps not the one that its profile describes.
    case configSuspect = 12
    /// The value is outside of the `limits` of the point.
    case impossible = 13
    /// The registers hold a pattern that means "no value".
    case sentinel = 14
    /// The device does not have this point.
    case notImplemented = 15
    /// The device did not answer in time.
    case timeout = 16
    /// There is no connection to the device.
    case commDown = 17
    /// The answer was not a valid answer to the request.
    case protocolError = 18
    /// The device refuses the address.
    case badAddress = 19
    /// The device reports a failure of its own (exception 04).
    case deviceFailure = 20
    /// The device is busy (exceptions 05 and 06).
    case deviceBusy = 21
    /// The registers are not valid in the type of the point.
    case decodeError = 22
    /// Nothing has been read yet.
    case waiting = 23
    /// Polling is paused for a scan.
    case outOfService = 24
    /// The gateway is stopping.
    case shutdown = 25

    /// The code in `reading/1`.
    package var code: String {
        Self.codes[Int(rawValue)]
    }

    /// The quality that this reason implies.
    package var quality: Quality {
        switch self {
        case .localOverride: .good
        case .lastValue, .stale, .flatline, .substituted, .sensorLimit, .outOfRange, .spike, .drift, .torn,
            .clockSuspect, .simulated, .configSuspect:
            .uncertain
        case .impossible, .sentinel, .notImplemented, .timeout, .commDown, .protocolError, .badAddress, .deviceFailure,
            .deviceBusy, .decodeError, .waiting, .outOfService, .shutdown:
            .bad
        }
    }

    /// The OPC UA status code (Part 4, 7.39) that means the same.
    package var opcUAStatus: UInt32 {
        switch self {
        case .localOverride: 0x0096_0000
        case .lastValue: 0x408F_0000
        case .stale, .flatline: 0x4090_0000
        case .substituted: 0x4091_0000
        case .sensorLimit: 0x4093_0000
        case .outOfRange: 0x4094_0000
        case .spike, .drift, .torn, .clockSuspect: 0x4000_0000
        case .simulated: 0x4209_0000
        case .configSuspect: 0x420F_0000
        case .impossible: 0x803C_0000
        case .sentinel: 0x808C_0000
        case .notImplemented: 0x803D_0000
        case .timeout: 0x800A_0000
        case .commDown: 0x8031_0000
        case .protocolError: 0x8005_0000
        case .badAddress: 0x8089_0000
        case .deviceFailure: 0x808B_0000
        case .deviceBusy: 0x8004_0000
        case .decodeError: 0x8038_0000
        case .waiting: 0x8032_0000
        case .outOfService: 0x808D_0000
        case .shutdown: 0x800C_0000
        }
    }

    package init?(code: String) {
        guard let index = Self.codes.firstIndex(of: code) else { return nil }
        self.init(rawValue: UInt8(index))
    }

    private static let codes = [
        "local_override", "last_value", "stale", "flatline", "substituted", "sensor_limit", "out_of_range", "spike",
        "drift",
        "torn", "clock_suspect", "simulated", "config_suspect", "impossible", "sentinel", "not_implemented", "timeout",
        "comm_down", "protocol_error", "bad_address", "device_failure", "device_busy", "decode_error", "waiting",
        "out_of_service", "shutdown",
    ]
}

/// A set of reasons in four bytes; its quality is the worst that any of them implies.
package struct QualityReasons: OptionSet, Hashable, Sendable {
    package var rawValue: UInt32

    package init(rawValue: UInt32) {
        self.rawValue = rawValue
    }

    package init(_ reason: QualityReason) {
        rawValue = 1 << UInt32(reason.rawValue)
    }

    package func contains(_ reason: QualityReason) -> Bool {
        rawValue & (1 << UInt32(reason.rawValue)) != 0
    }

    package mutating func insert(_ reason: QualityReason) {
        rawValue |= 1 << UInt32(reason.rawValue)
    }

    package var quality: Quality {
        if rawValue == 0 { return .good }
        if rawValue & Self.badMask != 0 { return .bad }
        return rawValue & Self.uncertainMask != 0 ? .uncertain : .good
    }

    /// The single reasons, in the order of their raw values.
    package var reasons: [QualityReason] {
        QualityReason.allCases.filter { contains($0) }
    }

    private static let badMask = mask(of: .bad)
    private static let uncertainMask = mask(of: .uncertain)

    private static func mask(of quality: Quality) -> UInt32 {
        QualityReason.allCases.filter { $0.quality == quality }.reduce(0) { $0 | 1 << UInt32($1.rawValue) }
    }
}
