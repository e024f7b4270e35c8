import Model

/// Values as they were decoded, before quality rules and filters: flat arrays of equal length.
struct Samples: Sendable {
    var points: [Int] = []
    var times: [UnixTime] = []
    var decoded: [Decoded] = []
    /// Whether the device says that it does not have the point, as against refusing the function code.
    var isAbsent: [Bool] = []
    /// Words of points that publish them, by index in these arrays.
    var raw: [RawWords] = []
    /// Points that were read only because others need them; see ``PollJob/readAlong``.
    var readAlong: Set<Int> = []
    /// Values put together of registers that more than one request has read, by index in these arrays.
    var torn: Set<Int> = []

    init(capacity: Int) {
        points.reserveCapacity(capacity)
        times.reserveCapacity(capacity)
        decoded.reserveCapacity(capacity)
        isAbsent.reserveCapacity(capacity)
    }

    mutating func append(_ point: Int, _ time: UnixTime, _ value: Decoded, isAbsent: Bool = false) {
        points.append(point)
        times.append(time)
        decoded.append(value)
        self.isAbsent.append(isAbsent)
    }
}

extension PolledDevice {
    /// Turns words into values, and faults into bad values of every point concerned.
    ///
    /// - Parameter job: the job that the answers are of.
    func decode(_ answers: [PollAnswer], of job: Int) -> Samples {
        var samples = Samples(capacity: answers.reduce(0) { $0 + $1.block.items.count })
        samples.readAlong = plan.jobs[job].readAlong
        var scattered = ScatteredValues(of: hasParts ? device.points : [])
        for answer in answers {
            if hasParts { scattered.add(answer) }
            switch answer.result {
            case .success(let words): decode(words, answer, into: &samples)
            case .failure(let fault):
                for item in answer.block.items where device.points[item.point].parts == nil {
                    samples.append(item.point, answer.time, .bad(fault.reason))
                }
            }
        }
        for value in scattered.values { value.append(to: &samples, device.points[value.point]) }
        return applyingScales(samples)
    }

    private func decode(_ words: [UInt16], _ answer: PollAnswer, into samples: inout Samples) {
        let span = words.span
        for item in answer.block.items {
            if hasParts, device.points[item.point].parts != nil { continue }
            let value = span.extracting(item.offset..<(item.offset + item.registerCount))
            // A point is large: it is looked at where it lies, never copied.
            let decoded = device.points[item.point].encoding.decode(value)
            samples.append(item.point, answer.time, decoded, isAbsent: decoded == .bad(.notImplemented))
            if device.points[item.point].publishesRaw {
                let copy = Array(words[item.offset..<(item.offset + item.registerCount)])
                samples.raw.append(RawWords(reading: samples.points.count - 1, words: copy))
            }
        }
    }

    /// Multiplies by scales that the device itself holds; they are read by the same job.
    private func applyingScales(_ samples: Samples) -> Samples {
        guard points.contains(where: { $0.scale != nil }) else { return samples }
        var scaled = samples
        for index in samples.points.indices {
            let polled = points[samples.points[index]]
            guard let scale = polled.scale, case .value(let value) = samples.decoded[index] else { continue }
            let holder = samples.points.firstIndex(of: scale)
            guard let holder else {
                scaled.decoded[index] = .bad(.waiting)
                continue
            }
            guard case .value(let factor) = samples.decoded[holder] else {
                // Why there is no scale is why there is no value.
                scaled.isAbsent[index] = samples.isAbsent[holder]
                scaled.decoded[index] = samples.decoded[holder]
                continue
            }
            scaled.decoded[index] = value.scaled(by: factor, device.points[samples.points[index]].scaleReference)
        }
        return scaled
    }

    /// Applies limits and range, leaves out what the deadband filters, numbers the rest. The verdict is about everything
    /// that was read, also what is left out.
    mutating func normalise(_ samples: Samples, at now: Duration) -> (readings: ReadingBatch, verdict: PollVerdict) {
        var batch = ReadingBatch(layout: layout)
        var verdict = PollVerdict()
        batch.reserveCapacity(samples.points.count)
        var raw = samples.raw[...]
        // Held here, so that nothing below copies a point to look at it.
        let described = device.points
        for index in samples.points.indices {
            let words = raw.first?.reading == index ? raw.popFirst()?.words : nil
            let point = samples.points[index]
            guard !samples.readAlong.contains(point) else { continue }
            let (value, reasons) = judged(samples, at: index)
            verdict.add(reasons, isAbsent: samples.isAbsent[index])
            if let deadband = described[point].deadband {
                let patience = described[point].expectedSilence - described[point].every / 2
                guard points[point].isNews(value, reasons, deadband, patience: patience, at: now) else { continue }
            }
            if let words { batch.raw.append(RawWords(reading: batch.count, words: words)) }
            batch.append(
                point: UInt16(point), time: samples.times[index], value: value, reasons: reasons,
                number: points[point].nextNumber)
            points[point].nextNumber += 1
        }
        return (batch, verdict)
    }
}

/// How one poll went, over all its values.
struct PollVerdict: Hashable, Sendable {
    private(set) var valueCount = 0
    private(set) var badCount = 0
    private var busyCount = 0
    /// The reasons of the worst value.
    private(set) var worst: QualityReasons = []

    /// - Parameter isAbsent: whether the device says that it does not have the point: nothing is wrong with it then.
    mutating func add(_ reasons: QualityReasons, isAbsent: Bool = false) {
        valueCount += 1
        if isAbsent { return }
        let quality = reasons.quality
        if quality == .bad { badCount += 1 }
        if reasons.contains(.deviceBusy) { busyCount += 1 }
        if worst.quality < quality { worst = reasons }
    }

    /// Whether the poll gave any value that can be used.
    var hasValues: Bool { badCount < valueCount || worst.contains(.configSuspect) }

    var state: DeviceState {
        // Values of the wrong device are not what was asked for.
        if worst.contains(.configSuspect) { return .degraded }
        // A device that says that it is busy is there.
        if badCount == busyCount { return .online }
        return badCount < valueCount || busyCount > 0 ? .degraded : .offline
    }
}

extension PolledPoint {
    /// Whether the value moved out of its deadband, the quality changed, or silence would last longer than `patience`.
    mutating func isNews(
        _ value: PointValue, _ reasons: QualityReasons, _ deadband: Double, patience: Duration, at now: Duration
    ) -> Bool {
        let number = value.number
        if let last = lastPublished, last.reasons == reasons, now - silentSince < patience {
            if last.number == number { return false }
            if let before = last.number, let number, abs(number - before) <= deadband { return false }
        }
        lastPublished = (number, reasons)
        silentSince = now
        return true
    }
}
