package import Model

/// Finding out which models devices hold.
extension Poller {
    /// How often it is looked at whether a device is to be asked.
    private static let discoveryInterval = Duration.seconds(1)

    /// Asks devices until the task is cancelled; ends at once where no device has points to be found.
    func discover() async {
        guard devices.contains(where: { $0.device.sunSpec != nil }) else { return }
        while !Task.isCancelled {
            for index in devices.indices where isDiscoveryDue(index) { await discover(index) }
            try? await clock.sleep(until: clock.uptime + Self.discoveryInterval)
        }
    }

    private func isDiscoveryDue(_ index: Int) -> Bool {
        !isPaused && discoveries[index].isDue(identity: identities[index].state, at: clock.uptime) && mayAsk(index)
    }

    private func discover(_ index: Int) async {
        let device = devices[index].device
        let result = await models(of: index, .poll)
        if case .outOfService = result { return }
        discoveries[index].asked(at: clock.uptime, jitter: Double.random(in: 0..<1))
        switch result {
        case .found(let chain):
            let missing = device.sunSpec?.missing(in: chain) ?? []
            board.update(device.id) { $0.discovery = .found(chain, missing: missing) }
            if chain != device.chain { found.yield(DiscoveredChain(device: device.id, chain: chain)) }
        case .failed(let words):
            board.update(device.id) { status in
                status.discovery = .failed(words)
                if device.chain == nil { status.state = .degraded }
            }
        case .silent(let reason):
            board.update(device.id) { status in
                status.discovery = .failed("it does not answer (\(reason.code))")
                status.trouble = reason.code
                if device.chain == nil { status.state = .offline }
            }
        case .outOfService: break
        }
    }

    private enum Models {
        case found(SunSpecChain)
        case failed(String)
        case silent(QualityReason)
        /// Somebody else has the line.
        case outOfService
    }

    private func models(of index: Int, _ claim: BusSlots.Claim) async -> Models {
        var walk = SunSpecWalk()
        while true {
            switch walk.step {
            case .found(let chain): return .found(chain)
            case .failed(let words): return .failed(words)
            case .read(let span):
                await takeSlot(index, claim)
                let sent = clock.uptime
                let result = await read(span, unit: devices[index].device.unit)
                let cost = clock.uptime - sent
                slots.release(index, claim, used: cost)
                if isPaused { return .outOfService }
                await rest(devices[index].device.limits.pause)
                switch result {
                case .success(let words):
                    note(health[index].answered(), of: index)
                    walk.received(.words(words))
                case .failure(.refused(let code)) where (1...3).contains(code): walk.received(.refused)
                case .failure(let error):
                    noteFailure(error, of: index, cost: cost)
                    await keepFault(error, reading: span, of: index)
                    return .silent(PollFault(error).reason)
                }
            }
        }
    }

    /// Asks a device once, ahead of all polls: which models it holds, or why that is not known, in words.
    package func modelsNow(of device: String) async -> Result<SunSpecChain, SunSpecProblem> {
        guard let index = devices.firstIndex(where: { $0.device.id == device }) else {
            return .failure(SunSpecProblem(words: "no device '\(device)' on this connection"))
        }
        switch await models(of: index, .urgent) {
        case .found(let chain): return .success(chain)
        case .failed(let words): return .failure(SunSpecProblem(words: words))
        case .silent(let reason): return .failure(SunSpecProblem(words: "it does not answer (\(reason.code))"))
        case .outOfService: return .failure(SunSpecProblem(words: Self.pauseReason))
        }
    }
}

/// Why the models of a device are not known, in words.
package struct SunSpecProblem: Error, Hashable, Sendable {
    package var words: String
}
