package import Model

/// When a device is asked which SunSpec models it holds: until somebody knows, and again when what it should hold is no
/// longer there. Ever more rarely while the answer makes no sense.
package struct Discovery: Hashable, Sendable {
    /// What is known, for people.
    package enum State: Hashable, Sendable {
        /// Its points are written in its profile.
        case none
        /// Not asked yet.
        case pending
        /// It holds no models, or does not answer; says why in words.
        case failed(String)
        case found(SunSpecChain, missing: [UInt16])
    }

    private let isKnown: Bool
    private let isWanted: Bool
    private var askAt = Duration.zero
    private var pause = RetryPause()

    package init(of device: Device) {
        isWanted = device.sunSpec != nil
        isKnown = device.chain != nil
    }

    /// - Parameter identity: what is known of the device; where its chain is known, that includes whether it still has it.
    package func isDue(identity: Identification.State, at now: Duration) -> Bool {
        guard isWanted, now >= askAt else { return false }
        if !isKnown { return true }
        switch identity {
        case .wrong, .unverified: return true
        case .exempt, .pending, .confirmed: return false
        }
    }

    /// - Parameter jitter: 0..<1, so that many devices are not asked in step.
    package mutating func asked(at now: Duration, jitter: Double) {
        askAt = now + pause.next(jitter: jitter)
    }
}

/// A device was found to hold other models than it was polled for.
package struct DiscoveredChain: Hashable, Sendable {
    package var device: String
    package var chain: SunSpecChain

    package init(device: String, chain: SunSpecChain) {
        self.device = device
        self.chain = chain
    }
}
