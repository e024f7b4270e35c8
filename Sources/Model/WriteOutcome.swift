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
    /// Something left, and whether it took effect is unknown: to be resolved by reading back, never by writing again. Says
    /// why in words.
    case indeterminate(String)

    /// What the device was seen to hold, nil where nobody looked.
    package var readback: PointValue? {
        switch self {
        case .verified(let value), .differs(let value), .clamped(let value): value
        case .refused, .notSent, .wrongDevice, .indeterminate: nil
        }
    }
}

/// What a read-back found.
package enum ReadBack: Hashable, Sendable {
    case value(PointValue)
    /// The device answered, but not with a value.
    case bad(QualityReason)
    /// Nothing could be read now. Says why in words.
    case unreachable(String)
}
