import Foundation
import Model
import Testing

@testable import Gateway

/// What people read.
@Suite struct ShownTests {
    private func json(_ text: String) throws -> JSONValue { try JSONValue(parsing: Array(text.utf8)) }

    private static let id = CommandID(high: 0x0193_a1c4_7d1e_7c3a, low: 0x9a55_0b5f_0f6f_2a11)

    @Test func aDryRunShowsEveryGuardWithItsInputsAndTheCodeThatCounts() throws {
        let guards = try json(
            #"""
            [{"guard":"address","verdict":"pass","inputs":{"point":"c/s"}},
             {"guard":"interlocks","verdict":"refuse","code":"interlock","inputs":{"c/running == true":"no"}},
             {"guard":"limits","verdict":"refuse","code":"out_of_limits","inputs":{"value":14,"max":12}},
             {"guard":"approval","verdict":"hold"}]
            """#)
        let rehearsal = Rehearsal(id: Self.id, guards: guards.elements)
        #expect(
            rehearsal.text(.write) == """
                GUARD       VERDICT  CODE           INPUTS
                address     pass                    point=c/s
                interlocks  refuse   interlock      c/running == true=no
                limits      refuse   out_of_limits  value=14 max=12
                approval    hold
                verdict: it would be rejected, out_of_limits: the value is outside of what the policy and the device allow
                """)
        let document = try JSONValue(parsing: rehearsal.json)
        #expect(document["verdict"] == .string("refuse"))
        #expect(document["code"] == .string("out_of_limits"))
        #expect(document["guards"] == guards)
    }

    @Test(arguments: [
        ("pass", Command.Mode.write, "it would be executed"),
        ("pass", .shadow, "it would be shadowed: nothing would be written"),
        ("hold", .write, "it would be held until a person decides"),
    ])
    func theVerdictOfADryRunSaysWhatWouldHappen(verdict: String, mode: Command.Mode, words: String) throws {
        let rehearsal = Rehearsal(
            id: Self.id, guards: [try json(#"{"guard":"approval","verdict":"\#(verdict)"}"#)])
        #expect(rehearsal.text(mode).hasSuffix("verdict: \(words)"))
        #expect(!rehearsal.isRefused)
    }

    @Test func theStepsOfACommandAreATableAndARefusalSaysWhy() throws {
        let events = try json(
            #"""
            [{"id":"x","point":"c/s","state":"received","time":"2026-11-20T23:40:00.000Z","value":14,"seq":1},
             {"id":"x","point":"c/s","state":"rejected","code":"out_of_limits","time":"2026-11-20T23:40:00.001Z","value":14,
              "guards":[{"guard":"limits","verdict":"refuse","code":"out_of_limits","inputs":{"value":14,"max":12}}],"seq":2}]
            """#)
        let report = CommandReport(id: Self.id, events: events.elements)
        #expect(!report.isDone(.set))
        #expect(
            report.text == """
                \(Self.id)  c/s
                TIME                      STEP      CODE           WHO  VALUE  READ BACK  NOTE
                2026-11-20T23:40:00.000Z  received                      14
                2026-11-20T23:40:00.001Z  rejected  out_of_limits       14
                """)
        #expect(
            report.verdict == """
                rejected, out_of_limits: the value is outside of what the policy and the device allow
                  limits refuses, out_of_limits: value=14 max=12
                """)
        #expect(try JSONValue(parsing: report.json)["events"] == events)
    }

    @Test func theAuditLogTellsTheWholeStoryAndLeavesOthersOut() throws {
        let id = Self.id
        let entries = try json(
            #"""
            [{"schema":"audit/1","kind":"command","issuer":"opt","request":{},
              "event":{"id":"\#(id)","point":"c/s","state":"received","time":"T1","value":7.5}},
             {"kind":"command","from":"received","issuer":"opt","event":{"id":"\#(id)","point":"c/s","state":"held","time":"T2"}},
             {"kind":"command","from":"held","event":{"id":"another","state":"superseded","time":"T3","note":"by \#(id)"}},
             {"kind":"decision","id":"\#(id)","by":"alice","verdict":"deny","reason":"comfort","note":"too warm","time":"T4"},
             {"kind":"command","from":"held","event":{"id":"\#(id)","point":"c/s","state":"denied","code":"approval_denied",
              "time":"T4","actor":"alice","note":"comfort"}},
             {"kind":"outcome","time":"T5","outcome":{"id":"\#(id)","objections":["not_in_effect"],"measures":[
              {"point":"c/p","unit":"kW","expected":-6,"observed":-5.5}]}}]
            """#)
        let report = CommandReport(id: id, events: entries.elements)
        #expect(report.state == .denied)
        #expect(report.verdict == "denied, approval_denied: a person denied it (comfort)")
        #expect(
            report.text == """
                \(id)  c/s
                TIME  STEP            CODE             WHO    VALUE  READ BACK  NOTE
                T1    received                         opt    7.5
                T2    held
                T4    decision: deny                   alice                    comfort, too warm
                T4    denied          approval_denied  alice                    comfort
                T5    outcome                                                   c/p: -5.5 kW, expected -6; not usable: not_in_effect
                """)
    }

    @Test(arguments: CommandState.allCases)
    func onlyVerifiedShadowedAndHeldAreDoneForAValue(state: CommandState) throws {
        let report = CommandReport(id: Self.id, events: [try json(#"{"state":"\#(state.rawValue)"}"#)])
        #expect(report.isDone(.set) == [.verified, .shadowed, .held].contains(state))
        #expect(report.isDone(.release) == [.verified, .shadowed, .held, .approved].contains(state))
        #expect(report.verdict.hasPrefix(state.rawValue))
    }

    @Test func silenceIsNoSuccess() {
        #expect(!CommandReport(id: Self.id, events: []).isDone(.set))
    }

    @Test func theListHasASectionForWhatThereIs() throws {
        let overview = DeskOverview(
            document: try json(
                #"""
                {"commands":[{"id":"1","point":"c/s","state":"held","issuer":"opt","value":7.5}],
                 "held":[{"schema":"held/1","id":"1","issuer":"opt","command":{"target":{"point":"c/s"},"value":7.5,"unit":"Cel"},
                   "digest":"sha256:9f2c41aa03be77d19f2c41aa03be77d19f2c41aa03be77d19f2c41aa03be77d1",
                   "until":"2026-11-20T23:55:00.000Z","approvers":["alice","bob"],"needed":2,"approvals":["bob"]}],
                 "slots":[{"schema":"slot/1","point":"c/s","slots":[{"slot":"remote_operator","holder":"alice","value":8},
                   {"slot":"ai","holder":"opt","value":7}],"restoring":7,"alarm":true}],
                 "lockouts":[],"figures":{}}
                """#))
        #expect(
            overview.text == """
                COMMAND  POINT  VALUE  STATE  ISSUER  UNTIL
                1        c/s    7.5    held   opt

                WAITS FOR A PERSON  POINT  VALUE    ISSUER  UNTIL                     APPROVALS  MAY DECIDE  DIGEST
                1                   c/s    7.5 Cel  opt     2026-11-20T23:55:00.000Z  1 of 2     alice, bob  9f2c41aa03be77d1

                POINT  IN EFFECT  HELD BY                  UNTIL           REMARKS
                c/s    8          alice (remote_operator)  it is released  ALARM: it could not be taken back; going back to 7; then opt (ai)
                """)
        #expect(overview.lockoutText == "no lockout is on")
        let empty = DeskOverview(document: .object([]))
        #expect(empty.text == "no command is under way, nobody holds a point, no lockout is on")
    }

    @Test func whatOthersWriteCannotSteerTheTerminal() throws {
        let events = [try json(#"{"point":"c/s","state":"rejected","code":"expired","note":"a\u001b[2Jb\u202ec\nd"}"#)]
        let report = CommandReport(id: Self.id, events: events)
        #expect(report.text.contains("a\u{FFFD}[2Jb\u{FFFD}c\u{FFFD}d"))
        #expect(!report.text.contains("\u{1B}"))
        #expect(!report.verdict.contains("\u{1B}"))
        #expect(!DeskProblem.refused(code: "expired", message: "\u{1B}c").description.contains("\u{1B}"))
    }

    @Test func theLockoutFileSaysWhoWhenAndWhyAndIsMadeOnce() throws {
        let folder = try StateFolder()
        defer { folder.remove() }
        let file = LockoutFile(stateFolder: folder.path)
        #expect(DeskOverview(lockoutFile: file).lockoutText == "no lockout is on")
        #expect(try file.make(by: "alice", at: Fixture.now, reason: "smoke"))
        #expect(try !file.make(by: "bob", at: Fixture.now, reason: "again"))
        #expect(
            DeskOverview(lockoutFile: file).lockoutText == """
                LOCKOUT  SINCE                     BY     REASON
                site     2026-11-20T23:40:00.000Z  alice  smoke
                """)
        #expect(try file.remove())
        #expect(try !file.remove())
    }

    @Test(arguments: ["", "stop", "{\"by\":"])
    func alsoAFileThatSaysNothingIsALockout(content: String) throws {
        let folder = try StateFolder()
        defer { folder.remove() }
        let file = LockoutFile(stateFolder: folder.path)
        try Data(content.utf8).write(to: URL(fileURLWithPath: file.path))
        #expect(file.isThere)
        #expect(DeskOverview(lockoutFile: file).lockoutText == "LOCKOUT  SINCE  BY  REASON\nsite")
    }
}
