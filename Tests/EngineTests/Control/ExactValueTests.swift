import Engine
import Model
import Testing

/// Whole numbers of 64 bits on their way from the request through the records to the event.
@Suite struct ExactValueTests {
    static let extremes: [PointValue] = [
        .int(.min), .int(.max), .int(1 << 53 + 1), .int(1_234_567_890_123_456_789), .uint(.max),
        .uint(UInt64(Int64.max) + 1),
    ]

    static func site(_ type: ValueType) -> ControlSite {
        var policy = ControlFixture.policy("wide")
        (policy.low, policy.high, policy.step, policy.interlocks, policy.approval) = (nil, nil, nil, [], nil)
        let point = Point(
            name: "wide", table: .holding, protocolAddress: 9, encoding: Encoding(type: type), unit: "1",
            kind: .setpoint, write: WriteRule(mode: .multiple))
        return ControlSite(
            gateway: "gw", settings: CommandSettings(issuers: ControlFixture.issuers, policies: [policy]),
            points: ControlledPoints([ControlledPoint(id: "chiller1/wide", point: point, policy: policy)]))
    }

    static func command(_ value: PointValue) throws -> Command {
        var command = ControlFixture.command(1, ControlFixture.room, point: "wide", at: ControlFixture.start)
        (command.value, command.unit) = (value, "1")
        return try Command(document: JSONValue(parsing: command.document.bytes))
    }

    @Test(arguments: extremes.filter { if case .int = $0 { true } else { false } })
    func aRequestKeepsEveryDigit(value: PointValue) throws {
        #expect(try Self.command(value).value == value)
    }

    @Test(arguments: extremes)
    func recordsKeepWhatTheDeviceShowed(value: PointValue) throws {
        let isUnsigned = if case .uint = value { true } else { false }
        let now = ControlFixture.start
        var desk = CommandDesk(site: Self.site(isUnsigned ? .uint64 : .int64), at: now)
        var records = MemoryRecords()
        func commit(_ effects: [DeskEffect]) throws {
            for case .commit(let changed, let leaves) in effects { try records.commit(changed, leaves) }
        }
        try commit(desk.start(at: now))
        try commit(desk.handle(.readings([ControlFixture.sample("wide", value, at: now)]), at: now))
        let request = ControlFixture.request(try Self.command(.int(5)), ControlFixture.room)
        try commit(desk.handle(.request(request), at: now))
        let wrote = desk.handle(.wrote(WriteTag(command: ControlFixture.id(1)), .verified(.int(5))), at: now)
        try commit(wrote)
        let again = try CommandDesk(site: Self.site(.int64), records: records.records, at: now)
        #expect(again.active.map(\.state) == [.verified])
        #expect(again.active.map(\.before) == [value])
        #expect(again.active.map(\.baseline) == [value])
    }

    @Test func wholeNumbersOf64BitsAreComparedToTheLastBit() {
        let point = Self.site(.int64).points["chiller1/wide"]
        #expect(point?.agree(.int(.max), .int(.max - 1)) == false)
        #expect(point?.agree(.int(.max), .int(.max)) == true)
        #expect(point?.agree(.int(5_000_000), .int(5_000_004)) == false)
        #expect(point?.agree(.int(5), .double(5)) == true)
    }

    @Test func whatFitsNoSigned64BitsIsRefusedClearly() throws {
        let text = String(decoding: try Self.command(.int(5)).document.bytes, as: UTF8.self)
        let bytes = Array(text.replacing("\"value\":5", with: "\"value\":18446744073709551615").utf8)
        #expect(throws: JSONError.self) { try JSONValue(parsing: bytes) }
    }
}
