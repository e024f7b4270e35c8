extension Device {
    /// The device with the points that it was found to have.
    package func holding(_ chain: SunSpecChain) -> Device {
        guard let selection = sunSpec else { return self }
        var device = undiscovered
        device.chain = chain
        device.points += selection.points(of: chain)
        device.identity += selection.identity(of: chain)
        return device
    }

    /// The device as long as nobody knows which models it holds: without their points.
    package var undiscovered: Device {
        guard let selection = sunSpec else { return self }
        let assumed = Set(selection.points(of: chain ?? selection.nominal).map(\.name))
        let checks = chain.map { Set(selection.identity(of: $0)) } ?? []
        var device = self
        device.chain = nil
        device.points.removeAll { assumed.contains($0.name) }
        device.identity.removeAll { checks.contains($0) }
        return device
    }
}
