import Foundation
import Model
import Testing

@testable import Engine
@testable import Payloads

@Suite struct DocumentSchemaTests {
    @Test func everyDocumentOfTheDeskIsValid() throws {
        let command = try SignedDocument(
            Array(CommandPayloadTests.full.utf8), verifier: CommandPayloadTests.nobody
        ).command()
        let time = UnixTime(milliseconds: 1_795_218_067_105)
        let guards = [
            GuardVerdict(name: "limits", finding: .pass, inputs: [.init("value", .number(.one))]),
            GuardVerdict(name: "approval", finding: .hold),
            GuardVerdict(name: "step", finding: .refuse(.stepLimit)),
        ]
        var docs: [(String, JSONValue)] = []
        docs.append(
            (
                "event-1",
                CommandEvent(id: nil, point: "a/b", state: .rejected, code: .badSignature, time: time)
                    .document
            ))
        docs.append(
            (
                "event-1",
                CommandEvent(
                    id: command.id, point: "a/b", state: .verified, time: time, actor: "x",
                    value: .decimal(.one), asked: .double(1.04), readback: .int(3), note: "n", guards: guards, seq: 4
                ).document
            ))
        docs.append(
            (
                "held-1",
                HeldCommand(
                    command: command, value: .int(20), asked: .double(22.5), issuer: "x",
                    digest: Array(repeating: 9, count: 32), from: .double(7),
                    until: time,
                    isSilent: true, approvers: ["a"], needed: 1, approvals: [], isEscalated: false, guards: guards
                ).document
            ))
        docs.append(
            (
                "slot-1",
                SlotReport(
                    point: "a/b",
                    entries: [
                        .init(slot: .ai, holder: "x", command: command.id, value: .double(7.5), until: nil)
                    ], lockout: nil, restoring: .int(4), isAlarm: true
                ).document
            ))
        docs.append(
            (
                "slot-1",
                SlotReport(point: "a/b", entries: [], lockout: "why", restoring: nil, isAlarm: false)
                    .document
            ))
        var plan = OutcomePlan(
            command: command, issuer: "x", lane: .advise, state: .verified, received: time,
            deciders: ["a"], decided: time + .seconds(4), readback: .double(7.5), anchor: time,
            horizon: time)
        plan.confounders = [.init(id: command.id, point: "a/b", time: time)]
        let m = [
            OutcomeMeasure(
                point: "a/b", unit: "kW", expected: -6, before: 4, after: nil, coverageBefore: 0.5,
                coverageAfter: 0),
            OutcomeMeasure(
                point: "a/b", unit: nil, expected: -6, before: 4, after: 2, coverageBefore: 1,
                coverageAfter: 1),
        ]
        docs.append(("outcome-1", Outcome(plan: plan, measures: m, objections: []).document))
        docs.append(("outcome-1", Outcome(plan: plan, measures: m, objections: ["coverage"]).document))
        for (s, d) in docs {
            let c = try SchemaTests.complaints(d.bytes, schema: s)
            #expect(c == "", "\(s): \(String(decoding: d.bytes, as: UTF8.self))")
        }
    }
}
