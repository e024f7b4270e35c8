import Foundation
import Model
import Payloads
import Testing

@testable import Gateway

/// What goes over the local socket, and what is made of the answers.
@Suite(.serialized) struct DeskClientTests {
    private func ask<Value: Sendable>(
        _ answer: String, _ body: @escaping @Sendable (DeskClient) throws(DeskProblem) -> Value
    ) async throws -> (Result<Value, DeskProblem>, [String]) {
        let folder = try StateFolder()
        defer { folder.remove() }
        let gateway = FakeGateway(folder: folder.path)
        let result = try await gateway.serve(answer) {
            Result { () throws(DeskProblem) in try body(DeskClient(stateFolder: folder.path)) }
        }
        return (result, gateway.requests)
    }

    private static let id = CommandID(high: 0x0193_a1c4_7d1e_7c3a, low: 0x9a55_0b5f_0f6f_2a11)

    private static func command() -> Command {
        Command(
            id: id, gateway: "gw-07", point: Fixture.point, action: .set,
            value: .decimal(DecimalNumber(mantissa: 75, exponent: -1)),
            unit: "Cel", issued: Fixture.now, expires: Fixture.now + .seconds(60),
            origin: Command.Origin(category: .operator, actor: "alice"),
            rationale: Command.Rationale(text: "two\nlines"))
    }

    @Test func aCommandIsOneLineThatTheGatewayReadsBack() async throws {
        let event = #"{"schema":"event/1","id":"\#(Self.id)","point":"a/b","state":"verified","readback":7.5,"seq":3}"#
        let (result, requests) = try await ask(#"{"events":[\#(event)]}"#) { client throws(DeskProblem) in
            try client.send(Self.command(), as: "alice")
        }
        let report = try result.get()
        #expect(report.state == .verified)
        #expect(report.isDone(.set))
        #expect(report.verdict == "verified: the device holds 7.5")
        let line = try #require(requests.first)
        let words = line.split(separator: " ", maxSplits: 2)
        #expect(words.prefix(2) == ["command", "alice"])
        #expect(try Command(document: JSONValue(parsing: Array(words[2].utf8))) == Self.command())
    }

    @Test func aRefusalIsToldWithItsCode() async throws {
        let (result, _) = try await ask(#"{"error":"bob is nobody","code":"not_authorised"}"#) {
            client throws(DeskProblem) in try client.send(Self.command(), as: "bob")
        }
        #expect(throws: DeskProblem.refused(code: "not_authorised", message: "bob is nobody")) { try result.get() }
        #expect(result.failure?.description == "refused (not_authorised): bob is nobody")
    }

    @Test func decisionsAndOrdersAreSentAsTheyAreFixed() async throws {
        let decision = DecisionDocument(
            gateway: "gw-07", id: Self.id, digest: Array(repeating: 0xAB, count: 32), isApproval: false,
            reason: .productQuality, note: "later", issued: Fixture.now,
            expires: Fixture.now + .seconds(60))
        let (result, requests) = try await ask(#"{"done":true}"#) { client throws(DeskProblem) in
            try client.decide(decision, as: "alice")
            try client.give(.lockout(.site, isOn: true, reason: "smoke"), as: "alice")
            try client.give(.lockout(.device("chiller1"), isOn: false, reason: "ok"), as: "alice")
            try client.give(.lane(issuer: "opt", point: "a/b", .supervised, reason: "a good month"), as: "alice")
        }
        try result.get()
        let digest = "sha256:" + String(repeating: "ab", count: 32)
        let start =
            #"{"schema":"decision/1","gateway":"gw-07","id":"\#(Self.id)","digest":"\#(digest)","decision":"deny""#
        #expect(requests[0].hasPrefix("decide alice " + start))
        #expect(
            requests.dropFirst() == [
                #"order alice {"order":"lockout","scope":"site","on":true,"reason":"smoke"}"#,
                #"order alice {"order":"lockout","scope":"device:chiller1","on":false,"reason":"ok"}"#,
                #"order alice {"order":"lane","issuer":"opt","point":"a/b","lane":"supervised","reason":"a good month"}"#,
            ])
    }

    @Test(arguments: ["{}", "[]", "nonsense", #"{"done":false}"#])
    func anAnswerInAnotherLanguageIsNoSuccess(answer: String) async throws {
        let (result, _) = try await ask(answer) { client throws(DeskProblem) in
            try client.give(.lockout(.site, isOn: true, reason: "x"), as: "alice")
        }
        guard case .unexpected? = result.failure else {
            Issue.record("\(result)")
            return
        }
    }

    @Test func whatDoesNotFitIsNotSent() async throws {
        let (result, requests) = try await ask(#"{"done":true}"#) { client throws(DeskProblem) in
            try client.give(.lockout(.site, isOn: true, reason: String(repeating: "x", count: 5000)), as: "alice")
        }
        guard case .tooLong? = result.failure else {
            Issue.record("\(result)")
            return
        }
        #expect(requests.isEmpty)
    }

    @Test func withoutAGatewayThatIsSaid() {
        #expect(throws: DeskProblem.noGateway(folder: "/nonexistent")) {
            try DeskClient(stateFolder: "/nonexistent").overview()
        }
    }
}

extension Result {
    fileprivate var failure: Failure? {
        if case .failure(let failure) = self { return failure }
        return nil
    }
}
