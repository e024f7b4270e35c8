import Model
import Testing

/// Codecs at their edges: numbers of base 10,000 and scales that the device holds.
@Suite struct CodecEdgeTests {
    @Test(
        arguments: [
            ([0, 0], 0), ([1, 2345], 12_345), ([9999, 9999], 99_999_999), ([9999, 9999, 9999], 999_999_999_999),
            ([9999, 9999, 9999, 9999], 9_999_999_999_999_999),
        ] as [([UInt16], Int64)])
    func baseTenThousandRoundTripsInBothOrders(words: [UInt16], value: Int64) throws {
        for order in [ByteOrder.bigEndian, ByteOrder(wordsAreSwapped: true)] {
            let encoding = Encoding(type: .mod10k, order: order, registerCount: words.count)
            let own = order.wordsAreSwapped ? words.reversed() : words
            #expect(encoding.decode(own.span) == .value(.int(value)))
            #expect(try encoding.encode(.int(value)) == own)
        }
    }

    @Test func aGroupAboveNineThousandNineHundredNinetyNineIsNoNumber() {
        let encoding = Encoding(type: .mod10k, registerCount: 2, sentinels: [0xFFFF_FFFF])
        #expect(encoding.decode([1, 10_000].span) == .bad(.decodeError))
        #expect(encoding.decode([0xFFFF, 0xFFFF].span) == .bad(.sentinel))
        #expect(throws: EncodingError.outOfRange) { try encoding.encode(.int(100_000_000)) }
        #expect(throws: EncodingError.outOfRange) { try encoding.encode(.int(-1)) }
    }

    @Test(
        arguments: [
            (.int(2301), .int(-1), "230.1"), (.int(-5), .int(3), "-5000"), (.int(0), .int(-30), "0"),
            (.int(7), .int(0), "7"),
        ] as [(PointValue, PointValue, String)])
    func anExponentThatTheDeviceHoldsIsExact(value: PointValue, exponent: PointValue, text: String) throws {
        guard case .value(let scaled) = value.scaled(by: exponent, .exponent(point: "e")) else {
            Issue.record("no value")
            return
        }
        #expect(scaled.number == DecimalNumber(text)?.double)
        let back = try #require(scaled.unscaled(by: exponent, .exponent(point: "e"))?.number)
        #expect(abs(back - (value.number ?? 0)) < 1e-9)
    }

    @Test(arguments: [.int(31), .int(-31), .double(0.5), .string("x"), .null] as [PointValue])
    func anExponentThatMakesNoSenseIsAnError(exponent: PointValue) {
        #expect(PointValue.int(1).scaled(by: exponent, .exponent(point: "e")) == .bad(.decodeError))
    }

    @Test func aFactorThatTheDeviceHoldsMultiplies() {
        let reference = ScaleReference.factor(point: "k")
        #expect(PointValue.int(21).scaled(by: .int(2), reference) == .value(.decimal(DecimalNumber(mantissa: 42))))
        #expect(PointValue.int(21).scaled(by: .float(0.5), reference) == .value(.double(10.5)))
        #expect(PointValue.int(21).scaled(by: .string("2"), reference) == .bad(.decodeError))
        #expect(PointValue.int(21).unscaled(by: .int(0), reference) == nil)
    }
}
