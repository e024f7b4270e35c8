import Model
import Testing

/// What makes a device the right one.
@Suite struct IdentityCheckTests {
    private static func point(_ type: ValueType, _ address: UInt16 = 10, count: Int? = nil) -> Point {
        Point(
            name: "identify", table: .holding, protocolAddress: address,
            encoding: Encoding(type: type, registerCount: count))
    }

    private static func holds(_ check: IdentityCheck, _ words: [UInt16]) -> Bool {
        check.verdict(words: words) == .holds
    }

    @Test func oneOfSeveralValuesIsEnough() {
        let check = IdentityCheck.register(Self.point(.uint16), matches: .anyOf([.int(1648), .int(1649)]))
        #expect(Self.holds(check, [1649]) && Self.holds(check, [1648]))
        #expect(check.verdict(words: [71]) == .differs(expected: "holding 10 = 1648 or 1649", found: "71"))
        #expect(!Self.holds(check, []) && !Self.holds(check, [1648, 1649]))
    }

    @Test func aTextMayBeginWithWhatIsWanted() {
        let check = IdentityCheck.register(Self.point(.string, count: 3), matches: .prefix(["PM51", "PM53"]))
        #expect(Self.holds(check, [0x504D, 0x3533, 0x3130]))
        #expect(
            check.verdict(words: [0x504D, 0x3535, 0x3130])
                == .differs(expected: "holding 10…12 begins with 'PM51' or 'PM53'", found: "'PM5510'"))
        #expect(
            check.verdict(words: [0x0700, 0, 0]) == .differs(expected: check.expected, found: "0x0700 0x0000 0x0000"))
    }

    @Test func onlyTheBitsOfTheMaskCount() {
        let check = IdentityCheck.register(Self.point(.uint32), matches: .masked([0x5100_0000], mask: 0xFF00_0000))
        #expect(Self.holds(check, [0x51AB, 0xCDEF]))
        #expect(!Self.holds(check, [0x52AB, 0xCDEF]))
    }

    @Test func aPartOfABlockIsCompared() {
        let block = RegisterSpan(table: .holding, start: 8, registerCount: 5)
        let check = IdentityCheck.register(Self.point(.uint16), matches: .anyOf([.int(42)]), within: block)
        #expect(check.span == block)
        #expect(Self.holds(check, [1, 2, 42, 3, 4]))
        #expect(!Self.holds(check, [42, 42, 0, 42, 42]))
        #expect(!Self.holds(check, [42]))
    }

    @Test(
        arguments: [
            (.deviceID(vendor: "schneider", product: nil), true),
            (.deviceID(vendor: .contains(["Siemens", "Schneider"]), product: .prefix(["iem31", "iem33"])), true),
            (.deviceID(vendor: nil, product: .prefix(["3155"])), false),
            (.deviceID(vendor: nil, product: .contains(["3155"])), true),
            (.deviceID(vendor: "Siemens", product: "iEM"), false),
        ] as [(IdentityCheck, Bool)])
    func theDeviceSaysWhoItIs(check: IdentityCheck, isRight: Bool) {
        let verdict = check.verdict(objects: [0: "Schneider Electric", 1: "iEM3155", 2: "V1.3"])
        #expect((verdict == .holds) == isRight)
        #expect(check.verdict(objects: [:]) != .holds)
        #expect(check.span == nil)
    }

    @Test func theExamplesOfEveryCheckHold() throws {
        let block = RegisterSpan(table: .holding, start: 100, registerCount: 6)
        let checks: [IdentityCheck] = [
            .register(Self.point(.uint16, 102), matches: .anyOf([.int(42), .int(43)]), within: block),
            .register(Self.point(.string, 103, count: 2), matches: .prefix(["7KM2"]), within: block),
            .register(Self.point(.uint16, 7), matches: .masked([0x0300], mask: 0xFF00)),
            .deviceID(vendor: "Acme", product: nil),
        ]
        let own = Self.point(.uint16, 105)
        let profile = DeviceProfile(
            id: "a/b", title: "", manufacturer: "", model: "", revision: 1, source: "", identity: checks, points: [own])
        var registers: [UInt16: UInt16] = [105: 9]
        for (point, value) in profile.identityExamples {
            #expect(!point.span.overlaps(own.span))
            for (offset, word) in try point.encoding.encode(value).enumerated() {
                registers[point.protocolAddress + UInt16(offset)] = word
            }
        }
        for check in checks {
            guard let span = check.span else { continue }
            let words = (Int(span.start)..<span.end).compactMap { registers[UInt16($0)] }
            #expect(check.verdict(words: words) == .holds)
        }
    }
}
