import Model
import Testing

@Suite struct DecimalAndTimeTests {
    @Test(arguments: [
        ("0.1", "0.1"), ("-12", "-12"), ("1e-3", "0.001"), ("2.50", "2.50"), ("1e3", "1000"), ("-0.07", "-0.07"),
        ("0", "0"), ("1e19", "10000000000000000000"), ("10000000000000000000", "10000000000000000000"),
        ("999999999999999999", "999999999999999999"), ("9223372036854775807", "9223372036854775807"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("92233720368547758070", "92233720368547758070"),
    ])
    func decimalsAreReadAndWrittenExactly(text: String, written: String) throws {
        #expect(try decimal(text).description == written)
    }

    @Test(arguments: [
        "", "-", "1.2.3", "abc", "1e", "0x10", "1_000", "1e99", "-9223372036854775809", "9999999999999999999",
        "-9999999999999999999",
        "9223372036854775808",
        "10000000000000000000001",
    ])
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

@Suite struct HostileInputTests {
    @Test(arguments: [
        "2026:11:20-23-41-07Z", "2026-11-20T23:41:+7Z", "26-11-20T23:41:07.1055Z", "2026-11-20T23:41:07.Z",
        "2026-11-20T23:41:07.1234567Z", "2026-11-20T23:41:07.10Z5Z",
    ])
    func aTimeInAnotherOrderIsNotGuessed(text: String) {
        #expect(UnixTime(rfc3339: text) == nil)
    }

    @Test(arguments: [("07.1Z", 100_000), ("07.000001Z", 1), ("07Z", 0)] as [(String, Int64)])
    func fractionsAreReadByTheirDigits(end: String, microseconds: Int64) throws {
        let time = try #require(UnixTime(rfc3339: "1970-01-01T00:00:" + end))
        #expect(time.microseconds == 7_000_000 + microseconds)
    }

    @Test(arguments: [Int64.min, .min + 1, .max, -62_167_219_200_000_001])
    func timesOutsideTheCalendarAreWrittenWithoutACrash(microseconds: Int64) {
        #expect(UnixTime(microseconds: microseconds).rfc3339.utf8.count == 24)
    }

    @Test func everyDayAround1900And1970And2000ReadsBackAsItWasWritten() {
        // 1900 had no leap day, 2000 had one, and before 1970 the numbers are negative.
        let firstWrong = (Array(Int64(-26_000)...(-25_000)) + Array(-800...800) + Array(10_800...11_400)).first { day in
            let time = UnixTime(microseconds: day * 86_400_000_000 + 86_399_999_000)
            return UnixTime(rfc3339: time.rfc3339) != time
        }
        #expect(firstWrong == nil, "counted in days since 1970")
    }

    @Test(arguments: ValueType.allCases, [Int64.min, .max])
    func theLargestIntegersAreEncodedOrRefusedWithoutACrash(type: ValueType, value: Int64) {
        let encoding = Encoding(type: type, registerCount: type.fixedRegisterCount ?? 2)
        let words = try? encoding.encode(.int(value))
        #expect(words == nil || words?.count == encoding.registerCount)
    }

    @Test func offsetBinaryTakesExactlyItsRange() throws {
        #expect(try Encoding(type: .offset16).encode(.int(-32_768)) == [0])
        #expect(try Encoding(type: .offset16).encode(.int(32_767)) == [0xFFFF])
        #expect(throws: EncodingError.outOfRange) { try Encoding(type: .offset16).encode(.int(32_768)) }
    }

    @Test func whatDoesNotFitADecimalFallsBackToADouble() throws {
        let encoding = Encoding(type: .uint64, scale: try decimal("1000"))
        #expect(encoding.decode([0x7FFF, 0xFFFF, 0xFFFF, 0xFFFF].span) == .value(.double(Double(Int64.max) * 1000)))
        let beyond = Encoding(type: .uint64).decode([0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF].span)
        #expect(beyond == .value(.uint(.max)))
    }
}

@Suite struct QualityTableTests {
    @Test(
        arguments: [
            ("local_override", .good, 0x0096_0000), ("last_value", .uncertain, 0x408F_0000),
            ("stale", .uncertain, 0x4090_0000), ("flatline", .uncertain, 0x4090_0000),
            ("substituted", .uncertain, 0x4091_0000), ("sensor_limit", .uncertain, 0x4093_0000),
            ("out_of_range", .uncertain, 0x4094_0000), ("spike", .uncertain, 0x4000_0000),
            ("drift", .uncertain, 0x4000_0000), ("torn", .uncertain, 0x4000_0000),
            ("clock_suspect", .uncertain, 0x4000_0000), ("simulated", .uncertain, 0x4209_0000),
            ("config_suspect", .uncertain, 0x420F_0000), ("impossible", .bad, 0x803C_0000),
            ("sentinel", .bad, 0x808C_0000), ("not_implemented", .bad, 0x803D_0000), ("timeout", .bad, 0x800A_0000),
            ("comm_down", .bad, 0x8031_0000), ("protocol_error", .bad, 0x8005_0000), ("bad_address", .bad, 0x8089_0000),
            ("device_failure", .bad, 0x808B_0000), ("device_busy", .bad, 0x8004_0000),
            ("decode_error", .bad, 0x8038_0000), ("waiting", .bad, 0x8032_0000), ("out_of_service", .bad, 0x808D_0000),
            ("shutdown", .bad, 0x800C_0000),
        ] as [(String, Quality, UInt32)])
    func everyReasonHasTheQualityAndStatusOfTheContract(code: String, quality: Quality, status: UInt32) throws {
        let reason = try #require(QualityReason(code: code))
        #expect(reason.quality == quality)
        #expect(reason.opcUAStatus == status)
        #expect(QualityReasons(reason).quality == quality)
    }
}
