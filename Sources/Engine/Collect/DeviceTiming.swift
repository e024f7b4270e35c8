/// How punctually a device is polled and how fast it answers, of the last few hundred polls.
package struct PollTiming: Hashable, Sendable {
    /// What the unit took to answer, without what requests waited for before they were sent.
    package var replies = DurationDigest()
    /// How long after its deadline the first request of a poll went out.
    package var lateness = DurationDigest()
    /// How long the next reply may take.
    package var timeout: Duration?
    /// Polls since the start that began later than a tenth of their period after their deadline.
    package var latePolls: UInt64 = 0

    package init() {}
}

/// The same as the poller keeps it, with what follows from it for the next request. A pure value.
struct DeviceTiming: Sendable {
    private var jobs: [ReplyTimes]
    private var timing = PollTiming()
    private var shownAt: Duration?
    /// A reply that is late may come until then, on a channel where nothing tells it from the answer to another request.
    var quietUntil = Duration.zero
    /// Probes since the last one that waited as long as is configured.
    var hastyProbes = 0

    /// A poll that begins later than this share of its period is counted as late.
    static let punctuality = 0.1
    /// After so many a patient one is due.
    static let hastyProbesInARow = 3
    private static let showEvery = Duration.seconds(1)

    /// - Parameter bounds: of the time that a reply may take.
    init(jobCount: Int, bounds: ClosedRange<Duration>) {
        jobs = Array(repeating: ReplyTimes(bounds: bounds), count: jobCount)
    }

    /// How long the reply to a request of this job may take. Jobs are apart because a large block may take a device longer.
    func timeout(ofJob job: Int) -> Duration {
        jobs[job].timeout
    }

    /// See ``ReplyTimes/usual``. A device whose points are not known yet has no jobs, and shows nothing.
    func usualTimeout(ofJob job: Int) -> Duration? {
        jobs.indices.contains(job) ? jobs[job].usual : nil
    }

    mutating func answered(job: Int, after duration: Duration) {
        jobs[job].answered(after: duration)
    }

    /// A unit that is silent for one job may be slow for all.
    mutating func timedOut() {
        for job in jobs.indices { jobs[job].timedOut() }
    }

    /// The first request of a poll goes out.
    mutating func began(late lateness: Duration, period: Duration) {
        timing.lateness.add(max(.zero, lateness))
        if lateness > period * Self.punctuality { timing.latePolls += 1 }
    }

    /// What to show, nil while what was shown last is recent enough.
    mutating func news(at now: Duration) -> PollTiming? {
        if let shownAt, now < shownAt + Self.showEvery { return nil }
        shownAt = now
        var shown = timing
        for job in jobs { shown.replies.merge(job.digest) }
        shown.timeout = jobs.first?.timeout
        return shown
    }
}
