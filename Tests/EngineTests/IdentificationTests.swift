import Model
import Testing

@testable import Engine

/// When a device is asked who it is, and what follows from the answer.
@Suite struct IdentificationTests {
    static let register = IdentityCheck.register(
        Point(name: "identify", table: .holding, protocolAddress: 9, encoding: Encoding(type: .uint16)), equals: .int(7)
    )
    static let wrong = Identification.Finding.wrong(expected: "7", found: "8")

    static func after(_ finding: Identification.Finding, session: UInt64 = 1, at now: Duration = .zero)
        -> Identification
    {
        var identification = Identification(checks: [register])
        identification.found(finding, session: session, at: now, jitter: 0)
        return identification
    }

    @Test func aDeviceWithoutARuleIsNeverAskedAndNeverBlocked() {
        var identification = Identification()
        #expect(!identification.isDue(session: 1, at: .zero))
        #expect(identification.obstacle(session: 1) == nil)
        identification.found(Self.wrong, session: 1, at: .zero, jitter: 0)
        #expect(identification.state == .exempt && identification.suspicion.isEmpty)
    }

    @Test func nothingIsWrittenBeforeTheDeviceSaidWhoItIs() {
        let identification = Identification(checks: [Self.register])
        #expect(identification.isDue(session: 1, at: .zero))
        #expect(identification.obstacle(session: 1) == .unidentified("the device has not been identified yet"))
        #expect(identification.suspicion.isEmpty)
    }

    @Test func anIdentifiedDeviceIsNotAskedAgainOnTheSameConnection() {
        let identification = Self.after(.confirmed)
        #expect(!identification.isDue(session: 1, at: .seconds(1_000_000)))
        #expect(identification.obstacle(session: 1) == nil)
    }

    @Test func onAConnectionThatWasOpenedAnewItIsAskedAtOnceAndBlockedUntilThen() {
        let identification = Self.after(.confirmed)
        #expect(identification.isDue(session: 2, at: .zero))
        guard case .unidentified = identification.obstacle(session: 2) else {
            Issue.record("written to without asking")
            return
        }
        #expect(identification.suspicion.isEmpty)
    }

    @Test func afterSilenceItIsAskedAgainOnTheSameConnection() {
        var identification = Self.after(.confirmed)
        identification.fellSilent()
        #expect(identification.isDue(session: 1, at: .zero))
        #expect(identification.obstacle(session: 1) != nil)
    }

    @Test func anotherDeviceIsSuspectAndBlockedUntilTheRightOneAnswers() {
        var identification = Self.after(Self.wrong)
        #expect(identification.suspicion == QualityReasons(.configSuspect))
        #expect(identification.obstacle(session: 1) == .wrongDevice("another device answers: 7 expected, 8 found"))
        identification.found(.unanswered, session: 2, at: .seconds(9), jitter: 0)
        #expect(identification.suspicion == QualityReasons(.configSuspect), "no answer proves nothing")
        identification.found(.confirmed, session: 2, at: .seconds(20), jitter: 0)
        #expect(identification.state == .confirmed && identification.suspicion.isEmpty)
        #expect(identification.obstacle(session: 2) == nil)
    }

    @Test(arguments: [wrong, .unanswered])
    func aMissingOrWrongAnswerIsAskedForEverMoreRarely(finding: Identification.Finding) {
        var identification = Identification(checks: [Self.register])
        var times: [Duration] = []
        for second in 0..<600 where identification.isDue(session: 1, at: .seconds(second)) {
            times.append(.seconds(second))
            identification.found(finding, session: 1, at: .seconds(second), jitter: 0)
        }
        let first = [0, 1, 3, 7, 15, 31, 63].map { Duration.seconds($0) }
        #expect(Array(times.prefix(7)) == first)
        #expect(times.count == 15 && times.last == .seconds(543), "\(times)")
    }

    @Test func aDeviceThatIgnoresTheQuestionIsNotAskedMoreOftenByReconnecting() {
        var identification = Self.after(.unanswered)
        #expect(!identification.isDue(session: 2, at: .milliseconds(900)))
        identification.fellSilent()
        #expect(!identification.isDue(session: 3, at: .milliseconds(900)))
        #expect(identification.isDue(session: 3, at: .seconds(1)))
        guard case .unidentified = identification.obstacle(session: 1) else {
            Issue.record("written to without an answer")
            return
        }
    }

    @Test func aWrongDeviceIsAskedAtOnceWhenTheConnectionWasOpenedAnew() {
        let identification = Self.after(Self.wrong)
        #expect(!identification.isDue(session: 1, at: .milliseconds(900)))
        #expect(identification.isDue(session: 2, at: .milliseconds(900)))
    }

    @Test func aDeviceThatRefusesTheQuestionIsAskedOnceForEachConnection() {
        let identification = Self.after(.uncheckable("it refuses"))
        #expect(!identification.isDue(session: 1, at: .seconds(1_000_000)))
        #expect(identification.isDue(session: 2, at: .zero))
        #expect(identification.state == .unverified("it refuses") && identification.suspicion.isEmpty)
        #expect(identification.obstacle(session: 1) == .unidentified("the device cannot be identified: it refuses"))
    }

    @Test func anAnswerDuringWhichTheConnectionChangedCountsForNothing() {
        var identification = Self.after(.confirmed)
        identification.found(Self.wrong, session: nil, at: .zero, jitter: 0)
        #expect(identification.state == .confirmed && identification.isDue(session: 2, at: .zero))
    }

    @Test(arguments: [
        (BusError.refused(1), true), (.refused(2), true), (.refused(3), true), (.refused(4), false),
        (.refused(6), false), (.refused(0x0B), false), (.noResponse, false), (.garbled(""), false),
        (.linkDown(""), false),
    ])
    func onlyARefusalOfTheQuestionItselfMeansThatItCannotBeChecked(error: BusError, isUncheckable: Bool) {
        let finding = Identification.Finding(Self.register, error)
        if case .uncheckable = finding { #expect(isUncheckable) } else { #expect(!isUncheckable) }
    }
}

@Suite struct IdentityCheckTests {
    @Test func aRegisterHoldsOrSaysWhatItHoldsInstead() {
        #expect(IdentificationTests.register.verdict(words: [7]) == .holds)
        #expect(
            IdentificationTests.register.verdict(words: [8]) == .differs(expected: "holding 9 = 7", found: "8"))
        #expect(
            IdentificationTests.register.verdict(words: []) == .differs(expected: "holding 9 = 7", found: "nothing"))
    }

    @Test func theDeviceIDIsToContainWhatTheProfileSaysInAnyCase() {
        let check = IdentityCheck.deviceID(vendor: "EATON", product: "Gateway")
        #expect(check.verdict(objects: [0: "Eaton Corporation", 1: "Power Xpert Gateway"]) == .holds)
        #expect(
            check.verdict(objects: [0: "Acme"]) == .differs(expected: "device id 'EATON Gateway'", found: "'Acme'"))
        #expect(check.verdict(objects: [:]) == .differs(expected: "device id 'EATON Gateway'", found: "nothing"))
    }
}
