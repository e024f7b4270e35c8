import MosquittoUplink
import Testing

@Suite struct ReconnectPauseTests {
    @Test func forTwoMinutesThePauseIsASecondThenItDoublesToAMinute() {
        var pause = ReconnectPause()
        for second in 0..<120 { #expect(pause.failed(at: .seconds(second)) == 1) }
        #expect((120..<128).map { pause.failed(at: .seconds($0)) } == [1, 2, 4, 8, 16, 32, 60, 60])
    }

    @Test func aLastingSessionMakesTheNextOutageANewOne() {
        var pause = ReconnectPause()
        for second in 0..<300 { _ = pause.failed(at: .seconds(second)) }
        #expect(pause.ended(lasted: .seconds(200), isTakenOver: false, at: .seconds(500)) == 1)
        #expect(pause.failed(at: .seconds(501)) == 1)
    }

    @Test func aSessionThatEndsAtOnceDoublesThePauseFromTheFirstTimeOn() {
        var pause = ReconnectPause()
        let pauses = (0..<7).map { pause.ended(lasted: .seconds(1), isTakenOver: false, at: .seconds($0 * 70)) }
        #expect(pauses == [2, 4, 8, 16, 32, 60, 60])
    }

    /// Two gateways with one client id: each one's session lasts as long as the other one's pause.
    @Test func sessionsThatAnotherClientEndsDoNotMakeUpForShortOnes() {
        var pause = ReconnectPause()
        for second in 0..<4 { _ = pause.ended(lasted: .seconds(1), isTakenOver: false, at: .seconds(second)) }
        #expect(pause.ended(lasted: .seconds(16), isTakenOver: false, at: .seconds(40)) == 16)
        #expect(pause.ended(lasted: .seconds(16), isTakenOver: true, at: .seconds(80)) == 32)
        #expect(pause.hint(clientID: "gw", isTakenOver: false)?.contains("'gw'") == true)
        #expect(pause.ended(lasted: .seconds(121), isTakenOver: false, at: .seconds(300)) == 1)
        #expect(pause.hint(clientID: "gw", isTakenOver: false) == nil)
    }
}
