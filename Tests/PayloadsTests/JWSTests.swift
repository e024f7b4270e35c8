import Audit
import Foundation
import GatewayTesting
import Payloads
import Testing

@Suite(.serialized) struct JWSTests {
    static let payload = Array(
        #"{"schema":"command/1","target":{"gateway":"gw-07","point":"chiller1/chw_setpoint"},"value":7.5}"#.utf8)

    let person: JSONWebKey
    let model: JSONWebKey
    let verifier: JWSVerifier

    init() throws {
        person = try JSONWebKey(ed25519: "anna")
        model = try JSONWebKey(hs256: "chw-opt")
        verifier = JWSVerifier(keys: ["anna": person.verifying, "chw-opt": model.verifying])
    }

    private func problem(_ bytes: [UInt8]) -> JWSProblem? {
        do {
            _ = try verifier.verify(bytes)
            return nil
        } catch {
            return error
        }
    }

    /// A message with a right code of the model over whatever header it has.
    private func signed(header: String, payload: [UInt8] = Self.payload) throws -> [UInt8] {
        guard case .hs256(let secret) = model.verifying else { throw KeyProblem("no secret") }
        return Array(HostileSigner.hs256(header: header, payload: payload, secret: secret).utf8)
    }

    @Test func messagesOfCommonLibrariesAreAcceptedAndForgeriesRefused() async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("headgate-jws-\(UUID())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let paths = ["ed.jwk", "hs.jwk", "payload"].map { folder.appendingPathComponent($0) }
        for (path, bytes) in zip(paths, [person.json, model.json, Self.payload]) { try Data(bytes).write(to: path) }
        let (status, text) = try await PythonPeer.run("jws_tokens.py", paths.map(\.path))
        try #require(status == 0, "\(text)")
        var counts = ["good": 0, "bad": 0]
        for line in text.split(separator: "\n") {
            let parts = line.split(separator: "\t", maxSplits: 1).map(String.init)
            let isGood = parts[0].hasPrefix("good:")
            counts[isGood ? "good" : "bad", default: 0] += 1
            let found = problem(Array(parts[1].utf8))
            #expect((found == nil) == isGood, "\(parts[0]): \(String(describing: found))")
            if isGood { #expect(try verifier.verify(Array(parts[1].utf8)).payload == Self.payload) }
        }
        #expect(counts["good"] == 6 && counts["bad"] ?? 0 > 30, "\(counts)")
    }

    @Test func whatIsRefusedSaysWhy() throws {
        let good = try #require(try model.sign(Self.payload))
        #expect(try verifier.verify(good).kid == "chw-opt")
        #expect(problem(try signed(header: #"{"alg":"none","kid":"anna"}"#)) == .wrongAlgorithm("none", keyID: "anna"))
        #expect(
            problem(try signed(header: #"{"alg":"HS256","kid":"anna"}"#)) == .wrongAlgorithm("HS256", keyID: "anna"))
        #expect(problem(try signed(header: #"{"alg":"HS256","kid":"bob"}"#)) == .unknownKey("bob"))
        #expect(problem(try signed(header: #"{"alg":"HS256"}"#)) == .missingKeyID)
        #expect(problem(try signed(header: #"{"kid":"chw-opt"}"#)) == .badHeader("no 'alg'"))
        #expect(
            problem(try signed(header: #"{"alg":"HS256","kid":"chw-opt","crit":["b64"]}"#)) == .headerNotAllowed("crit")
        )
        #expect(problem(Array("a.b".utf8)) == .notCompact)
        #expect(problem(good + [0x3D]) == .badEncoding(part: "signature"))
        #expect(problem(good.dropLast(3)) == .badSignature(keyID: "chw-opt"))
        #expect(
            problem([UInt8](repeating: 0x41, count: JWSVerifier.byteLimit + 1))
                == .tooLarge(limit: JWSVerifier.byteLimit))
        #expect(problem([]) == .notCompact)
    }

    @Test func harmlessHeadersArePassedOver() throws {
        let token = try signed(header: #"{"typ":"JOSE","alg":"HS256","cty":"application/json","kid":"chw-opt"}"#)
        #expect(problem(token) == nil)
    }

    @Test func everyFlippedBitIsFound() async throws {
        for key in [person, model] {
            let good = try #require(try key.sign(Self.payload))
            for index in good.indices {
                await Task.yield()
                for bit in 0..<8 {
                    var flipped = good
                    flipped[index] ^= 1 << UInt8(bit)
                    #expect(problem(flipped) != nil, "byte \(index), bit \(bit)")
                }
            }
        }
    }

    @Test func mutatedMessagesNeitherCrashNorPass() async throws {
        let rounds = ProcessInfo.processInfo.environment["HEADGATE_LONG_TESTS"] == nil ? 20_000 : 1_000_000
        let seeds = try [person, model].map { try #require(try $0.sign(Self.payload)) }
        var random = SeededGenerator(17)
        for round in 0..<rounds {
            if round % 100 == 0 { await Task.yield() }
            var bytes = seeds[round % 2]
            Mutation.change(&bytes, using: &random)
            guard !seeds.contains(bytes) else { continue }
            if problem(bytes) == nil { Issue.record("seed 17, round \(round) passes") }
        }
    }

    @Test func keysComeBackFromTheirFilesAndHalvesMustFit() throws {
        for key in [person, model] {
            let read = try JSONWebKey(key.json)
            #expect(read.keyID == key.keyID && read.verifying == key.verifying && read.isSecret)
            let token = try #require(try read.sign(Self.payload))
            #expect(problem(token) == nil)
        }
        let text = try #require(person.verifying.siteText)
        #expect(text.hasPrefix("ed25519:") && text.utf8.count == 8 + 43)
        #expect(try IssuerKey(siteText: text) == person.verifying)
        #expect(model.verifying.siteText == nil)
        let other = try JSONWebKey(ed25519: "anna")
        let mixed = String(decoding: person.json, as: UTF8.self).replacingOccurrences(
            of: text.dropFirst(8), with: try #require(other.verifying.siteText).dropFirst(8))
        #expect(throws: KeyProblem.self) { try JSONWebKey(Array(mixed.utf8)) }
        #expect(throws: KeyProblem.self) { try JSONWebKey(Array(#"{"kty":"oct","k":"AAAA","kid":"short"}"#.utf8)) }
        #expect(throws: KeyProblem.self) { try JSONWebKey(ed25519: "no spaces") }
        #expect(throws: KeyProblem.self) { try IssuerKey(siteText: "ed25519:AAAA") }
    }
}
