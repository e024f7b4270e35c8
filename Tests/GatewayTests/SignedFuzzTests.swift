import Engine
import Foundation
import GatewayTesting
import Model
import Payloads
import Testing

@testable import Gateway

/// Decisions and orders that were changed on their way, signed or not, from the bytes to the desk.
@Suite struct SignedFuzzTests {
    private static let now = Moment(utc: UnixTime(milliseconds: 1_795_218_000_000), uptime: .seconds(1000))
    private static let id = CommandID(high: 0x0193_a1c4_7d1e_7c3a, low: 1)
    private static let root = "headgate/v1/gw"

    private static let site: ControlSite = {
        let issuers = [
            Issuer(name: "opt", category: .ai, lane: .advise), Issuer(name: "anna", category: .operator),
        ]
        let policy = Policy(
            name: "sp", points: ["d/sp"], permissions: issuers.map { Policy.Permission(issuer: $0.name) },
            approval: Policy.ApprovalRule(approvers: ["anna"], within: .seconds(120)))
        let point = Point(
            name: "sp", table: .holding, protocolAddress: 0, encoding: Encoding(type: .int16), unit: "Cel",
            kind: .setpoint, write: WriteRule(mode: .single))
        return ControlSite(
            gateway: "gw", settings: CommandSettings(issuers: issuers, policies: [policy]),
            points: ControlledPoints([ControlledPoint(id: "d/sp", point: point, policy: policy)]))
    }()

    /// A desk with a command that waits and a lockout that is on elsewhere.
    private static func desk() -> (CommandDesk, digest: [UInt8]) {
        var desk = CommandDesk(site: site, at: now)
        _ = desk.start(at: now)
        _ = desk.handle(
            .readings([ReadingSample(point: "d/sp", epoch: 1, number: 1, time: now.utc, value: .int(20))]), at: now)
        let command = Command(
            id: id, gateway: "gw", point: "d/sp", action: .set, value: .int(21), unit: "Cel", issued: now.utc,
            expires: now.utc + .seconds(120), origin: Command.Origin(category: .ai, actor: "opt"))
        let digest = SignedDocument.digest(command.document.bytes)
        _ = desk.handle(
            .request(IncomingRequest(command: command, digest: digest, sender: Sender(name: "opt"))), at: now)
        return (desk, digest)
    }

    private struct Seed {
        var topic: String
        var document: JSONValue
    }

    private static func seeds(_ digest: [UInt8]) throws -> [Seed] {
        let end = now.utc + .seconds(60)
        let decisions = [true, false].map { isApproval in
            DecisionDocument(
                gateway: "gw", id: id, digest: digest, isApproval: isApproval, reason: .timing, note: "n",
                issued: now.utc, expires: end
            ).document
        }
        let times = #""issued":"\#(now.utc.rfc3339)","expires":"\#(end.rfc3339)"}"#
        let orders = [
            #"{"schema":"control/1","gateway":"gw","order":"lockout","scope":"point:d/sp","on":true,"#,
            #"{"schema":"control/1","gateway":"gw","order":"lane","issuer":"opt","point":"d/sp","lane":"supervised","#,
        ]
        return decisions.map { Seed(topic: "\(root)/c/decide/\(id)", document: $0) }
            + (try orders.map {
                Seed(topic: "\(root)/c/ctl", document: try JSONValue(parsing: Array(($0 + times).utf8)))
            })
    }

    private static func event(_ seed: Seed, _ bytes: [UInt8], _ inbound: InboundCommands) -> DeskEvent? {
        inbound.event(
            InboundMessage(topic: seed.topic, payload: bytes, receipt: 1), from: "b",
            token: 1, now: now.utc)
    }

    private static func signed(_ payload: [UInt8], by key: JSONWebKey) throws -> [UInt8] {
        let message = try key.sign(payload)
        return try #require(message)
    }

    private static func hasEffect(_ desk: CommandDesk) -> Bool {
        desk.active.first?.state != .held || !desk.lockoutEntries.isEmpty
            || desk.lane(issuer: "opt", point: "d/sp") != .advise
    }

    @Test func mutatedDecisionsAndOrdersChangeNothing() async throws {
        let rounds = ProcessInfo.processInfo.environment["HEADGATE_LONG_TESTS"] == nil ? 4000 : 1_000_000
        let (anna, opt) = (try JSONWebKey(ed25519: "anna"), try JSONWebKey(hs256: "opt"))
        let keys = ["anna": anna.verifying, "opt": opt.verifying]
        let inbound = InboundCommands(gateway: "gw", keys: keys, skew: .seconds(30))
        let (desk, digest) = Self.desk()
        #expect(!Self.hasEffect(desk))
        let seeds = try Self.seeds(digest)
        var random = SeededGenerator(41)
        for round in 0..<rounds {
            if round % 100 == 0 { await Task.yield() }
            let seed = seeds[round % seeds.count]
            let plain = seed.document.bytes
            let signed = try Self.signed(plain, by: anna)
            // Signed and changed; plain and changed; changed and signed by a machine.
            var bytes = round % 3 == 0 ? signed : plain
            Mutation.change(&bytes, using: &random)
            if round % 3 == 2 { bytes = try Self.signed(bytes, by: opt) }
            guard bytes != signed, let event = Self.event(seed, bytes, inbound) else { continue }
            var copy = desk
            _ = copy.handle(event, at: Self.now)
            // Any issuer may stop.
            let isStop =
                if case .order(let order) = event { order.order.isStop && order.sender.name == "opt" } else { false }
            if !isStop, Self.hasEffect(copy) {
                Issue.record("seed 41, round \(round): \(String(decoding: bytes, as: UTF8.self))")
            }
        }
        // What was not changed has its effect, so that the above means something.
        for seed in seeds {
            var copy = desk
            let message = try Self.signed(seed.document.bytes, by: anna)
            let event = try #require(Self.event(seed, message, inbound))
            _ = copy.handle(event, at: Self.now)
            #expect(Self.hasEffect(copy))
        }
    }

    @Test func twoSecretsThatAreOneKeyAreFound() throws {
        let short = Array("0123456789abcdef0123456789abcdef".utf8)
        let long = short + short + short
        for (left, right, isSame) in [
            (short, short + [0], true), (short, short + Array(repeating: 0, count: 32), true),
            (long, SignedDocument.digest(long), true), (short, short + [1], false), (long, long + [0], false),
        ] {
            let (first, second) = (try IssuerKey(secret: left), try IssuerKey(secret: right))
            #expect(first.isSame(as: second) == isSame && second.isSame(as: first) == isSame)
            // As the algorithm itself sees it.
            let signature = try Self.signed([1], by: JSONWebKey(secret: left))
            let verifier = JWSVerifier(keys: ["k": second])
            #expect(((try? verifier.verify(signature)) != nil) == isSame)
        }
    }
}

extension JSONWebKey {
    /// The secret as a key named `k`.
    fileprivate init(secret: [UInt8]) throws {
        let encoded = Data(secret).base64EncodedString().replacingOccurrences(of: "+", with: "-")
            .replacingOccurrences(of: "/", with: "_").replacingOccurrences(of: "=", with: "")
        try self.init(Array(#"{"kty":"oct","kid":"k","k":"\#(encoded)"}"#.utf8))
    }
}
