import Model
import Profiles
import Testing

/// Values that devices hold in unusual ways, from the profile to the value.
@Suite struct OddValuesTests {
    @Test func formatsBesideTheUsualOnesAreRead() throws {
        let (profile, problems) = try ProfileText.load(
            """
            defaults: {table: holding}
            points:
              energy:   {address: 0, type: udecade32}
              balance:  {address: 2, type: decade32}
              pulses:   {address: 4, type: uint24}
              flow:     {address: 6, type: int24, order: CDAB}
              total:    {address: 8, type: uint48, order: EFCDAB}
              net:      {address: 11, type: int48}
            tests:
              - registers: {holding: {0: [0xFD01, 0xE240], 2: [0x01FF, 0xFFFE], 4: [0x0001, 0xE240],
                                      6: [0xFFFE, 0x00FF], 8: [0xE240, 0x0001, 0], 11: [0xFFFF, 0xFFFF, 0xFFFD]}}
                expect: {energy: 123.456, balance: -20, pulses: 123456, flow: -2, total: 123456, net: -3}
            """)
        #expect(try #require(profile, "\(problems)").goldenFailures() == [])
    }

    @Test func paddingAndCharacterSetsOfTextsAreRead() throws {
        let (profile, problems) = try ProfileText.load(
            """
            defaults: {table: holding, type: string}
            points:
              leading: {address: 0, count: 3}
              filled:  {address: 3, count: 3}
              latin:   {address: 6, count: 3, charset: latin1}
              guessed: {address: 9, count: 3}
              single:  {address: 12, count: 3, order: low}
              wide:    {address: 15, count: 3, charset: utf16}
              none:    {address: 18, count: 3}
            tests:
              - registers: {holding: {0: [0, 0x4142, 0x4300], 3: [0x4142, 0x43FF, 0xFFFF], 6: [0x4BFC, 0x686C, 0],
                                      9: [0x4BFC, 0x686C, 0], 12: [0x41, 0x42, 0x43], 15: [0x41, 0xFC, 0],
                                      18: [0xFFFF, 0xFFFF, 0xFFFF]}}
                expect: {leading: ABC, filled: ABC, latin: Kühl, guessed: Kühl, single: ABC, wide: Aü, none: {bad: sentinel}}
            """)
        #expect(try #require(profile, "\(problems)").goldenFailures() == [])
    }

    @Test func aValueInSeveralPlacesIsPutTogether() throws {
        let (profile, problems) = try ProfileText.load(
            """
            defaults: {table: holding}
            points:
              energy: {parts: [{address: 10}, {address: 40}], type: uint32}
              turned: {parts: [{address: 10}, {table: input, address: 40}], type: uint32, order: CDAB}
              total:  {parts: [{address: 0, type: uint16, scale: 1000}, {address: 7, type: uint16}], type: uint32, scale: 0.1}
            tests:
              - registers: {holding: {0: [3], 7: [21], 10: [1], 40: [2]}, input: {40: [3]}}
                expect: {energy: 65538, turned: 196609, total: 302.1}
            """)
        #expect(try #require(profile, "\(problems)").goldenFailures() == [])
    }

    @Test(arguments: [
        ("parts: [{address: 1}], type: uint32", "2 to 8 places"),
        ("parts: [{address: 1}, {address: 9}], type: uint64", "the parts have 2"),
        ("parts: [{address: 1}, {address: 9}], type: uint32, bits: 0", "bits is for a value in one place"),
        ("parts: [{address: 1}, {table: coil, address: 9}], type: uint32", "parts are registers"),
        ("parts: [{address: 1}, {address: 9}], type: uint32, address: 3", "address"),
    ])
    func partsThatMakeNoValueAreErrors(point: String, message: String) throws {
        let problems = try ProfileText.load("points: {energy: {table: holding, \(point)}}").problems
        #expect(problems.joined().contains(message), "\(problems)")
    }

    @Test func defaultsOfAProfileCountForWhatItExtends() throws {
        let texts = try ProfileText([
            "acme/base": """
            defaults: {table: holding, type: uint32}
            points: {a: {address: 0}, b: {address: 2, order: BADC}}
            """,
            "acme/turned": "extends: acme/base\ndefaults: {order: CDAB}\n",
        ])
        defer { texts.remove() }
        let loaded = texts.load("acme/turned")
        let profile = try #require(loaded.value, "\(loaded.problems)")
        #expect(profile.point("a")?.encoding.order == ByteOrder(name: "CDAB"))
        #expect(profile.point("b")?.encoding.order == ByteOrder(name: "BADC"))
    }

    @Test func labelsNameCodesAndStatesOfABool() throws {
        let (profile, problems) = try ProfileText.load(
            """
            points:
              door: {table: coil, address: 0, enum: {false: open, true: closed}}
              mode: {table: holding, address: 1, type: uint16, kind: state, enum: {0: "off", 1: auto, 2: auto}}
            """)
        let door = try #require(profile?.point("door"), "\(problems)")
        let mode = try #require(profile?.point("mode"))
        #expect(door.shown(.bool(true)) == "true (closed)" && mode.shown(.int(0)) == "0 (off)")
        #expect(try door.value(writtenAs: "open") == .bool(false))
        #expect(try door.value(writtenAs: "true") == .bool(true))
        #expect(try mode.value(writtenAs: "off") == .int(0))
        #expect(try mode.value(writtenAs: "2").number == 2)
        #expect(throws: Point.NoValue.self) { try mode.value(writtenAs: "hand") }
        #expect(throws: Point.NoValue.self) { try mode.value(writtenAs: "auto") }
    }

    @Test func peopleReadNoDustOfBinaryArithmetic() {
        #expect(PointValue.double(0.1 + 0.2).plain == "0.3")
        #expect(PointValue.double(21.0).plain == "21")
        #expect(PointValue.double(-1234.5678).plain == "-1234.5678")
        #expect(PointValue.float(230.2).plain == "230.2")
        #expect(PointValue.uint(18_446_744_073_709_551_615).plain == "18446744073709551615")
    }

    @Test func numberedPointsNeedNoPrefix() throws {
        let (profile, problems) = try ProfileText.load(
            """
            defaults: {table: holding, type: uint16}
            repeat: {count: 3, stride: 2, points: {"event_{n}": {address: 10}, "event_{n}_time": {address: 11}}}
            """)
        let found = try #require(profile, "\(problems)")
        #expect(found.point("event_3")?.protocolAddress == 14)
        #expect(found.point("event_2_time")?.protocolAddress == 13)
        let unnamed = try ProfileText.load(
            "repeat: {count: 3, stride: 2, points: {event: {table: holding, address: 10, type: uint16}}}")
        #expect(unnamed.problems.joined().contains("the key 'name' is missing"))
    }
}
