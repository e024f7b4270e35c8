package import Model

/// One reading as the desk gets it. Samples must come before the deadband filters them: silence means that the device is
/// silent.
package struct ReadingSample: Hashable, Sendable {
    package var point: String
    package var epoch: UInt32
    package var number: UInt64
    package var time: UnixTime
    package var value: PointValue
    package var reasons: QualityReasons

    package init(
        point: String, epoch: UInt32, number: UInt64, time: UnixTime, value: PointValue, reasons: QualityReasons = []
    ) {
        self.point = point
        self.epoch = epoch
        self.number = number
        self.time = time
        self.value = value
        self.reasons = reasons
    }
}

/// The newest readings of the watched points, and a short history of those that serve as evidence.
package struct ReadingTable: Sendable {
    /// Readings remembered of an evidence point.
    package static let historyLimit = 64
    /// Of a point that no policy asks for as evidence.
    package static let shortHistoryLimit = 16

    /// What is known about a reading that a command names.
    package enum Claim: Hashable, Sendable {
        case found(ReadingSample)
        /// No reading was ever published under this number.
        case never
        /// It is too long ago, or the point is not watched.
        case unknown
    }

    private struct Entry {
        var latest: ReadingSample
        /// Uptime at which the newest reading, and the newest with a value, were true.
        var taken: Duration
        var lastValue: Duration?
        /// Uptime at which the device was last asked for the value after a write.
        var readBack: Duration?
        /// One of each number: later samples under the same one were kept back by the deadband.
        var history: [ReadingSample] = []

        mutating func remember(_ sample: ReadingSample, limit: Int) {
            if let last = history.last, last.epoch == sample.epoch, last.number == sample.number {
                history[history.count - 1].time = sample.time
            } else {
                history.append(sample)
                if history.count > limit { history.removeFirst(history.count - limit) }
            }
        }
    }

    private var entries: [String: Entry] = [:]
    private let staleAfter: [String: Duration]
    private let historyLimits: [String: Int]

    package init(_ site: ControlSite) {
        var staleAfter: [String: Duration] = [:]
        for id in site.watchedPoints { staleAfter[id] = site.points[id]?.staleAfter }
        for point in site.points.covered {
            if case .place(let key) = point.confirmation { staleAfter[key] = point.staleAfter }
        }
        self.staleAfter = staleAfter
        let evidence = site.evidencePoints
        historyLimits = Dictionary(
            uniqueKeysWithValues: staleAfter.keys.map { point in
                (point, evidence.contains(point) ? Self.historyLimit : Self.shortHistoryLimit)
            })
    }

    /// Takes over what another table has of the watched points. How long a reading counts is decided by this table.
    mutating func adopt(_ other: ReadingTable) {
        for (point, entry) in other.entries where staleAfter[point] != nil {
            entries[point] = entry
        }
    }

    /// Without the readings of all points but these.
    package func only(_ points: Set<String>) -> ReadingTable {
        var table = self
        table.entries = entries.filter { points.contains($0.key) }
        return table
    }

    /// Takes a reading of a watched point; others are of no use here and are dropped.
    ///
    /// - Returns: whether it tells what the value is now.
    @discardableResult
    package mutating func update(_ sample: ReadingSample, at now: Moment) -> Bool {
        guard staleAfter[sample.point] != nil else { return false }
        let taken = now.uptime - max(.zero, now.utc - sample.time)
        var entry = entries[sample.point] ?? Entry(latest: sample, taken: taken)
        let isOutdated = entry.readBack.map { taken < $0 } ?? false
        if isOutdated {
            // Polled before the write, delivered after it: it says how good readings are, not what the value is now.
            entry.latest.reasons = sample.reasons
        } else {
            entry.latest = sample
            entry.taken = taken
            if sample.value != .null { entry.lastValue = taken }
        }
        entry.remember(sample, limit: historyLimits[sample.point] ?? 0)
        entries[sample.point] = entry
        return !isOutdated
    }

    /// Takes the value that a device showed when it was asked after a write: newer than any poll. It is published nowhere, so
    /// it is no evidence, and what was doubted about readings of the point is doubted still.
    package mutating func sawReadBack(_ point: String, _ value: PointValue, at now: Moment) {
        guard var entry = entries[point], value != .null else { return }
        entry.latest.value = value
        entry.latest.time = now.utc
        entry.taken = now.uptime
        entry.lastValue = now.uptime
        entry.readBack = now.uptime
        entries[point] = entry
    }

    /// Takes what a device showed when it was asked for one place alone, begun at `begun`: published nowhere, so it is no
    /// evidence.
    ///
    /// - Returns: whether it tells what the value is now.
    package mutating func saw(
        _ key: String, _ value: PointValue, _ reasons: QualityReasons, begun: Moment, at now: Moment
    ) -> Bool {
        guard staleAfter[key] != nil else { return false }
        let sample = ReadingSample(point: key, epoch: 0, number: 0, time: begun.utc, value: value, reasons: reasons)
        guard var entry = entries[key] else {
            entries[key] = Entry(latest: sample, taken: begun.uptime, lastValue: value == .null ? nil : begun.uptime)
            return true
        }
        guard entry.taken <= begun.uptime, entry.readBack.map({ $0 <= begun.uptime }) ?? true else { return false }
        (entry.latest.value, entry.latest.time, entry.latest.reasons) = (value, begun.utc, reasons)
        entry.taken = begun.uptime
        if value != .null { entry.lastValue = begun.uptime }
        entries[key] = entry
        return true
    }

    package func observed(_ point: String, at now: Moment) -> ObservedReading? {
        guard let entry = entries[point], let limit = staleAfter[point] else { return nil }
        return ObservedReading(
            value: entry.latest.value, reasons: entry.latest.reasons, age: entry.lastValue.map { now.uptime - $0 },
            isStale: now.uptime - entry.taken > limit)
    }

    /// What is known about the reading that a piece of evidence names.
    package func claim(_ evidence: Command.Evidence) -> Claim {
        guard let history = entries[evidence.point]?.history, let last = history.last else { return .unknown }
        let named = history.last { $0.epoch == evidence.epoch && $0.number == evidence.number }
        if let named { return .found(named) }
        return (evidence.epoch, evidence.number) > (last.epoch, last.number) ? .never : .unknown
    }
}
