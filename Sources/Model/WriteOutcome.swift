/// What became of one write to a device. Only a read-back proves anything: an acknowledged write may have been clamped.
package enum WriteOutcome: Hashable, Sendable {
    /// The read-back is what was written, within the tolerance of the point.
    case verified(readback: PointValue)
    /// The device acknowledged and shows something else.
    case differs(readback: PointValue)
    /// The device acknowledged and took the nearest value that it allows.
    case clamped(readback: PointValue)
    /// The device answered with an exception code; nothing was changed.
    case refused(UInt8)
    /// Nothing left the gateway. Says why.
    case notSent(String)
    /// Sent, and nobody knows what the device did: to be decided by reading back, never by repeating. Says why.
    case indeterminate(String)
}

/// What a read-back showed.
package enum ReadBackOutcome: Hashable, Sendable {
    case value(PointValue)
    /// The device could not be asked. Says why.
    case unreadable(String)
}
