import Model
import Testing

/// A small deterministic generator, so that a failure can be run again.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

func decimal(_ text: String) throws -> DecimalNumber {
    try #require(DecimalNumber(text))
}

@Suite struct EncodingTests {
    @Test(
        arguments: [
            ("ABCD", [0x4366, 0x8000]), ("CDAB", [0x8000, 0x4366]), ("BADC", [0x6643, 0x0080]),
            ("DCBA", [0x0080, 0x6643]),
        ] as [(String, [UInt16])])
    func floatOrdersAreTheOnesOfTheDocumentation(name: String, words: [UInt16]) throws {
        let encoding = Encoding(type: .float32, order: try #require(ByteOrder(name: name)))
        #expect(encoding.decode(words.span) == .value(.float(230.5)))
        #expect(try encoding.encode(.double(230.5)) == words)
    }

    @Test(
        arguments: [
            ("ABCDEFGH", [0x0123, 0x4567, 0x89AB, 0xCDEF]), ("GHEFCDAB", [0xCDEF, 0x89AB, 0x4567, 0x0123]),
            ("BADCFEHG", [0x2301, 0x6745, 0xAB89, 0xEFCD]), ("HGFEDCBA", [0xEFCD, 0xAB89, 0x6745, 0x2301]),
        ] as [(String, [UInt16])])
    func orders64ReadTheSameNumber(name: String, words: [UInt16]) throws {
        let encoding = Encoding(type: .int64, order: try #require(ByteOrder(name: name)))
        #expect(encoding.decode(words.span) == .value(.int(0x0123_4567_89AB_CDEF)))
    }

    @Test func scalingIsExactInDecimal() throws {
        let encoding = Encoding(type: .uint16, scale: try decimal("0.1"))
        guard case .value(.decimal(let value)) = encoding.decode([2305].span) else {
            Issue.record("a scaled integer must be an exact decimal")
            return
        }
        #expect(value.description == "230.5")
        #expect(value.double == 230.5)
    }

    @Test func offsetIsAddedAfterScaling() throws {
        let encoding = Encoding(type: .int16, scale: try decimal("0.01"), offset: try decimal("-273.15"))
        #expect(encoding.decode([27_315].span) == .value(.decimal(DecimalNumber(mantissa: 0, exponent: -2))))
    }

    @Test func float32IsNotWidened() {
        #expect(Encoding(type: .float32).decode([0x4366, 0x3333].span) == .value(.float(230.2)))
    }

    @Test(arguments: [[0x7FC0, 0], [0x7F80, 0], [0xFF80, 0]] as [[UInt16]])
    func notANumberAndInfinityNeverLeaveTheCodec(words: [UInt16]) {
        #expect(Encoding(type: .float32).decode(words.span) == .bad(.sentinel))
    }

    @Test func sentinelsAreTestedOnRawWords() throws {
        let encoding = Encoding(type: .int16, scale: try decimal("0.1"), sentinels: [0x8000])
        #expect(encoding.decode([0x8000].span) == .bad(.sentinel))
        #expect(encoding.decode([0x8001].span) == .value(.decimal(DecimalNumber(mantissa: -32_767, exponent: -1))))
    }

    @Test func invalidBCDDigitIsNeverANumber() {
        #expect(Encoding(type: .bcd16).decode([0x1234].span) == .value(.int(1234)))
        #expect(Encoding(type: .bcd16).decode([0x12A4].span) == .bad(.decodeError))
        #expect(Encoding(type: .bcd32).decode([0x1234, 0x5678].span) == .value(.int(12_345_678)))
    }

    @Test func mod10kIsABaseTenThousandNumber() {
        let encoding = Encoding(type: .mod10k, registerCount: 3)
        #expect(encoding.decode([12, 3456, 7890].span) == .value(.int(1_234_567_890)))
        #expect(encoding.decode([12, 10_000, 0].span) == .bad(.decodeError))
    }

    @Test func halvesOfARegister() {
        #expect(Encoding(type: .int8, characters: .high).decode([0xFE01].span) == .value(.int(-2)))
        #expect(Encoding(type: .uint8, characters: .low).decode([0xFE01].span) == .value(.int(1)))
    }

    @Test func bitFieldsAreUnsignedAndSingleBitsBool() {
        #expect(Encoding(type: .uint16, bits: 4...7).decode([0x0AB0].span) == .value(.int(0xB)))
        #expect(Encoding(type: .uint16, bits: 15...15).decode([0x8000].span) == .value(.bool(true)))
    }

    @Test func signMagnitudeAndOffsetBinary() {
        #expect(Encoding(type: .sm16).decode([0x8005].span) == .value(.int(-5)))
        #expect(Encoding(type: .offset16).decode([0x7FFF].span) == .value(.int(-1)))
        #expect(Encoding(type: .sm32).decode([0x8000, 0x0005].span) == .value(.int(-5)))
        #expect(Encoding(type: .offset32).decode([0x8000, 0x0000].span) == .value(.int(0)))
    }

    @Test(
        arguments: [
            (CharacterLayout.highFirst, [0x4142, 0x4320]), (.lowFirst, [0x4241, 0x2043]), (.high, [0x4100, 0x4200]),
            (.low, [0x0041, 0x0042]),
        ] as [(CharacterLayout, [UInt16])])
    func stringsInEveryLayout(layout: CharacterLayout, words: [UInt16]) {
        let encoding = Encoding(type: .string, characters: layout, registerCount: 2)
        let expected = layout == .highFirst || layout == .lowFirst ? "ABC" : "AB"
        #expect(encoding.decode(words.span) == .value(.string(expected)))
    }

    @Test func controlCharactersAreNoText() {
        #expect(Encoding(type: .string, registerCount: 1).decode([0x4107].span) == .bad(.decodeError))
    }

    @Test(arguments: ValueType.allCases.filter { $0.isNumeric && !$0.isFloat })
    func integersRoundTripInEveryOrder(type: ValueType) throws {
        var generator = SeededGenerator(state: 42)
        for (words, bytes) in [(false, false), (true, false), (false, true), (true, true)] {
            let order = ByteOrder(wordsAreSwapped: words, bytesAreSwapped: bytes)
            let encoding = Encoding(type: type, order: order, registerCount: type.fixedRegisterCount ?? 3)
            for _ in 0..<500 {
                let raw = (0..<encoding.registerCount).map { _ in UInt16.random(in: 0...UInt16.max, using: &generator) }
                guard case .value(let value) = encoding.decode(raw.span) else { continue }
                let again = try encoding.encode(value)
                #expect(encoding.decode(again.span) == .value(value), "\(type) \(order.name) \(raw)")
            }
        }
    }

    @Test(arguments: [ValueType.float16, .float32, .float64])
    func floatsRoundTripBitForBit(type: ValueType) throws {
        var generator = SeededGenerator(state: 7)
        let encoding = Encoding(type: type, order: ByteOrder(wordsAreSwapped: true))
        for _ in 0..<2000 {
            let raw = (0..<encoding.registerCount).map { _ in UInt16.random(in: 0...UInt16.max, using: &generator) }
            guard case .value(let value) = encoding.decode(raw.span) else { continue }
            #expect(try encoding.encode(value) == raw)
        }
    }

    @Test func valuesThatDoNotFitAreRefused() {
        #expect(throws: EncodingError.outOfRange) { try Encoding(type: .uint16).encode(.int(65_536)) }
        #expect(throws: EncodingError.outOfRange) { try Encoding(type: .int8).encode(.int(128)) }
        #expect(throws: EncodingError.outOfRange) { try Encoding(type: .bcd16).encode(.int(10_000)) }
        #expect(throws: EncodingError.wrongKind) { try Encoding(type: .uint16).encode(.string("1")) }
    }
}
