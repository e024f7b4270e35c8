import Dispatch
import Engine
import Model
import SQLiteJournal

/// Figures of the commands of one ledger. Reads only what was added since it was last asked, on a queue of its own, so that
/// asking often costs little and the desk does not notice.
actor MetricsBook {
    /// Commands that came longer ago are not looked for in a long ledger.
    static let longestTime = Duration.seconds(30 * 86_400)
    /// What the retained status tells.
    static let statusTime = Duration.seconds(7 * 86_400)

    private let folder: String
    private let clock: any Timekeeper
    private let queue = DispatchQueue(label: "headgate.metrics")
    private var reading: (metrics: CommandMetrics, next: UInt64)?
    /// Of the last ``refresh()``, for whoever cannot wait.
    private(set) var summary: JSONValue = .null

    init(folder: String, clock: any Timekeeper) {
        self.folder = folder
        self.clock = clock
    }

    func report(_ query: MetricsQuery) async throws -> MetricsReport {
        let reading = try await read()
        return reading.metrics.report(
            since: clock.utc - query.time, now: clock.utc, issuer: query.issuer, point: query.point)
    }

    /// Makes ``summary`` anew; a ledger that cannot be read leaves the old one.
    func refresh() async {
        guard let report = try? await report(MetricsQuery(time: Self.statusTime)) else { return }
        let told: Set<String> = [
            "received", "verified", "approved", "denied", "overridden", "acceptance", "override", "exceptions_open",
            "outcome_share",
        ]
        summary = .compact([("since", .time(report.since))] + report.total.members.filter { told.contains($0.0) })
    }

    private func read() async throws -> (metrics: CommandMetrics, next: UInt64) {
        let (folder, known, oldest) = (folder, reading, clock.utc - Self.longestTime)
        let new = try await withCheckedThrowingContinuation { continuation in
            queue.async {
                continuation.resume(with: Result { try Self.read(folder, from: known, oldest: oldest) })
            }
        }
        // Another question may have come to an end meanwhile, with more.
        if new.next >= reading?.next ?? 0 { reading = new }
        return new
    }

    /// - Parameter known: what was read before; nil for nothing.
    static func read(
        _ folder: String, from known: (metrics: CommandMetrics, next: UInt64)?, oldest: UnixTime
    ) throws -> (metrics: CommandMetrics, next: UInt64) {
        let ledger = try LedgerInspection(path: folder)
        let size = try ledger.size()
        var reading = try known ?? (CommandMetrics(), start(ledger, size, oldest))
        // A ledger that was put back: what was read of the other one does not count.
        if reading.next > size { reading = (CommandMetrics(), try start(ledger, size, oldest)) }
        try ledger.leaves(reading.next..<size) { _, leaf in
            guard let entry = try? JSONValue(parsing: leaf) else { return }
            reading.metrics.take(entry)
        }
        reading.next = size
        return reading
    }

    /// The first entry that is not older than `oldest`: entries are in the order of their times, but for clocks set back.
    private static func start(_ ledger: LedgerInspection, _ size: UInt64, _ oldest: UnixTime) throws -> UInt64 {
        var (low, high) = (UInt64(0), size)
        while low < high {
            let middle = low + (high - low) / 2
            var time: UnixTime?
            // Some entries are seals, which have no time: the next one that has counts.
            try ledger.leaves(middle..<min(middle + 64, high)) { _, leaf in
                guard time == nil, let entry = try? JSONValue(parsing: leaf) else { return }
                time = entry["time"]?.text.flatMap { UnixTime(rfc3339: $0) }
            }
            if let time, time < oldest { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
