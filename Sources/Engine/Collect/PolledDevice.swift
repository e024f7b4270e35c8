package import Model

/// A device as its poller knows it: the plan, what was learned about its addresses, and per point what is needed to
/// turn words into numbered readings. A pure value; the poller owns it.
package struct PolledDevice: Sendable {
    package let device: Device
    package let layout: LayoutID
    package private(set) var plan: ReadPlan
    private let cost: RequestCost
    private var cuts: Set<RegisterCut> = []
    /// Blocks that the device refused down to one value, with the time of the next attempt.
    private var parked: [RegisterSpan: Duration] = [:]
    private var quantities: QuantityLimits
    private var silences = Silences()
    private var refusals = WholeRefusals()
    private var misfits = Misfits()
    var points: [PolledPoint]
    /// Whether any point has its value in several places.
    let hasParts: Bool
    /// What is to be said about every value: that another device may be answering.
    var suspicion: QualityReasons = []

    /// How long a refused address is left alone before it is asked for again.
    static let parkingTime = Duration.seconds(600)

    /// - Parameters:
    ///   - numbers: the next `n` of each point, from an earlier poller of this epoch; 0 for points not in it.
    ///   - learned: what an earlier poller found out. Refused values are asked for again after a while.
    ///   - now: uptime.
    package init(
        device: Device, layout: LayoutID, cost: RequestCost, numbers: [String: UInt64] = [:],
        learned: LearnedAddresses = LearnedAddresses(), at now: Duration = .zero
    ) {
        self.device = device
        self.layout = layout
        self.cost = cost
        hasParts = device.points.contains { $0.parts != nil }
        cuts = learned.cuts
        quantities = QuantityLimits(registers: learned.registerLimit, bits: learned.bitLimit)
        plan = ReadPlan(
            points: device.points, limits: quantities.lowering(device.limits), cost: cost, cuts: learned.cuts)
        // Points that the site file changed since may be read by other requests now.
        let blocks = Set(plan.jobs.flatMap(\.blocks).map(\.span))
        for span in learned.refused where blocks.contains(span) { parked[span] = now + Self.parkingTime }
        points = device.points.map { point in
            PolledPoint(
                scale: device.points.firstIndex { $0.name == point.scaleReference?.point },
                number: numbers[point.name] ?? 0)
        }
        if !blocks.isEmpty, parked.count == blocks.count {
            // A device that refused everything was not ready.
            (parked, cuts) = ([:], [])
            makePlan()
        }
    }

    /// The value of a sample and what is to be said about it.
    func judged(_ samples: Samples, at index: Int) -> (PointValue, QualityReasons) {
        let decoded = samples.decoded[index]
        var (value, reasons) = device.points[samples.points[index]].judged(decoded)
        guard case .value = decoded else { return (value, reasons) }
        reasons.formUnion(suspicion)
        if !samples.times[index].isPlausible { reasons.formUnion(QualityReasons(.clockSuspect)) }
        if value != .null, samples.torn.contains(index) { reasons.formUnion(QualityReasons(.torn)) }
        return (value, reasons)
    }

    /// The next `n` of each point by name.
    package var numbers: [String: UInt64] {
        Dictionary(uniqueKeysWithValues: zip(device.points, points).map { ($0.name, $1.nextNumber) })
    }

    /// Forgets what was found out about the addresses: everything is asked for again as the profile says.
    mutating func forgetLearned() {
        (cuts, parked, quantities) = ([], [:], QuantityLimits())
        (silences, refusals, misfits) = (Silences(), WholeRefusals(), Misfits())
        makePlan()
    }

    /// The device refused `block` with exception 02 or 03, or cannot answer for it.
    ///
    /// - Returns: the smaller blocks to ask for instead; empty when a single value is the refused one, which is then parked.
    mutating func refused(_ block: ReadBlock, job: Int, at now: Duration) -> [ReadBlock] {
        guard refusals.refused(before: .init(cuts: cuts, parked: parked, quantities: quantities)) else { return [] }
        if refusals.isLong, forgetRun(of: job, at: now) { return [] }
        let newCuts = block.cutsAfterRefusal
        guard !newCuts.isEmpty else {
            parked[block.span] = now + Self.parkingTime
            quantities.refusedForGood(block.span)
            if plan.jobs[job].blocks.allSatisfy({ isParked($0, at: now) }) { forgetRun(of: job, at: now) }
            return []
        }
        // The pieces must not grow over the end of the block: what follows is asked for by its own block of this poll.
        let allCuts = Set(newCuts + [blockStart(after: block, job: job)].compactMap(\.self)).subtracting(cuts)
        cuts.formUnion(allCuts)
        makePlan()
        let pieces = plan.jobs[job].blocks.filter {
            $0.span.table == block.span.table && block.span.start <= $0.span.start && $0.span.end <= block.span.end
        }
        silences.divided(block.span, into: pieces.map(\.span))
        misfits.divided(block.span, into: pieces.map(\.span))
        // That a hole was refused says nothing about how many registers would have been given.
        if block.bridges.isEmpty { quantities.divided(block.span, into: pieces.map(\.span), at: allCuts) }
        return pieces
    }

    /// Everything was refused. Where no answer came meanwhile it is the device, and nothing was learned about addresses.
    @discardableResult
    private mutating func forgetRun(of job: Int, at now: Duration) -> Bool {
        guard let before = refusals.takeWhole(job: job, at: now) else { return false }
        (cuts, parked, quantities) = (before.cuts, before.parked, before.quantities)
        makePlan()
        return true
    }

    private mutating func makePlan() {
        plan = ReadPlan(
            points: device.points, limits: quantities.lowering(device.limits), cost: cost, cuts: cuts)
    }

    // MARK: - Silence

    /// What to ask for before a block that the device left unanswered: one value of it, nil where that is not needed.
    func probe(before block: ReadBlock) -> ReadBlock? {
        silences.needsProbe(block.span) ? block.first : nil
    }

    /// The device did not answer for `block`.
    ///
    /// - Parameter afterAnswer: whether it answered for a value of it just before.
    mutating func silent(_ block: ReadBlock, afterAnswer: Bool) {
        silences.silent(block.span, afterAnswer: afterAnswer)
    }

    /// Whether the device answers for single values of the block, and not for the block.
    func isTooLarge(_ block: ReadBlock) -> Bool {
        block.edges.count > 1 && silences.isTooLarge(block.span)
    }

    // MARK: - Answers of another length

    /// The device gave an answer for `block` that does not fit. Returns whether it does so for good.
    mutating func misfits(_ block: ReadBlock) -> Bool { misfits.isConvincing(block.span) }

    /// Why a parked block has no words.
    func parkedFault(_ block: ReadBlock) -> PollFault {
        PollFault(misfits.contains(block.span) ? .protocolError : .badAddress)
    }

    // MARK: - Limit or border

    /// A small request across a cut: a device that gives it refused the block for its size.
    struct Crossing: Hashable, Sendable {
        var cut: RegisterCut
        var span: RegisterSpan
    }

    /// What is to be asked to tell a limit from a border; nil when nothing is in doubt.
    mutating func takeCrossing() -> Crossing? {
        guard let cut = quantities.takeDoubt() else { return nil }
        let blocks = plan.jobs.flatMap(\.blocks).filter { $0.span.table == cut.table }
        guard let before = blocks.first(where: { $0.span.end == cut.address }),
            let behind = blocks.first(where: { Int($0.span.start) == cut.address })
        else { return nil }
        let start = before.span.start + UInt16(before.edges.last ?? 0)
        let end = (behind.first ?? behind).span.end
        let span = RegisterSpan(table: cut.table, start: start, registerCount: end - Int(start))
        // One that is no smaller than what was given on either side would be as large as what was refused.
        guard span.registerCount <= max(before.span.registerCount, behind.span.registerCount) else { return nil }
        return Crossing(cut: cut, span: span)
    }

    /// The device answered the crossing, or refused it with exception 02 or 03.
    mutating func crossed(_ crossing: Crossing, isAnswered: Bool) {
        let unnecessary = quantities.crossed(crossing.cut, isAnswered: isAnswered)
        guard !unnecessary.isEmpty else { return }
        cuts.subtract(unnecessary)
        makePlan()
    }

    // MARK: - Answers

    private func blockStart(after block: ReadBlock, job: Int) -> RegisterCut? {
        let starts = plan.jobs[job].blocks.map(\.span)
            .filter { $0.table == block.span.table && $0.start > block.span.start }.map { Int($0.start) }
        let bridgeable = cost.widestBridge(in: block.span.table, device.limits)
        return starts.min().flatMap { start in
            // Over a wider hole nothing grows, and a cut there would look like a hole that the device refuses.
            start - block.span.end > bridgeable ? nil : RegisterCut(table: block.span.table, address: start)
        }
    }

    /// Whether the block was refused not long ago and is not worth a request.
    func isParked(_ block: ReadBlock, at now: Duration) -> Bool {
        parked[block.span].map { now < $0 } ?? false
    }

    /// The device answered for `block`. If that was a refused one it is no longer, and is read together with its
    /// neighbours again.
    ///
    /// - Returns: whether that changed what is known.
    mutating func answered(_ block: ReadBlock) -> Bool {
        silences.answered(block.span)
        misfits.answered(block.span)
        refusals.answered()
        let unnecessary = quantities.answered(block.span)
        let wasParked = !parked.isEmpty && parked.removeValue(forKey: block.span) != nil
        guard wasParked || !unnecessary.isEmpty else { return false }
        if wasParked { cuts.subtract(Self.edges(of: block.span)) }
        cuts.subtract(unnecessary)
        for span in parked.keys { cuts.formUnion(Self.edges(of: span)) }
        makePlan()
        return true
    }

    private static func edges(of span: RegisterSpan) -> [RegisterCut] {
        [
            RegisterCut(table: span.table, address: Int(span.start)),
            RegisterCut(table: span.table, address: span.end),
        ]
    }

    /// What was found out so far, for status and for the next start.
    package var learned: LearnedAddresses {
        LearnedAddresses(
            refused: parked.keys.sorted { ($0.table, $0.start) < ($1.table, $1.start) }, cuts: cuts,
            registerLimit: quantities.registerLimit, bitLimit: quantities.bitLimit)
    }
}

/// What is remembered of one point between polls.
struct PolledPoint: Sendable {
    /// Index of the point that holds the scale.
    let scale: Int?
    var nextNumber: UInt64
    /// What the consumer heard last: number and reasons.
    var lastPublished: (number: Double?, reasons: QualityReasons)?
    var silentSince: Duration = .zero

    init(scale: Int?, number: UInt64) {
        self.scale = scale
        nextNumber = number
    }
}
