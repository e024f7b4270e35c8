import Engine
import GatewayTesting
import Model
import Testing

/// What a device did last in place of a value is kept in words, and costs no more than it must.
@Suite(.timeLimit(.minutes(1))) struct LastFaultTests {
    private static let odd: ScriptedBus.Script = { span in
        span.start <= 7 && span.end > 7
            ? .failure(.mismatch("\(span.registerCount * 2 + 2) bytes of data instead of \(span.registerCount * 2)"))
            : .success(Array(repeating: 7, count: span.registerCount))
    }

    @Test func aRegisterOfOddWidthCostsOnlyItself() async throws {
        let rig = PollerRig([registers(Array(0..<20))])
        rig.bus.script(1, Self.odd)
        try await rig.run { await rig.clock.advance(by: .milliseconds(3990)) }
        let last = try #require(rig.batches(of: 1).last)
        for (index, value) in last.values.enumerated() {
            #expect(value == (index == 7 ? .null : .int(7)), "r\(index)")
        }
        #expect(last.reasons[7] == QualityReasons(.protocolError))
        let status = try #require(rig.board.status(of: "d1"))
        #expect(status.lastFault?.words == "function 3 on holding 7: 4 bytes of data instead of 2")
        #expect(status.state == .degraded)
    }

    @Test func aSingleAnswerThatDoesNotFitDividesNothing() async throws {
        let rig = PollerRig([registers(Array(0..<20))])
        rig.bus.script(1, Self.odd)
        try await rig.run {
            await rig.clock.advance(by: .milliseconds(500))
            rig.bus.answer(1, with: 7)
            await rig.clock.advance(by: .milliseconds(2490))
        }
        #expect(rig.board.status(of: "d1")?.learned.isEmpty == true)
        #expect(rig.batches(of: 1).last?.values == Array(repeating: .int(7), count: 20))
    }

    @Test(arguments: [UInt8(5), 6])
    func aBusyDeviceStaysOnline(_ code: UInt8) async throws {
        let rig = PollerRig([registers([0, 1])])
        try await rig.run {
            await rig.clock.advance(by: .milliseconds(1990))
            let good = rig.board.status(of: "d1")?.lastGood
            rig.bus.fail(1, .refused(code))
            await rig.clock.advance(by: .milliseconds(3000))
            let status = rig.board.status(of: "d1")
            #expect(status?.state == .online)
            #expect(status?.trouble == "device_busy")
            #expect(status?.lastGood == good, "no value was read meanwhile")
            #expect((status?.failedPolls ?? 0) > 0)
        }
    }

    @Test(arguments: [
        (BusError.refused(2), "function 3 on holding 0: exception 02 illegal data address"),
        (.garbled("a reply from unit 9 instead of 1"), "function 3 on holding 0: a reply from unit 9 instead of 1"),
        (.noResponse, "function 3 on holding 0: no answer in time: only the local echo of the adapter came back"),
        (.linkDown("plc:502 closed the connection"), "plc:502 closed the connection"),
    ])
    func theFirstFaultIsToldInWords(_ error: BusError, _ words: String) async throws {
        let rig = PollerRig([registers([0])])
        rig.bus.fail(1, error)
        rig.bus.remark(1, "only the local echo of the adapter came back")
        try await rig.run { await rig.clock.advance(by: .milliseconds(1990)) }
        #expect(rig.board.status(of: "d1")?.lastFault?.words == words)
    }

    @Test func whatWasLearnedIsForgotten() async throws {
        let rig = PollerRig([registers(Array(0..<20))])
        rig.bus.script(1) { span in
            span.start <= 7 && span.end > 7
                ? .failure(.refused(2)) : .success(Array(repeating: 7, count: span.registerCount))
        }
        try await rig.run {
            await rig.clock.advance(by: .milliseconds(1990))
            #expect(rig.board.status(of: "d1")?.learned.refused.count == 1)
            rig.bus.answer(1, with: 8)
            #expect(await rig.poller.forgetLearned(of: "d1"))
            #expect(rig.board.status(of: "d1")?.learned.isEmpty == true)
            rig.bus.forgetRequests()
            await rig.clock.advance(by: .seconds(1))
        }
        #expect(rig.bus.requests.map(\.span) == [RegisterSpan(table: .holding, start: 0, registerCount: 20)])
        #expect(rig.batches(of: 1).last?.values == Array(repeating: .int(8), count: 20))
    }
}
