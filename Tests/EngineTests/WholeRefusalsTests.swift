import Engine
import GatewayTesting
import Model
import Testing

/// A device that refuses every address is the one that is not ready.
struct WholeRefusalsTests {
    @Test func aDeviceThatBootsWithExceptionsIsReadAtOnceWhenItIsReady() async throws {
        let rig = PollerRig([registers(Array(0..<40))])
        rig.bus.fail(1, .refused(2))
        try await rig.run {
            await rig.clock.advance(by: .milliseconds(5990))
            #expect(rig.board.status(of: "d1")?.learned.isEmpty == true, "nothing was learned about its addresses")
            rig.bus.answer(1, with: 7)
            await rig.clock.advance(by: .milliseconds(2000))
        }
        let last = try #require(rig.batches(of: 1).last)
        #expect(last.values == Array(repeating: .int(7), count: 40))
        #expect(last.reasons.allSatisfy { $0.isEmpty })
    }

    @Test func whileEverythingIsRefusedOnlyWholeBlocksAreAskedFor() async throws {
        let rig = PollerRig([registers(Array(0..<40))])
        rig.bus.fail(1, .refused(2))
        try await rig.run {
            await rig.clock.advance(by: .milliseconds(990))
            rig.bus.forgetRequests()
            await rig.clock.advance(by: .seconds(5))
        }
        #expect(rig.bus.requests.count == 5)
    }

    @Test func whatWasRememberedOfADeviceThatRefusedEverythingIsNotBelieved() async throws {
        let span = RegisterSpan(table: .holding, start: 0, registerCount: 1)
        let device = PolledDevice(
            device: Device(
                id: "d1", profile: "test/device", revision: 1, connection: "bus", unit: 1, owner: "us",
                points: registers([0])),
            layout: 1, cost: .tcp, learned: LearnedAddresses(refused: [span]))
        #expect(device.learned.isEmpty)
    }
}
