package import Engine
import Glibc
package import Model

/// The machine's own clocks; the only place where Headgate looks at them.
package struct SystemClock: Timekeeper {
    private let start = ContinuousClock.now

    package init() {}

    package var uptime: Duration {
        start.duration(to: .now)
    }

    package var utc: UnixTime {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return UnixTime(microseconds: Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000)
    }

    package func sleep(until deadline: Duration) async throws {
        try await Task.sleep(until: start + deadline, tolerance: .zero, clock: .continuous)
    }
}
