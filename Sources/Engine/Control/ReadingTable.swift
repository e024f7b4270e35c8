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

    private struct Entry {
        var latest: ReadingSample
        /// Uptime at which the newest reading, and the newest with a value, were true.
        var taken: Duration
        var lastValue: Duration?
        /// Uptime at which the device was last asked for the value after a write.
        var readBack: Duration?
        var history: [ReadingSample] = []
    }

    private var entries: [String: Entry] = [:]
    private let staleAfter: [String: Duration]
    private let withHistory: Set<String>

    package init(_ site: ControlSite) {
        let watched = site.watchedPoints.compactMap { id in site.points[id].map { (id, $0.staleAfter) } }
        staleAfter = Dictionary(uniqueKeysWithValues: watched)
        withHistory = site.evidencePoints
    }

    /// Takes over what another table has of the watched points. How long a reading counts is decided by this table.
    mutating func adopt(_ other: ReadingTable) {
        for (point, entry) in other.entries where staleAfter[point] != nil {
            entries[point] = entry
            if !withHistory.contains(point) { entries[point]?.history = [] }
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
        if withHistory.contains(sample.point) {
            entry.history.append(sample)
            if entry.history.count > Self.historyLimit { entry.history.removeFirst() }
        }
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

    package func observed(_ point: String, at now: Moment) -> ObservedReading? {
        guard let entry = entries[point], let limit = staleAfter[point] else { return nil }
        return ObservedReading(
            value: entry.latest.value, reasons: entry.latest.reasons, age: entry.lastValue.map { now.uptime - $0 },
            isStale: now.uptime - entry.taken > limit)
    }

    /// The reading that a piece of evidence names; nil when it is not known or too long ago.
    package func sample(_ evidence: Command.Evidence) -> ReadingSample? {
        entries[evidence.point]?.history.last { $0.epoch == evidence.epoch && $0.number == evidence.number }
    }
}
