import Engine
import Model
import NIOCore

/// A clock whose sleepers are woken by the timer of an event loop: whoever runs on that loop wakes up without another
/// thread, where `Task.sleep` takes two. The event loop must live longer than whoever sleeps.
struct LoopClock: Timekeeper {
    private let clock: any Timekeeper
    private let loop: any EventLoop

    /// - Parameter clock: says what time it is.
    init(_ clock: any Timekeeper, loop: any EventLoop) {
        self.clock = clock
        self.loop = loop
    }

    var uptime: Duration { clock.uptime }
    var utc: UnixTime { clock.utc }

    func sleep(until deadline: Duration) async throws {
        let rest = deadline - clock.uptime
        guard rest > .zero else { return try Task.checkCancellation() }
        let alarm = loop.scheduleTask(in: .nanoseconds(rest.microseconds * 1000 + 999)) {}
        do {
            try await withTaskCancellationHandler {
                try await alarm.futureResult.get()
            } onCancel: {
                alarm.cancel()
            }
        } catch {
            // The alarm fails only when it is cancelled, or when its loop ends.
            throw CancellationError()
        }
    }
}
