import Model

/// Asking devices who they are.
extension Poller {
    /// After a poll: asks the device who it is where that is due. A unit that is silent is not asked: the next poll that it
    /// answers is early enough, for nothing that was read before is published before.
    func recognise(_ index: Int, isSilent: Bool, period: Duration) async {
        if !isSilent {
            await identifyBeforeJudging(index, .poll)
        } else if health[index].isOpen || period >= Identification.exchangeTime {
            identities[index].fellSilent()
        }
    }

    /// What has just been read may be of the device that was there before the question or of the one that was there after:
    /// it is as suspect as the worse of them.
    func identifyBeforeJudging(_ index: Int, _ claim: BusSlots.Claim) async {
        let before = identities[index].suspicion
        await identify(index, claim)
        devices[index].suspicion = before.union(identities[index].suspicion)
    }

    /// Asks the device who it is, if that is due. To be called when it has just answered something, so that the question
    /// goes over a channel that is open.
    ///
    /// - Parameter claim: nil within a transaction, which has the place on the bus already.
    func identify(_ index: Int, _ claim: BusSlots.Claim?) async {
        let session = await bus.session
        guard !isPaused, identities[index].isDue(session: session, at: clock.uptime) else { return }
        var asked: [RegisterSpan: Result<[UInt16], BusError>] = [:]
        var findings: [Identification.Finding] = []
        for check in identities[index].checks {
            if let span = check.span, asked[span] == nil {
                asked[span] = await take(claim, index) { await self.read(span, unit: self.devices[index].device.unit) }
            }
            findings.append(await finding(check, asked, claim, index))
            if findings.last != .confirmed { break }
        }
        let after = await bus.session
        identities[index].found(
            findings.last ?? .confirmed, session: session == after && !isPaused ? after : nil, at: clock.uptime,
            jitter: Double.random(in: 0..<1))
        board.update(devices[index].device.id) { $0.identity = identities[index].state }
    }

    private func finding(
        _ check: IdentityCheck, _ asked: [RegisterSpan: Result<[UInt16], BusError>], _ claim: BusSlots.Claim?,
        _ index: Int
    ) async -> Identification.Finding {
        let verdict: Result<IdentityVerdict, BusError>
        if let span = check.span {
            verdict = (asked[span] ?? .failure(.noResponse)).map(check.verdict(words:))
        } else {
            verdict = await take(claim, index) { await self.introduction(of: index) }.map(check.verdict(objects:))
        }
        switch verdict {
        case .success(.holds): return .confirmed
        case .success(.differs(let expected, let found)): return .wrong(expected: expected, found: found)
        case .failure(let error): return Identification.Finding(check, error)
        }
    }

    private func introduction(of index: Int) async -> Result<[UInt8: String], BusError> {
        if isPaused { return .failure(.linkDown(Self.pauseReason)) }
        let unit = devices[index].device.unit
        do throws(BusError) {
            return .success(try await bus.identification(of: unit, timeout: timeout(ofUnit: unit)))
        } catch {
            return .failure(error)
        }
    }

    /// One request in its place on the bus, with the rest after it that the device wants.
    func take<Answer>(_ claim: BusSlots.Claim?, _ index: Int, _ request: () async -> Answer) async -> Answer {
        if let claim { await takeSlot(index, claim) }
        let sent = clock.uptime
        let answer = await request()
        if let claim { slots.release(index, claim, used: clock.uptime - sent) }
        await rest(devices[index].device.limits.pause)
        return answer
    }

    /// Why nothing may be written to the device now, or believed of it. To be called within a transaction, after the device
    /// has answered: asks it first where that is due, so that a command never waits for a poll to do so.
    func identityObstacle(of index: Int) async -> Identification.Obstacle? {
        await identify(index, nil)
        return identities[index].obstacle(session: await bus.session)
    }
}
