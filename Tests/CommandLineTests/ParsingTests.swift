import ArgumentParser
import Gateway
import Model
import Testing

@testable import headgate

/// What can be typed.
@Suite struct ParsingTests {
    private func parse<Parsed>(_ words: [String], _ type: Parsed.Type) throws -> Parsed {
        try #require(try Headgate.parseAsRoot(words) as? Parsed)
    }

    @Test func setTakesEverythingThatARequestCanSay() throws {
        let set = try parse(
            [
                "command", "set", "chiller1/chw_setpoint", "7.5", "--unit", "Cel", "--for", "30m", "--expect", "-7",
                "--tolerance", "0.1", "--mode", "advise", "--as", "alice", "--reason", "low load", "--json",
            ], SetCommand.self)
        let draft = set.setpoint.draft
        #expect((draft.target, draft.value, draft.unit) == ("chiller1/chw_setpoint", "7.5", "Cel"))
        #expect((draft.lease, draft.expected, draft.tolerance) == (.seconds(1800), "-7", 0.1))
        #expect((draft.mode, draft.reason, draft.action) == (.advise, "low load", .set))
        #expect(set.person.resolved() == "alice")
        #expect(set.json)
    }

    @Test func aNegativeValueGoesBehindTheDashes() throws {
        let set = try parse(["command", "set", "--as", "alice", "pump1/offset", "--", "-2.5"], SetCommand.self)
        #expect(set.setpoint.value == "-2.5")
        #expect(set.setpoint.target == "pump1/offset")
    }

    @Test(
        arguments: [("90s", 90), ("30m", 1800), ("30min", 1800), ("2h", 7200), ("30d", 2_592_000)] as [(String, Int)])
    func durationsAreWrittenAsInTheSiteFile(text: String, seconds: Int) {
        #expect(DurationArgument(argument: text)?.duration == .seconds(seconds))
    }

    @Test(arguments: ["", "30", "m", "0s", "-5m", "1.5h", "31d", "99999999999999999999s", "9223372036854775807d"])
    func otherDurationsAreRefused(text: String) {
        #expect(DurationArgument(argument: text) == nil)
    }

    private static let id = "0193a1c4-7d1e-7c3a-9a55-0b5f0f6f2a11"

    @Test func theOtherVerbsAreThere() throws {
        let deny = try parse(["command", "deny", Self.id, "--reason", "product_quality"], DenyCommand.self)
        #expect(deny.reason == .productQuality)
        #expect(try parse(["command", "approve", Self.id], ApproveCommand.self).id.description == Self.id)
        #expect(try parse(["command", "show", Self.id], ShowCommand.self).id.description == Self.id)
        let lane = try parse(["command", "lane", "opt", "a/b", "supervised", "--reason", "x"], LaneCommand.self)
        #expect(lane.lane == .supervised)
        #expect(try parse(["commands", "export", "--format", "csv"], ExportCommand.self).format == .csv)
        #expect(try parse(["command", "dry-run", "a/b", "7"], DryRunCommand.self).setpoint.mode == .write)
        #expect(try parse(["command", "release", "a/b"], ReleaseCommand.self).target == "a/b")
        _ = try parse(["command", "list"], ListCommand.self)
        #expect(try parse(["lockout", "on", "--reason", "smoke"], LockoutOnCommand.self).scope == .site)
        let off = try parse(["lockout", "off", "--scope", "chiller1", "--reason", "ok"], LockoutOffCommand.self)
        #expect(off.scope == .device("chiller1"))
        _ = try parse(["lockout", "status"], LockoutStatusCommand.self)
    }

    @Test(arguments: [
        ["command", "set", "a/b"], ["command", "set", "a/b", "-5"], ["command", "set", "a/b", "7", "--for", "soon"],
        ["command", "set", "a/b", "7", "--mode", "force"], ["command", "set", "a/b", "7", "--tolerance", "1"],
        ["command", "set", "a/b", "7", "--as", "a b"], ["command", "show", "17"],
        ["command", "deny", id], ["command", "deny", id, "--reason", "because"],
        ["command", "lane", "opt", "a/b", "turbo", "--reason", "x"], ["command", "lane", "opt", "a/b", "shadow"],
        ["lockout", "on"], ["lockout", "on", "--reason", " "], ["command", "set", "a/b", "7", "--reason", ""],
        ["lockout", "on", "--scope", "a/*/b", "--reason", "x"],
        ["command", "export", "--from", "yesterday"],
    ])
    func wrongUsageIs64(words: [String]) {
        do {
            _ = try Headgate.parseAsRoot(words)
            Issue.record("\(words) was taken")
        } catch {
            #expect(Headgate.exitCode(for: error).rawValue == 64, "\(Headgate.message(for: error))")
        }
    }

    @Test func whoeverTypesIsWhoeverIsLoggedInAlsoUnderSudo() throws {
        let person = try parse(["command", "release", "a/b"], ReleaseCommand.self).person
        #expect(person.resolved(environment: ["SUDO_USER": "carol"]) == "carol")
        #expect(!person.resolved(environment: [:]).isEmpty)
        #expect(person.resolved(environment: ["SUDO_USER": ""]) == person.resolved(environment: [:]))
    }
}
