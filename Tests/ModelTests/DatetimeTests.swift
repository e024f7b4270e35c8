import Model
import Testing

/// Dates and times in registers, layout by layout.
@Suite struct DatetimeTests {
    private static func decode(
        _ words: [UInt16], _ layout: DatetimeLayout, _ order: ByteOrder = .bigEndian
    ) -> Decoded {
        Encoding(type: .datetime, order: order, datetime: layout).decode(words.span)
    }

    @Test(
        arguments: [
            (.unix32, [0x6740, 0x6E40], "2024-11-22T11:42:56.000Z"),
            (.unix64ms, [0, 0x0193, 0x53AE, 0xC22B], "2024-11-22T11:43:02.187Z"),
            (.ymdhms, [2024, 2, 29, 12, 0, 1], "2024-02-29T12:00:01.000Z"),
            (.ymdhms, [24, 2, 29, 12, 0, 1], "2024-02-29T12:00:01.000Z"),
            (.packed, [0x1802, 0x1D0C, 0x0001], "2024-02-29T12:00:01.000Z"),
            (.packedBCD, [0x2402, 0x2912, 0x0001], "2024-02-29T12:00:01.000Z"),
            (.packedBCD, [0x9912, 0x3123, 0x5959], "2099-12-31T23:59:59.000Z"),
            (.days2000, [0], "2000-01-01T00:00:00.000Z"),
            (.days2000, [8825], "2024-02-29T00:00:00.000Z"),
            (.days2000, [0xFFFF], "2179-06-06T00:00:00.000Z"),
            (.seconds2000, [0x2D73, 0x2E41], "2024-02-29T12:00:01.000Z"),
            // Day of the week 4 and the summer-time flag are there and not looked at.
            (.iec870, [24, 0x029D, 0x8C00, 1234], "2024-02-29T12:00:01.234Z"),
        ] as [(DatetimeLayout, [UInt16], String)])
    func registersAreMoments(layout: DatetimeLayout, words: [UInt16], text: String) {
        #expect(Self.decode(words, layout) == .value(.string(text)))
    }

    @Test(
        arguments: [
            (.ymdhms, [2023, 2, 29, 12, 0, 1]), (.ymdhms, [2024, 13, 1, 0, 0, 0]), (.ymdhms, [2024, 1, 1, 24, 0, 0]),
            (.packed, [0x1802, 0x1E0C, 0x0001]), (.packed, [0xFFFF, 0xFFFF, 0xFFFF]), (.packed, [0, 0, 0]),
            (.packedBCD, [0x2402, 0x3012, 0x0001]), (.packedBCD, [0x240A, 0x2912, 0x0001]),
            (.packedBCD, [0x2402, 0x2912, 0x0060]), (.packedBCD, [0xFFFF, 0xFFFF, 0xFFFF]),
            (.iec870, [24, 0x021E, 0x0C00, 1234]), (.iec870, [24, 0x021D, 0x0C00, 60_000]),
            (.iec870, [24, 0x021D, 0x0C3C, 0]), (.iec870, [0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF]), (.iec870, [0, 0, 0, 0]),
            // The flag "invalid": the clock of the device was never set.
            (.iec870, [24, 0x021D, 0x0C80, 1234]),
            (.unix64ms, [0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF]),
        ] as [(DatetimeLayout, [UInt16])])
    func whatIsNoMomentIsAnError(layout: DatetimeLayout, words: [UInt16]) {
        #expect(Self.decode(words, layout) == .bad(.decodeError))
    }

    @Test(arguments: DatetimeLayout.allCases, [ByteOrder.bigEndian, ByteOrder(wordsAreSwapped: true)])
    func whatIsWrittenIsReadBack(layout: DatetimeLayout, order: ByteOrder) throws {
        // Midnight: also what holds days can hold it.
        for milliseconds: Int64 in [946_684_800_000, 1_709_164_800_000, 1_735_603_200_000, 4_102_358_400_000] {
            let text = UnixTime(milliseconds: milliseconds).rfc3339
            let encoding = Encoding(type: .datetime, order: order, datetime: layout)
            let words = try encoding.encode(.string(text))
            #expect(words.count == layout.registerCount)
            #expect(encoding.decode(words.span) == .value(.string(text)), "\(layout) \(words)")
        }
    }

    @Test(
        arguments: [
            (.unix32, "1969-12-31T23:59:59Z"), (.unix32, "2106-02-07T06:28:16Z"), (.packed, "1999-12-31T00:00:00Z"),
            (.packedBCD, "2100-01-01T00:00:00Z"), (.days2000, "1999-12-31T00:00:00Z"),
            (.days2000, "2179-06-07T00:00:00Z"), (.seconds2000, "2136-02-07T06:28:16Z"),
            (.iec870, "2128-01-01T00:00:00Z"),
        ] as [(DatetimeLayout, String)])
    func momentsOutsideOfALayoutAreNotWritten(layout: DatetimeLayout, text: String) {
        #expect(throws: EncodingError.outOfRange) {
            try Encoding(type: .datetime, datetime: layout).encode(.string(text))
        }
    }

    @Test func theOrderOfWordsCountsWhereTheRegistersAreOneNumber() {
        let swapped = ByteOrder(wordsAreSwapped: true)
        #expect(Self.decode([0x2E41, 0x2D73], .seconds2000, swapped) == .value(.string("2024-02-29T12:00:01.000Z")))
        #expect(
            Self.decode([0x2402, 0x2912, 0x0001], .packedBCD, swapped) == .value(.string("2024-02-29T12:00:01.000Z")))
    }

    @Test func aSentinelIsNotADate() {
        let encoding = Encoding(type: .datetime, datetime: .days2000, sentinels: [0, 0xFFFF])
        #expect(encoding.decode([0].span) == .bad(.sentinel))
        #expect(encoding.decode([0xFFFF].span) == .bad(.sentinel))
        #expect(encoding.decode([1].span) == .value(.string("2000-01-02T00:00:00.000Z")))
    }
}
