import Testing

@testable import ModbusBus

/// When a connection that does not answer is opened anew.
struct SessionPatienceTests {
    @Test func aConnectionThatHasAnsweredIsOpenedAnewAfterFourTimeOuts() {
        var patience = SessionPatience()
        patience.opened(at: .zero)
        #expect(patience.answered(at: .seconds(1)) == nil)
        for second in 2...4 { #expect(patience.timedOut(at: .seconds(second)) == .goOn) }
        #expect(patience.timedOut(at: .seconds(5)) == .reopen(silentFor: .zero, nextPatience: .seconds(10)))
    }

    @Test func aConverterThatIsDeafForFiveSecondsComesUp() {
        var patience = SessionPatience()
        patience.opened(at: .zero)
        for second in 1...5 { #expect(patience.timedOut(at: .seconds(second)) == .goOn) }
        #expect(patience.answered(at: .seconds(6)) == .seconds(6), "the delay that is worth configuring")
    }

    @Test func aConnectionThatNeverAnswersGetsTwiceAsLongEachTime() {
        var patience = SessionPatience()
        var gone: [Duration] = []
        for _ in 0..<7 {
            patience.opened(at: .zero)
            var now = Duration.zero
            while patience.timedOut(at: now) == .goOn { now += .seconds(1) }
            gone.append(now)
        }
        #expect(gone == [10, 20, 40, 80, 160, 300, 300].map { .seconds($0) })
    }

    @Test func timeOutsThatComeOnlyWithCompanyAreNamedOnce() {
        var watch = CompanyWatch()
        var said: [String] = []
        for round in 0..<40 {
            said += [watch.ended(company: 0, isAnswered: true)].compactMap(\.self)
            said += [watch.ended(company: 1, isAnswered: round.isMultiple(of: 2))].compactMap(\.self)
        }
        #expect(said.count == 1)
        #expect(said.first?.contains("in_flight: 1") == true)
    }

    @Test func aDeadUnitIsNoMatterOfCompany() {
        var watch = CompanyWatch()
        for round in 0..<40 {
            #expect(watch.ended(company: round % 2, isAnswered: round % 4 > 1) == nil)
        }
    }
}
