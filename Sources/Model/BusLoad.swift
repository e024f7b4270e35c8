/// How busy a channel will be, computed before deployment (`headgate check`).
package struct BusLoad: Hashable, Sendable {
    /// Share of wire time that the configured periods need; above 1 they cannot be met.
    package var utilisation: Double
    package var requestsPerSecond: Double

    /// The factor by which all periods would have to grow so that the channel stays at or below 80 %.
    package var stretch: Double {
        max(1, utilisation / 0.8)
    }

    /// - Parameter plans: the read plan of each device with the rest that it needs after a request.
    package init(plans: [(plan: ReadPlan, pause: Duration)], cost: RequestCost) {
        utilisation = 0
        requestsPerSecond = 0
        for (plan, pause) in plans {
            for job in plan.jobs {
                let busy = job.blocks.reduce(Duration.zero) { $0 + cost.duration(of: $1.span) + pause }
                utilisation += busy.inSeconds / job.period.inSeconds
                requestsPerSecond += Double(job.blocks.count) / job.period.inSeconds
            }
        }
    }
}
