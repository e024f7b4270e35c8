import Engine
import GatewayTesting
import ModbusBus
import Model
import NIOPosix
import Testing

struct LoopClockTests {
    private let clock: any Timekeeper = Buses.clock(ManualClock(), on: MultiThreadedEventLoopGroup.singleton.next())

    @Test func aSleeperWakesUpNotBeforeItsTime() async throws {
        let wall = ContinuousClock()
        let begun = wall.now
        try await clock.sleep(until: clock.uptime + .milliseconds(20))
        #expect(begun.duration(to: wall.now) >= .milliseconds(20))
    }

    @Test func aMomentThatHasPassedIsNotWaitedFor() async throws {
        try await clock.sleep(until: clock.uptime - .seconds(1))
    }

    @Test(.timeLimit(.minutes(1))) func aSleeperThatIsCancelledThrowsAtOnce() async {
        let clock = clock
        let sleeper = Task { try await clock.sleep(until: clock.uptime + .seconds(3600)) }
        sleeper.cancel()
        await #expect(throws: CancellationError.self) { try await sleeper.value }
    }

    @Test(.timeLimit(.minutes(1))) func whoIsCancelledAlreadyDoesNotSleep() async {
        let clock = clock
        let sleeper = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            try await clock.sleep(until: clock.uptime + .seconds(3600))
        }
        await #expect(throws: CancellationError.self) { try await sleeper.value }
    }
}
