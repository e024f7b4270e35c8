import Model
import Testing

@Suite struct DecimalAndTimeTests {
    @Test(arguments: [
        ("0.1", "0.1"), ("-12", "-12"), ("1e-3", "0.001"), ("2.50", "2.50"), ("1e3", "1000"), ("-0.07", "-0.07"),
        ("0", "0"),
    ])
    func decimalsAreReadAndWrittenExactly(text: String, written: String) throws {
        #expect(try decimal(text).description == written)
    }

    @Test(arguments: ["", "-", "1.2.3", "abc", "1e", "0x10", "1_000", "1e99", "1234567890123456789"])
    func whatIsNoDecimalIsRefused(text: String) {
        #expect(DecimalNumber(text) == nil)
    }

    @Test func productsAndSumsThatDoNotFitAreNil() throws {
        let large = DecimalNumber(mantissa: .max)
        #expect(large.multiplied(by: DecimalNumber(mantissa: 2)) == nil)
        #expect(large.adding(DecimalNumber(mantissa: 1)) == nil)
        #expect(try decimal("0.1").adding(try decimal("20"))?.description == "20.1")
    }

    @Test(
        arguments: [
            (0, "1970-01-01T00:00:00.000Z"), (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (1_795_218_067_105, "2026-11-20T23:41:07.105Z"),
        ] as [(Int64, String)])
    func timesAreWrittenAndReadAsRFC3339(milliseconds: Int64, text: String) {
        #expect(UnixTime(milliseconds: milliseconds).rfc3339 == text)
        #expect(UnixTime(rfc3339: text) == UnixTime(milliseconds: milliseconds))
    }

    @Test(arguments: ["2023-02-29T00:00:00Z", "2026-11-20", "2026-11-20T23:41:07+01:00", "yesterday"])
    func whatIsNoUTCTimeIsRefused(text: String) {
        #expect(UnixTime(rfc3339: text) == nil)
    }

    @Test func everyReasonHasACodeOfItsOwn() {
        let codes = QualityReason.allCases.map(\.code)
        #expect(Set(codes).count == codes.count)
        for reason in QualityReason.allCases { #expect(QualityReason(code: reason.code) == reason) }
    }

    @Test func qualityIsTheWorstReason() {
        var reasons = QualityReasons(.localOverride)
        #expect(reasons.quality == .good)
        reasons.insert(.outOfRange)
        #expect(reasons.quality == .uncertain)
        reasons.insert(.timeout)
        #expect(reasons.quality == .bad)
    }
}
