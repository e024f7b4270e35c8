package import Model

/// Polls the devices of one connection: the first of Headgate's two sentences, poll → decode → normalise → journal → publish.
///
/// It runs on the executor of its bus, so that nothing on the way from the wire to the journal changes threads.
package actor Poller {
    let connection: Connection
    let bus: any Bus
    private let journal: any Journal
    let clock: any Timekeeper
    let board: StatusBoard
    private let tap: ReadingTap
    var devices: [PolledDevice]
    var health: [UnitHealth]
    var identities: [Identification]
    var discoveries: [Discovery]
    /// Where models that were found are told.
    let found: AsyncStream<DiscoveredChain>.Continuation
    /// Why each device was last given up on: what its points say while it is left alone.
    var downReasons: [QualityReason]
    var schedule: PollSchedule
    /// Who wants the line for itself, see ``pause()``.
    var pauses: Int
    /// When a guest may use the bus again, see ``asGuest(_:)``.
    var guestMayUseAt = Duration.zero
    private(set) var busy: Set<Int> = []
    var timing: [DeviceTiming]
    var probes: ProbeBudget
    let chance: @Sendable () -> Double
    let substitute = Substitute()
    var slots: BusSlots
    /// Polls that a slow bus or disk made impossible, and polls that a silent device did not answer.
    private var missed: [LossTally]
    private var unanswered: [LossTally]
    /// Whether the bus is closed, or about to be: nothing may open it again.
    private(set) var isStopped = false

    package nonisolated var unownedExecutor: UnownedSerialExecutor {
        bus.executor.asUnownedSerialExecutor()
    }

    /// - Parameters:
    ///   - found: is told which SunSpec models devices were found to hold, where they are not polled for them already.
    ///   - phase: 0..<1, where in its period the first device begins; different for each connection.
    ///   - pauses: who wants the line for itself already: it begins as if ``pause()`` had been called so often.
    ///   - chance: 0..<1, what keeps probes of many units from marching in step.
    package init(
        connection: Connection, devices: [PolledDevice], bus: any Bus, journal: any Journal, clock: any Timekeeper,
        board: StatusBoard, tap: ReadingTap = ReadingTap(),
        found: AsyncStream<DiscoveredChain>.Continuation = AsyncStream.makeStream().continuation, phase: Double,
        pauses: Int = 0,
        chance: @escaping @Sendable () -> Double = { Double.random(in: 0..<1) }
    ) {
        self.connection = connection
        self.devices = devices
        self.bus = bus
        self.journal = journal
        self.clock = clock
        self.board = board
        self.tap = tap
        self.pauses = pauses
        self.chance = chance
        health = devices.map { _ in UnitHealth() }
        self.found = found
        discoveries = devices.map { Discovery(of: $0.device) }
        identities = devices.map { Identification(checks: $0.device.identity) }
        downReasons = devices.map { _ in .timeout }
        missed = devices.map { _ in LossTally(.notPolled, longestSilence: .seconds(60)) }
        unanswered = devices.map { _ in LossTally(.deviceDown, longestSilence: .seconds(600)) }
        let bounds = connection.timeoutBounds(unitCount: Set(devices.map(\.device.unit)).count)
        timing = devices.map { polled in
            let slowest = max(bounds.upperBound, polled.device.minimumTimeout)
            let shortest = min(slowest, max(bounds.lowerBound, polled.device.minimumTimeout))
            return DeviceTiming(jobCount: polled.plan.jobs.count, bounds: shortest...slowest)
        }
        probes = ProbeBudget(at: clock.uptime, longest: connection.timeout)
        slots = BusSlots(count: connection.inFlight)
        let jobs = devices.enumerated().flatMap { index, device in
            device.plan.jobs.enumerated().map { (PollSchedule.Slot(device: index, job: $0), $1.period) }
        }
        schedule = PollSchedule(jobs: jobs.map { (slot: $0.0, period: $0.1) }, start: clock.uptime, phase: phase)
    }

    /// Polls until the task is cancelled, then closes the bus.
    package func run() async {
        await withTaskExecutorPreference(bus.executor) { await poll() }
    }

    private func poll() async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.standIn() }
            await withTaskGroup(of: Void.self) { workers in
                for _ in 0..<connection.inFlight {
                    workers.addTask { await self.work() }
                }
                workers.addTask { await self.discover() }
            }
            substitute.end()
        }
        for index in devices.indices { await tellLosses(of: index, isMissing: false, isSilent: false, isLast: true) }
        // Commands that have begun come to their end, those that wait are told that nothing was sent.
        isStopped = true
        await withCheckedContinuation { slots.whenIdle($0) }
        await bus.close()
    }

    /// The next `n` of each point of each device, so that a successor goes on counting.
    package var numbers: [String: [String: UInt64]] {
        Dictionary(uniqueKeysWithValues: devices.map { ($0.device.id, $0.numbers) })
    }

    private func work() async {
        while !Task.isCancelled { await workOnce() }
    }

    /// Takes over while a command waits for a device whose poll it interrupted: that poll's worker waits with it.
    private func standIn() async {
        while await substitute.isNeeded() {
            while !Task.isCancelled, !busy.isDisjoint(with: slots.suspended) { await workOnce() }
        }
    }

    private func workOnce() async {
        let taken = busy.union(slots.suspended)
        if let due = schedule.take(at: clock.uptime, busy: taken) {
            busy.insert(due.slot.device)
            await collect(due)
            busy.remove(due.slot.device)
        } else {
            // A device that another worker is busy with frees itself; look again soon.
            let soon = clock.uptime + .milliseconds(slots.suspended.isEmpty ? 100 : 20)
            let next = schedule.nextDeadline(busy: taken) ?? soon
            try? await clock.sleep(until: slots.suspended.isEmpty ? next : min(next, soon))
        }
    }

    private func collect(_ due: PollSchedule.Due) async {
        let index = due.slot.device
        countMissed(due)
        let begun = clock.utc
        if isPaused { countUnasked(due) }
        let answers = await poll(due)
        let isSilent = !answers.isEmpty && answers.allSatisfy(\.isSilence)
        if isSilent { unanswered[index].add(1, from: begun, to: clock.utc, at: clock.uptime) }
        await tellLosses(of: index, isMissing: due.missed > 0 || isPaused, isSilent: isSilent)
        await recognise(index, isSilent: isSilent, period: due.period)
        let samples = devices[index].decode(answers, of: due.slot.job)
        let (readings, verdict) = devices[index].normalise(samples, at: clock.uptime)
        report(verdict, of: index)
        await tell(samples, of: index)
        // Publishers hear of it from the journal: there is no second path.
        if !readings.isEmpty { await journal.append(.readings(readings)) }
    }

    /// Hands the command desk what it watches: also what the deadband keeps from publishers, under the number that was
    /// published last.
    private func tell(_ samples: Samples, of index: Int) async {
        guard let wanted = tap.wanted(of: devices[index].device.id) else { return }
        let polled = devices[index]
        var watched: [ReadingSample] = []
        for (place, number) in samples.points.enumerated()
        where wanted.points.contains(polled.device.points[number].name) && !samples.readAlong.contains(number) {
            let point = polled.device.points[number]
            let (value, reasons) = polled.judged(samples, at: place)
            let next = polled.points[number].nextNumber
            watched.append(
                ReadingSample(
                    point: "\(polled.device.id)/\(point.name)", epoch: journal.epoch, number: next - min(next, 1),
                    time: samples.times[place], value: value, reasons: reasons))
        }
        if !watched.isEmpty { await wanted.sink(watched) }
    }

    // MARK: - Asking

    /// Asks for every block of the job, smaller ones where the device refuses a large one.
    private func poll(_ due: PollSchedule.Due) async -> [PollAnswer] {
        let index = due.slot.device
        var answers: [PollAnswer] = []
        var blocks = devices[index].plan.jobs[due.slot.job].blocks[...]
        let isQuiet = timing[index].quietUntil > clock.uptime
        var lost: PollFault? = mayAsk(index) && !isQuiet ? nil : PollFault(downReasons[index])
        var budget = blocks.count + Self.extraRequests
        var isFirst = true
        while let block = blocks.popFirst() {
            let now = clock.uptime
            if let lost {
                answers.append(PollAnswer(block: block, time: clock.utc, result: .failure(lost)))
            } else if devices[index].isParked(block, at: now) || budget == 0 {
                answers.append(
                    PollAnswer(block: block, time: clock.utc, result: .failure(devices[index].parkedFault(block))))
            } else {
                budget -= 1
                let (answer, error) = await askCarefully(block, of: due.slot, onFirst: isFirst ? due : nil)
                isFirst = false
                let smaller = divided(block, after: error, job: due.slot.job, of: index)
                if smaller.isEmpty { answers.append(answer) } else { blocks = smaller + blocks }
                lost = fault(afterWhichNothingIsAsked: error)
            }
        }
        // At the end, when the other blocks have shown how much the device gives.
        if lost == nil { await tellLimitFromBorder(due.slot) }
        return answers
    }

    /// Requests that one poll may spend on finding out which addresses a device refuses.
    private static let extraRequests = 24
    /// Attempts while a device says that it is busy.
    private static let busyAttempts = 3
    /// Before the second attempt; twice as long before the third.
    private static let busyPause = Duration.milliseconds(50)

    /// Asks for a block. For one that was left unanswered several times a single value is asked for first: a device that
    /// gives that, and is silent about the block again, is not away, the block is too large for it.
    ///
    /// - Parameter due: the poll whose first request this is, nil for a further one.
    private func askCarefully(
        _ block: ReadBlock, of slot: PollSchedule.Slot, onFirst due: PollSchedule.Due?
    ) async -> (PollAnswer, BusError?) {
        let index = slot.device
        let probe = devices[index].probe(before: block)
        if let probe {
            let (answer, error) = await ask(probe, of: slot, onFirst: due)
            if let error {
                return (PollAnswer(block: block, time: answer.time, result: .failure(PollFault(error))), error)
            }
        }
        let (answer, error) = await ask(block, of: slot, onFirst: probe == nil ? due : nil)
        if error == .noResponse { devices[index].silent(block, afterAnswer: probe != nil) }
        return (answer, error)
    }

    /// - Parameter due: the poll whose first request this is, nil for a further one.
    private func ask(
        _ block: ReadBlock, of slot: PollSchedule.Slot, onFirst due: PollSchedule.Due?
    ) async -> (PollAnswer, BusError?) {
        let index = slot.device
        let device = devices[index].device
        var attempt = 1
        while true {
            await takeSlot(index, .poll)
            if isPaused {
                slots.release(index, .poll, used: .zero)
                return (PollAnswer(block: block, time: clock.utc, result: .failure(PollFault(.outOfService))), nil)
            }
            let sent = clock.uptime
            if let due, attempt == 1 { timing[index].began(late: sent - due.deadline, period: due.period) }
            let result = await timedRead(block.span, unit: device.unit, timeout: timeout(of: slot))
            let time = middle(since: sent)
            let cost = clock.uptime - sent
            slots.release(index, .poll, used: cost)
            await rest(device.limits.pause)
            switch result {
            case .success(let reply):
                timing[index].answered(job: slot.job, after: reply.duration ?? cost)
                note(health[index].answered(), of: index)
                if devices[index].answered(block) { tellLearned(of: index) }
                return (PollAnswer(block: block, time: time, result: .success(reply.words)), nil)
            case .failure(.refused(let code)) where (code == 5 || code == 6) && attempt < Self.busyAttempts:
                // A device that is busy still is so a millisecond later.
                await rest(Self.busyPause * attempt)
                attempt += 1
            case .failure(let error):
                noteFailure(error, of: index, cost: cost)
                await keepFault(error, reading: block.span, of: index)
                return (PollAnswer(block: block, time: time, result: .failure(PollFault(error))), error)
            }
        }
    }

    /// The moment halfway between then and now: what a clock that is set in between cannot falsify by half its step.
    func middle(since sent: Duration) -> UnixTime {
        clock.utc - (clock.uptime - sent) / 2
    }

    /// Commands and whoever asks in person wait as long as is configured.
    func read(_ span: RegisterSpan, unit: UInt8) async -> Result<[UInt16], BusError> {
        await timedRead(span, unit: unit, timeout: timeout(ofUnit: unit)).map(\.words)
    }

    func timedRead(
        _ span: RegisterSpan, unit: UInt8, timeout: Duration
    ) async -> Result<BusReply, BusError> {
        if isPaused { return .failure(.linkDown(Self.pauseReason)) }
        do throws(BusError) {
            return .success(try await bus.timedRead(span, unit: unit, timeout: timeout))
        } catch {
            return .failure(error)
        }
    }

    /// How long a reply may take: what the connection says, but no less than what the profile says.
    func timeout(ofUnit unit: UInt8) -> Duration {
        let device = devices.first { $0.device.unit == unit }?.device
        return max(connection.timeout, device?.minimumTimeout ?? .zero)
    }

    func rest(_ pause: Duration) async {
        if pause > .zero { try? await clock.sleep(until: clock.uptime + pause) }
    }

    private func divided(_ block: ReadBlock, after error: BusError?, job: Int, of index: Int) -> [ReadBlock] {
        switch error {
        case .refused(2)?, .refused(3)?: break
        case .noResponse? where devices[index].isTooLarge(block): break
        case .mismatch? where devices[index].misfits(block): break
        case .refused?, .noResponse?, .linkDown?, .garbled?, .mismatch?, .invalidRequest?, nil: return []
        }
        defer { tellLearned(of: index) }
        return devices[index].refused(block, job: job, at: clock.uptime)
    }

    /// Forgets what was found out about the addresses of a device.
    ///
    /// - Returns: false for a device that is not here.
    package func forgetLearned(of device: String) -> Bool {
        guard let index = devices.firstIndex(where: { $0.device.id == device }) else { return false }
        devices[index].forgetLearned()
        tellLearned(of: index)
        return true
    }

    func tellLearned(of index: Int) {
        board.update(devices[index].device.id) { $0.learned = devices[index].learned }
    }

    /// A unit that does not answer one request is not asked the next ones of the same poll.
    private func fault(afterWhichNothingIsAsked error: BusError?) -> PollFault? {
        switch error {
        case .linkDown?, .noResponse?, .refused(0x0A)?, .refused(0x0B)?: error.map(PollFault.init)
        case .garbled?, .mismatch?, .refused?, .invalidRequest?, nil: nil
        }
    }

    // MARK: - Health

    @discardableResult
    func note(_ change: UnitHealth.Change, of index: Int) -> UnitHealth.Change {
        if change == .wentDown {
            identities[index].fellSilent()
            board.update(devices[index].device.id) { $0.trouble = downReasons[index].code }
        }
        return change
    }

    private func report(_ verdict: PollVerdict, of index: Int) {
        guard verdict.valueCount > 0 else { return }
        let state = verdict.state
        let now = clock.utc
        let news = timing[index].news(at: clock.uptime)
        board.update(devices[index].device.id) { status in
            // Rest says nothing about the device.
            if !verdict.worst.contains(.outOfService) { status.countPoll(failed: !verdict.hasValues) }
            if let news { status.timing = news }
            if status.state != state { (status.state, status.since) = (state, now) }
            if verdict.hasValues { status.lastGood = now }
            status.trouble = verdict.worst.quality == .good ? nil : verdict.worst.reasons.last?.code
        }
    }

    // MARK: - Losses

    private func countMissed(_ due: PollSchedule.Due) {
        guard due.missed > 0 else { return }
        let now = clock.utc
        let index = due.slot.device
        missed[index].add(due.missed, from: now - due.period * due.missed, to: now, at: clock.uptime)
        board.update(devices[index].device.id) { $0.missedPolls += UInt64(due.missed) }
    }

    /// A poll at which nothing is asked, because somebody has the line.
    private func countUnasked(_ due: PollSchedule.Due) {
        missed[due.slot.device].add(1, from: clock.utc - due.period, to: clock.utc, at: clock.uptime)
        board.update(devices[due.slot.device].device.id) { $0.missedPolls += 1 }
    }

    private func tellLosses(of index: Int, isMissing: Bool, isSilent: Bool, isLast: Bool = false) async {
        let device = devices[index].device.id
        let now = clock.uptime
        let records = [
            missed[index].record(device: device, at: now, isOver: !isMissing, isLast: isLast),
            unanswered[index].record(device: device, at: now, isOver: !isSilent, isLast: isLast),
        ]
        for case let record? in records { await journal.append(.gap(record)) }
    }

    // MARK: - Slots

    /// - Parameter index: of the device, -1 for none of ours.
    func takeSlot(_ index: Int, _ claim: BusSlots.Claim) async {
        if slots.takeIfFree(index, claim) { return }
        await withCheckedContinuation { slots.wait(index, claim, $0) }
    }

    /// Reads points of a device now, ahead of all polls.
    ///
    /// - Returns: name, value and reasons of each point, in the order of the profile; nil for a device that is not here.
    package func readNow(_ device: String) async -> [(point: Point, value: PointValue, reasons: QualityReasons)]? {
        await withTaskExecutorPreference(bus.executor) { await current(device) }
    }

    private func current(_ device: String) async -> [(point: Point, value: PointValue, reasons: QualityReasons)]? {
        guard let index = devices.firstIndex(where: { $0.device.id == device }) else { return nil }
        var answers: [[PollAnswer]] = []
        for job in devices[index].plan.jobs.indices { answers.append(await answersNow(job, index)) }
        if !answers.joined().allSatisfy(\.isSilence) { await identifyBeforeJudging(index, .urgent) }
        let rows = answers.enumerated().flatMap { job, answers in
            let samples = devices[index].decode(answers, of: job)
            return samples.points.indices.filter { !samples.readAlong.contains(samples.points[$0]) }
                .map { (samples.points[$0], devices[index].judged(samples, at: $0)) }
        }
        return rows.sorted { $0.0 < $1.0 }.map { number, judged in
            (devices[index].device.points[number], judged.0, judged.1)
        }
    }

    private func answersNow(_ job: Int, _ index: Int) async -> [PollAnswer] {
        var answers: [PollAnswer] = []
        var blocks = devices[index].plan.jobs[job].blocks[...]
        var budget = Self.extraRequests
        while let block = blocks.popFirst() {
            await takeSlot(index, .urgent)
            let sent = clock.uptime
            let result = await read(block.span, unit: devices[index].device.unit)
            slots.release(index, .urgent, used: clock.uptime - sent)
            let time = middle(since: sent)
            if case .failure(let error) = result { await keepFault(error, reading: block.span, of: index) }
            await rest(devices[index].device.limits.pause)
            if case .failure(let error) = result, budget > 0 {
                budget -= 1
                var smaller = divided(block, after: error, job: job, of: index)
                // There is no next poll that would show that it is always so.
                if case .mismatch = error, smaller.isEmpty {
                    smaller = divided(block, after: error, job: job, of: index)
                }
                if !smaller.isEmpty {
                    blocks = smaller + blocks
                    continue
                }
            } else if case .success = result, devices[index].answered(block) {
                tellLearned(of: index)
            }
            answers.append(PollAnswer(block: block, time: time, result: result.mapError(PollFault.init)))
        }
        return answers
    }
}
