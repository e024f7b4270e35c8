/// What became of writing a setpoint: the device's own word, confirmed by reading back. Nothing is ever written twice to
/// make it come true.
package enum WriteOutcome: Hashable, Sendable {
    /// The device holds the value, within the tolerance of the point.
    case verified(PointValue)
    /// The device acknowledged and holds something else: what it held before, or a value that nobody asked for.
    case differs(PointValue)
    /// The device acknowledged and went only part of the way from the old value to the new one.
    case clamped(PointValue)
    /// The device answered with an exception code and does not hold the value.
    case refused(UInt8)
    /// No request that changes anything has left this machine, or every one that did was taken back. Says why in words.
    case notSent(String)
    /// The device is not the one that its profile describes, and nothing has left this machine. Says in words who answers.
    case wrongDevice(String)
    /// The device acknowledged, and nothing can be read that confirms it (``WriteRule/Readback/nowhere``).
    case unverified
    /// Something left, and whether it took effect is unknown: to be resolved by reading back, never by writing again. Says
    /// why in words.
    case indeterminate(String)

    /// What the device was seen to hold, nil where nobody looked.
    package var readback: PointValue? {
        switch self {
        case .verified(let value), .differs(let value), .clamped(let value): value
        case .refused, .notSent, .wrongDevice, .unverified, .indeterminate: nil
        }
    }
}

/// What a read-back found.
package enum ReadBack: Hashable, Sendable {
    case value(PointValue)
    /// The device answered, but not with a value; `shown` is what it would have been.
    case bad(QualityReason, shown: PointValue? = nil)
    /// What the profile says that the place shows as long as it was never written.
    case unset(PointValue?)
    /// The device is not the one that its profile describes. Says in words who answers.
    case wrongDevice(String)
    /// Nothing could be read now. Says why in words.
    case unreachable(String)

    /// What the place shows, nil where that is no value.
    package var value: PointValue? {
        switch self {
        case .value(let value): value
        case .unset(let value): value
        case .bad, .wrongDevice, .unreachable: nil
        }
    }
}
