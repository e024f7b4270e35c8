import Model
import Testing

@testable import Engine

/// What a desk stores it can read again: a record that it could not read would keep the whole ledger from being used.
struct RecordRoundTripTests {
    @Test(arguments: [UnixTime.microsecondRange.upperBound, UnixTime.microsecondRange.upperBound + 600_000_000])
    func timesBehindTheYear9999ComeBack(microseconds: Int64) {
        let stored = JSONValue.object([.init("forget", .stored(UnixTime(microseconds: microseconds)))])
        #expect(stored.time("forget") == UnixTime(microseconds: UnixTime.microsecondRange.upperBound))
        let older = JSONValue.object([.init("forget", .integer(microseconds))])
        #expect(older.time("forget") == UnixTime(microseconds: UnixTime.microsecondRange.upperBound))
    }

    @Test func aRequestThatExpiresAtTheEndOfTheCalendarDoesNotSpoilTheLedger() throws {
        var plant = try DeskTests.Plant()
        var command = ControlFixture.command(1, at: plant.now)
        command.expires = UnixTime(microseconds: UnixTime.microsecondRange.upperBound)
        try plant.handle(.request(ControlFixture.request(command)))
        #expect(plant.code(1) != nil)
        try plant.restart()
    }

    @Test(arguments: [1e-10, 1e-9, 4.9e-7, 0.0015, 60])
    func leasesAndTimesOfAnyLengthComeBack(seconds: Double) throws {
        var command = ControlFixture.command(1, at: ControlFixture.start)
        command.lease = Command.Lease(duration: .seconds(60))
        command.rationale = Command.Rationale(
            expected: [Command.ExpectedChange(point: "chiller1/a", change: 1, within: .seconds(60))])
        let text = String(decoding: command.document.bytes, as: UTF8.self)
            .replacing("\"seconds\":60", with: "\"seconds\":\(seconds)")
            .replacing("\"within_s\":60", with: "\"within_s\":\(seconds)")
        let accepted = try Command(document: JSONValue(parsing: Array(text.utf8)))
        #expect(try Command(document: JSONValue(parsing: accepted.document.bytes)) == accepted)
    }
}
