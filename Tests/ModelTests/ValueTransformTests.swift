import Model
import Testing

/// A power factor of four quadrants in one number.
@Suite struct ValueTransformTests {
    private static func float(_ value: Float) -> Decoded {
        let bits = value.bitPattern
        let words = [UInt16(bits >> 16), UInt16(truncatingIfNeeded: bits)]
        return Encoding(type: .float32, transform: .foldedPowerFactor).decode(words.span)
    }

    @Test(
        arguments: [
            (0, 0), (0.94, 0.94), (1, 1), (1.063, 0.937), (1.06, 0.94), (2, 0), (-0.5, -0.5), (-1, -1),
            (-1.06, -0.94), (-1.999, -0.001),
        ] as [(Float, Float)])
    func whatIsBeyondOneIsFoldedBack(coded: Float, powerFactor: Float) {
        #expect(Self.float(coded) == .value(.float(powerFactor)))
    }

    @Test(arguments: [2.001, -2.001, 1e9] as [Float])
    func whatIsBeyondTwoIsNoPowerFactor(coded: Float) {
        #expect(Self.float(coded) == .bad(.decodeError))
    }

    @Test func notANumberStaysASentinel() {
        #expect(Self.float(.nan) == .bad(.sentinel))
    }

    @Test func scaledIntegersAreFoldedExactly() throws {
        let scale = try #require(DecimalNumber("0.001"))
        let encoding = Encoding(type: .int16, scale: scale, transform: .foldedPowerFactor)
        #expect(encoding.decode([1063].span) == .value(.decimal(try #require(DecimalNumber("0.937")))))
        #expect(
            encoding.decode([UInt16(bitPattern: -1060)].span) == .value(.decimal(try #require(DecimalNumber("-0.940"))))
        )
        #expect(encoding.decode([940].span) == .value(.decimal(try #require(DecimalNumber("0.940")))))
    }

    @Test func everyPowerFactorRoundTrips() throws {
        let scale = try #require(DecimalNumber("0.001"))
        for encoding in [
            Encoding(type: .int16, scale: scale, transform: .foldedPowerFactor),
            Encoding(type: .float32, transform: .foldedPowerFactor),
        ] {
            for raw in stride(from: Int64(-1000), through: 1000, by: 1) {
                let value = PointValue.decimal(DecimalNumber(mantissa: raw, exponent: -3))
                let words = try encoding.encode(value)
                guard case .value(let again) = encoding.decode(words.span) else {
                    Issue.record("\(raw) does not come back")
                    continue
                }
                let difference = try #require(again.number) - Double(raw) / 1000
                #expect(abs(difference) < 1e-6)
            }
            #expect(throws: EncodingError.outOfRange) { try encoding.encode(.double(1.06)) }
        }
    }
}
