import Model

/// What asking for one block gave.
struct PollAnswer: Sendable {
    var block: ReadBlock
    /// When the values were true: halfway between request and reply.
    var time: UnixTime
    var result: Result<[UInt16], PollFault>

    /// Whether the device could not be heard at all, as against a device that answers that it cannot.
    var isSilence: Bool {
        guard case .failure(let fault) = result else { return false }
        return fault.reason == .timeout || fault.reason == .commDown
    }
}

/// Why a block has no words: the reason that all its readings carry.
struct PollFault: Error, Hashable, Sendable {
    var reason: QualityReason

    init(_ reason: QualityReason) {
        self.reason = reason
    }

    init(_ error: BusError) {
        switch error {
        case .linkDown: reason = .commDown
        case .noResponse: reason = .timeout
        case .garbled, .mismatch: reason = .protocolError
        case .invalidRequest: reason = .badAddress
        case .refused(let code): reason = Self.reason(ofException: code)
        }
    }

    /// Modbus Application Protocol V1.1b3, section 7.
    private static func reason(ofException code: UInt8) -> QualityReason {
        switch code {
        case 0x01: .notImplemented
        case 0x02, 0x03: .badAddress
        case 0x05, 0x06: .deviceBusy
        case 0x0A, 0x0B: .commDown
        default: .deviceFailure
        }
    }
}
