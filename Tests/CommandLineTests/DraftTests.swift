import Foundation
import Model
import Testing

@testable import Gateway

/// What the shell's words become.
@Suite struct DraftTests {
    let site: Site

    init() throws {
        let folder = try StateFolder()
        defer { folder.remove() }
        site = try Fixture.load(folder.path)
    }

    private func command(_ draft: CommandDraft, as name: String = "alice") throws(DeskProblem) -> Command {
        var generator = SystemRandomNumberGenerator()
        return try draft.command(
            id: CommandID(at: Fixture.now, using: &generator), site: site, as: name, at: Fixture.now)
    }

    @Test func theSiteFileCompletesWhatIsNotSaid() throws {
        let draft = CommandDraft(
            target: Fixture.point, action: .set, value: "7.50", lease: .seconds(1800), expected: "7", tolerance: 0.1,
            reason: "low load")
        let command = try command(draft)
        #expect(command.value == .decimal(DecimalNumber(mantissa: 75, exponent: -1)))
        #expect(command.unit == "Cel")
        #expect(command.gateway == "gw-07")
        #expect(command.origin == Command.Origin(category: .operator, actor: "alice"))
        #expect(command.lease?.duration == .seconds(1800))
        #expect(command.expect == Command.Expectation(value: .int(7), tolerance: 0.1))
        #expect(command.rationale?.text == "low load")
        #expect(
            command.expires == Fixture.now + .seconds(660), "as long as the policy lets a person take, and a minute")
        #expect(try Command(document: JSONValue(parsing: command.document.bytes)) == command)
    }

    @Test func aPersonAtThePlantIsLocal() throws {
        let draft = CommandDraft(target: Fixture.point, action: .release)
        let command = try command(draft, as: "panel")
        #expect(command.origin.category == .local)
        #expect(command.value == nil)
        #expect(command.unit == nil)
    }

    @Test(arguments: [
        ("chiller1/offset", "-2.5", PointValue.decimal(DecimalNumber(mantissa: -25, exponent: -1))),
        ("chiller1/mode", "auto", .int(1)), ("chiller1/mode", "0", .int(0)), ("chiller1/running", "true", .bool(true)),
    ])
    func valuesAreReadAsThePointTakesThem(target: String, text: String, value: PointValue) throws {
        #expect(try command(CommandDraft(target: target, action: .set, value: text)).value == value)
    }

    @Test func whatNobodyHasToApproveExpiresInAMinute() throws {
        let command = try command(CommandDraft(target: "chiller1/offset", action: .set, value: "1"))
        #expect(command.expires == Fixture.now + .seconds(60))
    }

    @Test(arguments: [
        ("chiller1/chw_setpont", "7", "alice", "unknown_point"), ("pump/x", "7", "alice", "unknown_point"),
        ("chiller1/chw_setpoint", "seven", "alice", "bad_format"), ("chiller1/running", "1", "alice", "bad_format"),
        ("chiller1/chw_setpoint", "7", "chw-opt", "not_authorised"),
        ("chiller1/chw_setpoint", "7", "root", "not_authorised"),
    ])
    func whatIsWrongIsToldWithACodeAndWhatIsAllowed(target: String, value: String, name: String, code: String) throws {
        let error = #expect(throws: DeskProblem.self) {
            try command(CommandDraft(target: target, action: .set, value: value), as: name)
        }
        guard case .refused(let found, let message)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(found == code)
        #expect(message.contains(name == "alice" ? "chiller1/" : "alice, panel"), "\(message)")
    }

    @Test func idsAreUUIDsOfVersion7ThatSortByTime() throws {
        var generator = SystemRandomNumberGenerator()
        let first = CommandID(at: Fixture.now, using: &generator)
        let second = CommandID(at: Fixture.now + .milliseconds(1), using: &generator)
        #expect(first < second)
        #expect(first.high >> 16 == 1_795_218_000_000)
        #expect(first.high >> 12 & 0xF == 7)
        #expect(first.low >> 62 == 0b10)
        #expect(CommandID(first.description) == first)
    }

    @Test(arguments: [
        ("site", "site"), ("chiller1", "device:chiller1"), ("device:site", "device:site"),
        ("*", "site"), ("chiller1/*", "device:chiller1"), ("chiller1/a", "point:chiller1/a"),
        ("point:chiller1/a", "point:chiller1/a"),
    ])
    func scopesAreWrittenShortOrInFull(text: String, name: String) {
        #expect(DeskOrder.Scope(text)?.name == name)
    }

    @Test(arguments: ["", "*/*", "a*/b", "/*", "a b", "device:", "point:chiller1", "chiller1/", "house:1"])
    func otherScopesAreNone(text: String) {
        #expect(DeskOrder.Scope(text) == nil)
    }
}
