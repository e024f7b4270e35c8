import Crypto
import Engine
import Foundation
import GatewayTesting
import Model
import Payloads
import Testing

@Suite struct CommandPayloadTests {
    static let full = #"""
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
        """#
    static let release = #"""
        {"schema":"command/1","id":"0193A1C4-7D1E-7C3A-9A55-0B5F0F6F2A12","target":{"gateway":"gw-07","point":"chiller1/chw_setpoint"},
         "action":"release","mode":"write","issued":"2026-11-20T23:40:00.123Z","expires":"2026-11-20T23:42:00.1Z",
         "origin":{"category":"operator","actor":"anna"}}
        """#
    static let denial = #"""
        {"schema":"decision/1","gateway":"gw-07","id":"0193a1c4-7d1e-7c3a-9a55-0b5f0f6f2a11",
         "digest":"sha256:9f2c41aa03be77d19f2c41aa03be77d19f2c41aa03be77d19f2c41aa03be77d1",
         "decision":"deny","reason":"comfort","note":"guests \u00fc",
         "issued":"2026-11-20T23:40:00Z","expires":"2026-11-20T23:42:00Z"}
        """#
    static let nobody = JWSVerifier(keys: [:])

    private func document(_ text: String) throws(IntakeProblem) -> SignedDocument {
        try SignedDocument(Array(text.utf8), verifier: Self.nobody)
    }

    @Test(arguments: [full, release])
    func commandsAreValidAndComeBackAsTheSame(text: String) throws {
        #expect(try SchemaTests.complaints(Array(text.utf8), schema: "command-1") == "")
        let command = try document(text).command()
        let written = command.document.bytes
        #expect(try SchemaTests.complaints(written, schema: "command-1") == "")
        #expect(try SignedDocument(written, verifier: Self.nobody).command() == command)
    }

    @Test func numbersKeepTheirPrecision() throws {
        for number in ["7.5", "0.1", "-0.07", "123456789012345678", "0.000000000000000001", "1e3"] {
            let text = Self.full.replacingOccurrences(of: "\"value\":7.5", with: "\"value\":\(number)")
            let value = try #require(try document(text).command().value)
            let exact = try #require(DecimalNumber(number))
            switch value {
            case .int(let integer): #expect(DecimalNumber(mantissa: integer).double == exact.double)
            case let other: #expect(other == .decimal(exact))
            }
        }
    }

    @Test func whatIsWrongIsNamed() throws {
        let cases = [
            ("\"mode\":\"write\"", "\"mode\":\"force\"", "mode"),
            ("\"action\":\"set\"", "\"action\":\"SET\"", "action"),
            (",\"unit\":\"Cel\"", "", "unit"), ("\"value\":7.5,", "", "value"),
            ("\"value\":7.5", "\"value\":[7.5]", "value"),
            ("\"expires\":\"2026-11-20T23:42:00Z\",", "", "expires"),
            ("\"recommendation\"", "\"recomendation\"", "recomendation"),
            ("\"seconds\":900", "\"seconds\":-1", "seconds"),
            ("\"category\":\"ai\"", "\"category\":\"god\"", "category"),
            ("\"n\":501882", "\"n\":-1", "n"), ("0193a1c4", "0193a1c", "id"), ("23:40:00Z", "25:40:00Z", "issued"),
            ("\"value\":7.5", "\"value\":9223372036854775808", "64 bits"),
            ("\"value\":7.5", "\"value\":7.5,\"value\":9.5", "'value' appears twice"),
        ]
        for (part, replacement, name) in cases {
            let text = Self.full.replacingOccurrences(of: part, with: replacement)
            #expect(text != Self.full)
            let problem = #expect(throws: IntakeProblem.self) { try document(text).command() }
            guard case .format(_, let why)? = problem else {
                Issue.record("\(String(describing: problem))")
                continue
            }
            #expect(why.contains(name), "\(why)")
        }
    }

    @Test func theSameBytesHaveTheSameDigestAndOtherBytesAnother() throws {
        let key = try JSONWebKey(hs256: "chw-opt")
        let other = try JSONWebKey(ed25519: "anna")
        let verifier = JWSVerifier(keys: [key.keyID: key.verifying, other.keyID: other.verifying])
        let payload = Array(Self.full.utf8)
        let signed = try SignedDocument(try #require(try key.sign(payload)), verifier: verifier)
        let again = try SignedDocument(try #require(try key.sign(payload)), verifier: verifier)
        let foreign = try SignedDocument(try #require(try other.sign(payload)), verifier: verifier)
        let plain = try SignedDocument(payload, verifier: verifier)
        #expect(signed == again && signed.keyID == "chw-opt" && plain.keyID == nil)
        #expect(Set([signed.digest, foreign.digest, plain.digest]).count == 3)
        let bytes = try #require(try key.sign(payload))
        #expect(signed.digest == Array(SHA256.hash(data: bytes)) && plain.digest == Array(SHA256.hash(data: payload)))
        #expect(DocumentDigest.bytes(DocumentDigest.text(signed.digest)) == signed.digest)
        #expect(try signed.command() == plain.command())
    }

    @Test func sizesAndDepthAreLimited() throws {
        let large = "{\"schema\":\"" + String(repeating: "x", count: SignedDocument.byteLimit) + "\"}"
        #expect(throws: IntakeProblem.tooLarge(limit: SignedDocument.byteLimit)) { try document(large) }
        let deep = String(repeating: "{\"a\":", count: 10_000) + "1"
        #expect(throws: IntakeProblem.self) { try document(deep) }
        let evidence =
            "[" + Array(repeating: #"{"point":"a/b","epoch":1,"n":1}"#, count: 65).joined(separator: ",") + "]"
        let many = Self.release.replacingOccurrences(of: "\"mode\"", with: "\"evidence\":\(evidence),\"mode\"")
        #expect(throws: IntakeProblem.self) { try document(many).command() }
    }

    @Test func decisionsAreValidAndComeBackAsTheSame() throws {
        let decision = try document(Self.denial).decision()
        #expect(decision.reason == .comfort && !decision.isApproval && decision.note == "guests ü")
        #expect(try SchemaTests.complaints(Array(Self.denial.utf8), schema: "decision-1") == "")
        #expect(try SchemaTests.complaints(decision.document.bytes, schema: "decision-1") == "")
        #expect(try DecisionDocument(decision.document) == decision)
        for (part, replacement) in [
            (",\"reason\":\"comfort\"", ""), ("comfort", "mood"), ("\"deny\"", "\"maybe\""), ("\"note\"", "\"notes\""),
            ("23:42", "23:39"), ("23:42", "23:46"), ("decision/1", "decision/2"), ("0193a1c4", "zz93a1c4"),
            ("\"gateway\":\"gw-07\",", ""), ("sha256:9f", "sha256:9F"), ("sha256:9f2c", "sha256:9f2"),
            ("sha256:", "sha512:"), ("\"digest\"", "\"diges\""),
        ] {
            let text = Self.denial.replacingOccurrences(of: part, with: replacement)
            #expect(throws: IntakeProblem.self, "\(replacement)") { try document(text).decision() }
        }
    }

    @Test func mutatedPayloadsNeitherCrashNorMeanSomethingElse() async throws {
        let rounds = ProcessInfo.processInfo.environment["HEADGATE_LONG_TESTS"] == nil ? 50_000 : 1_000_000
        let seeds = [Self.full, Self.release, Self.denial].map { Array($0.utf8) }
        var random = SeededGenerator(23)
        var accepted = 0
        for round in 0..<rounds {
            if round % 100 == 0 { await Task.yield() }
            var bytes = seeds[round % seeds.count]
            Mutation.change(&bytes, using: &random)
            guard let document = try? SignedDocument(bytes, verifier: Self.nobody) else { continue }
            if document.keyID != nil { Issue.record("seed 23, round \(round): nobody signed this") }
            if let command = try? document.command() {
                accepted += 1
                // Times are written in milliseconds, so it is the written form that has to stay the same.
                let written = command.document
                let again = try? SignedDocument(written.bytes, verifier: Self.nobody).command()
                if again?.document != written { Issue.record("seed 23, round \(round): \(written)") }
            }
            if let decision = try? document.decision() {
                let written = decision.document
                let again = try? DecisionDocument(written)
                if again?.document != written { Issue.record("seed 23, round \(round): \(written)") }
            }
        }
        #expect(accepted > 0, "a fuzzer that is always refused tests little")
    }

    @Test func topicsSayWhatTheyAreAbout() throws {
        let topics = CommandTopics(gateway: "gw-07")
        let id = try #require(CommandID("0193a1c4-7d1e-7c3a-9a55-0b5f0f6f2a11"))
        #expect(
            topics.inbound("headgate/v1/gw-07/c/req/chiller1/chw_setpoint") == .request(point: "chiller1/chw_setpoint"))
        #expect(topics.inbound("headgate/v1/gw-07/c/decide/\(id)") == .decision(id))
        #expect(topics.inbound("headgate/v1/gw-07/c/ctl") == .control)
        for topic in [
            "headgate/v1/gw-07/c/req/chiller1", "headgate/v1/gw-07/c/req/chiller1/", "headgate/v1/gw-07/c/req//a",
            "headgate/v1/gw-08/c/ctl", "headgate/v1/gw-07/c/req/a/B", "headgate/v1/gw-07/c/decide/1",
            "headgate/v1/gw-07/c/ctl/",
            "headgate/v1/gw-07/c/evt/a/b", "",
        ] { #expect(topics.inbound(topic) == nil, "\(topic)") }
        let message = topics.checkpoint([1])
        #expect(message.isRetained && message.topic == "headgate/v1/gw-07/audit/checkpoint")
    }
}
