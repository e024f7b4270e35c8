/// When which job of a connection is due: absolute deadlines, so that the cadence does not drift with the time a read takes;
/// earliest deadline first; what a slow bus could not keep is skipped and counted, never piled up.
package struct PollSchedule: Sendable {
    /// A job: the request blocks of one device for one period.
    package struct Slot: Hashable, Sendable {
        /// Index of the device on its connection.
        package var device: Int
        /// Index of the job in the device's plan.
        package var job: Int

        package init(device: Int, job: Int) {
            self.device = device
            self.job = job
        }
    }

    /// A job whose time has come.
    package struct Due: Hashable, Sendable {
        package var slot: Slot
        /// When it should have started.
        package var deadline: Duration
        package var period: Duration
        /// Polls of this job that were skipped since the last one.
        package var missed: Int
    }

    private struct Entry {
        var slot: Slot
        var period: Duration
        var deadline: Duration
    }

    private var entries: [Entry] = []

    /// - Parameters:
    ///   - start: the earliest moment at which anything is due.
    ///   - phase: 0..<1, where in its period (or in the first second of a longer one) the first job begins; the jobs that
    ///     follow are spread evenly behind it, so that a hundred devices do not fire in the same millisecond.
    package init(jobs: [(slot: Slot, period: Duration)], start: Duration, phase: Double) {
        entries = jobs.enumerated().map { index, job in
            let fraction = (phase + Double(index) * 0.618_033_988_75).truncatingRemainder(dividingBy: 1)
            return Entry(slot: job.slot, period: job.period, deadline: start + min(job.period, .seconds(1)) * fraction)
        }
    }

    /// The job with the earliest deadline that has come, among devices that are not `busy`; its next deadline is set.
    package mutating func take(at now: Duration, busy: Set<Int> = []) -> Due? {
        var best: Int?
        for index in entries.indices where entries[index].deadline <= now && !busy.contains(entries[index].slot.device)
        {
            if let current = best, entries[current].deadline <= entries[index].deadline { continue }
            best = index
        }
        guard let best else { return nil }
        return takeEntry(best, at: now)
    }

    private mutating func takeEntry(_ index: Int, at now: Duration) -> Due {
        let entry = entries[index]
        let elapsed = Int64(((now - entry.deadline) / entry.period).rounded(.down))
        // The newest deadline that has passed is served now, the ones before it are lost.
        let served = entry.deadline + entry.period * elapsed
        entries[index].deadline = served + entry.period
        return Due(slot: entry.slot, deadline: served, period: entry.period, missed: Int(elapsed))
    }

    /// The earliest deadline among devices that are not `busy`; nil when there is nothing to wait for.
    package func nextDeadline(busy: Set<Int> = []) -> Duration? {
        entries.filter { !busy.contains($0.slot.device) }.map(\.deadline).min()
    }
}
