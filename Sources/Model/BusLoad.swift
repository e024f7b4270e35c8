/// How busy a channel will be, computed before deployment (`headgate check`).
package struct BusLoad: Hashable, Sendable {
    /// Share of wire time that the configured periods need; above 1 they cannot be met.
    package var utilisation: Double
    package var requestsPerSecond: Double
    /// Every configured period, ascending.
    package var periods: [Duration]

    /// The factor by which all periods would have to grow so that the channel stays at or below 80 %.
    package var stretch: Double {
        max(1, utilisation / 0.8)
    }

    /// What a period would have to be if all grew alike, rounded up to tenths of a second, above ten seconds to seconds.
    package func fastest(_ period: Duration) -> Duration {
        guard stretch > 1 else { return period }
        let seconds = period.inSeconds * stretch
        let grid = seconds > 10 ? 1000.0 : 100
        return .milliseconds(Int64(clamping: (seconds * 1000 / grid).rounded(.up) * grid))
    }

    /// - Parameter plans: the read plan of each device with the rest that it needs after a request.
    package init(plans: [(plan: ReadPlan, pause: Duration)], cost: RequestCost) {
        utilisation = 0
        requestsPerSecond = 0
        periods = Set(plans.flatMap(\.plan.jobs).map(\.period)).sorted()
        for (plan, pause) in plans {
            for job in plan.jobs {
                let busy = job.blocks.reduce(Duration.zero) { $0 + cost.duration(of: $1.span) + pause }
                utilisation += busy.inSeconds / job.period.inSeconds
                requestsPerSecond += Double(job.blocks.count) / job.period.inSeconds
            }
        }
    }
}
