import Model
import Testing

@Suite struct CommandDocumentTests {
    static let text = """
        {"schema":"command/1","id":"0193a1c4-7d1e-7c3a-9a55-0b5f0f6f2a11",
         "target":{"gateway":"gw-07","point":"chiller1/chw_setpoint"},
         "action":"set","value":7.5,"unit":"Cel","mode":"write",
         "issued":"2026-11-20T23:40:00Z","expires":"2026-11-20T23:42:00Z",
         "lease":{"seconds":900,"on_end":"fallback"},
         "expect":{"value":7.0,"tolerance":0.05},
         "origin":{"category":"ai","actor":"model:chw-opt","version":"2.3.1","digest":"sha256:4b0c","on_behalf_of":"energy-team"},
         "evidence":[{"point":"chiller1/chw_supply_temp","epoch":41,"n":501882,"value":7.2}],
         "rationale":{"text":"Lift supply setpoint, low load","confidence":0.82,"propensity":0.70,
           "expected":[{"point":"chiller1/power","change":-6.0,"unit":"kW","within_s":1800}]},
         "recommendation":"rec-88121"}
        """

    static func read(_ text: String) throws -> Command {
        try Command(document: JSONValue(parsing: Array(text.utf8)))
    }

    @Test func theExampleOfTheContractIsReadAndWrittenBack() throws {
        let command = try Self.read(Self.text)
        #expect(command.id.description == "0193a1c4-7d1e-7c3a-9a55-0b5f0f6f2a11")
        #expect(command.value == .decimal(DecimalNumber(mantissa: 75, exponent: -1)))
        #expect(command.expect?.value == .int(7))
        #expect(command.lease == Command.Lease(duration: .seconds(900), onEnd: .fallback))
        #expect(command.expires - command.issued == .seconds(120))
        #expect(command.rationale?.expected[0].within == .seconds(1800))
        #expect(
            command.evidence == [
                Command.Evidence(
                    point: "chiller1/chw_supply_temp", epoch: 41, number: 501_882,
                    value: .decimal(DecimalNumber(mantissa: 72, exponent: -1)))
            ])
        #expect(try Self.read(String(decoding: command.document.bytes, as: UTF8.self)) == command)
    }

    @Test(arguments: [
        (#""schema":"command/1""#, #""schema":"command/2""#, RefusalCode.badFormat),
        ("0193a1c4-7d1e-7c3a-9a55-0b5f0f6f2a11", "0193a1c47d1e7c3a9a550b5f0f6f2a11", .badFormat),
        (#""action":"set""#, #""action":"write""#, .badFormat),
        (#""value":7.5,"#, "", .badFormat),
        (#""value":7.5,"#, #""value":[7.5],"#, .badFormat),
        (#""unit":"Cel","#, "", .badUnit),
        (#""mode":"write""#, #""mode":"force""#, .badFormat),
        (#""expires":"2026-11-20T23:42:00Z","#, "", .badFormat),
        (#""expires":"2026-11-20T23:42:00Z","#, #""expires":"tomorrow","#, .expired),
        (#""seconds":900"#, #""seconds":-1"#, .badFormat),
        (#""seconds":900"#, #""seconds":9e30"#, .badFormat),
        (#""category":"ai""#, #""category":"god""#, .badFormat),
        (#""action":"set""#, #""action":"release""#, .badFormat),
        (#""recommendation""#, #""recomendation""#, .badFormat),
        (#""n":501882"#, #""n":-1"#, .badFormat),
    ])
    func whatIsWrongHasACode(part: String, replacement: String, code: RefusalCode) throws {
        let pieces = Self.text.split(separator: part, omittingEmptySubsequences: false)
        try #require(pieces.count > 1)
        #expect {
            try Self.read(pieces.joined(separator: replacement))
        } throws: { error in
            (error as? CommandFormatError)?.code == code
        }
    }

    @Test(arguments: [
        "", "{", "[1,]", "{\"a\":1,\"a\":2}", "01", "1.", "+1", ".5", "\"\u{1}\"", "nul", "{} x", "\"\\ud800\"",
        "1e999", "9223372036854775808", String(repeating: "[", count: 100_000), "\"abc", "{\"a\" 1}", "\"\\u00g0\"",
    ])
    func whatIsNotJSONIsRefused(text: String) {
        #expect(throws: JSONError.self) { try JSONValue(parsing: Array(text.utf8)) }
    }

    @Test func bytesThatAreNotUTF8AreRefused() {
        #expect(throws: JSONError.self) { try JSONValue(parsing: [0x22, 0xFF, 0x22]) }
    }

    @Test func randomBytesNeverCrashTheReader() {
        let clean = Array(Self.text.utf8)
        var state: UInt64 = 7
        func random(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % bound
        }
        var accepted = 0
        for _ in 0..<20_000 {
            var bytes = clean
            for _ in 0...random(4) { bytes[random(bytes.count)] = UInt8(random(256)) }
            if random(5) == 0 { bytes.removeLast(random(bytes.count)) }
            if let document = try? JSONValue(parsing: bytes), (try? Command(document: document)) != nil {
                accepted += 1
            }
        }
        #expect(accepted > 0)
    }

    @Test func textsWithEscapesComeBack() throws {
        let text = "a\"b\\c\n\u{7F}\u{1F600}ü/"
        #expect(try JSONValue(parsing: JSONValue.string(text).bytes) == .string(text))
        #expect(try JSONValue(parsing: Array(#""\ud83d\ude00\u00fc\t""#.utf8)) == .string("😀ü\t"))
    }

    @Test(arguments: [0.1, -2.5e-7, 1e22, 123_456.789, 0, 1e-12])
    func doublesComeBack(number: Double) {
        #expect(JSONValue.double(number).double == number)
    }

    @Test func hoursKnowWeekdaysAndMidnight() throws {
        let office = try #require(HoursWindow("mon-fri 06:00-22:00"))
        let night = try #require(HoursWindow("fri 22:00-06:00"))
        func at(_ text: String) -> UnixTime { UnixTime(rfc3339: text) ?? UnixTime(microseconds: 0) }
        #expect(office.contains(at("2026-11-20T06:00:00Z")))
        #expect(!office.contains(at("2026-11-20T22:00:00Z")))
        #expect(!office.contains(at("2026-11-21T12:00:00Z")))
        #expect(night.contains(at("2026-11-20T23:00:00Z")))
        #expect(night.contains(at("2026-11-21T05:59:00Z")))
        #expect(!night.contains(at("2026-11-20T05:59:00Z")))
        for wrong in ["", "6-7", "25:00-26:00", "mon 06:00", "xyz 06:00-07:00", "06:60-07:00", "a b c"] {
            #expect(HoursWindow(wrong) == nil, "\(wrong)")
        }
    }

    @Test(arguments: [
        ("chiller*/chw_setpoint", "chiller1/chw_setpoint", true),
        ("chiller*/chw_setpoint", "chiller/chw_setpoint", true),
        ("*/x", "a/b/x", false), ("*/*", "a/b", true), ("a*c*/x", "abcbc/x", true), ("a/x", "a/xy", false),
        ("*", "a/b", false), ("a/*b", "a/ab", true),
    ])
    func patternsStayWithinALevel(pattern: String, id: String, matches: Bool) {
        #expect(PointPattern.matches(pattern, id) == matches)
    }
}
