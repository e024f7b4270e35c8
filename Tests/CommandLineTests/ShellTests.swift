import ArgumentParser
import Foundation
import Gateway
import Model
import Profiles
import Testing

@testable import headgate

/// Whole commands, as they are typed, against a gateway that says what the test wants.
@Suite(.serialized) struct ShellTests {
    /// Runs a command; its exit code.
    private static func run(_ words: [String]) -> Int32 {
        do {
            var command = try Headgate.parseAsRoot(words)
            try command.run()
            return 0
        } catch {
            return Headgate.exitCode(for: error).rawValue
        }
    }

    private func run(
        _ words: [String], answered answer: String, prepare: (LockoutFile) throws -> Void = { _ in }
    ) async throws -> (code: Int32, requests: [String], isLockedByFile: Bool) {
        let folder = try StateFolder()
        defer { folder.remove() }
        let site = try Fixture.write(folder.path)
        let file = LockoutFile(stateFolder: folder.path)
        try prepare(file)
        let gateway = FakeGateway(folder: folder.path)
        let code = try await gateway.serve(answer) { Self.run(words + ["--config", site]) }
        return (code, gateway.requests, file.isThere)
    }

    @Test func anOutputThatTakesNoMoreIsToldInsteadOfACrash() throws {
        let full = try #require(FileHandle(forWritingAtPath: "/dev/full"))
        let output = LineOutput(full)
        try output.line([65])
        #expect(throws: ValidationFailure.self) { try output.flush() }
    }

    @Test func aSiteFileWithAnErrorKeepsNobodyFromStoppingTheSite() async throws {
        let folder = try StateFolder()
        defer { folder.remove() }
        let site = try Fixture.write(folder.path)
        let text = try String(contentsOfFile: site, encoding: .utf8) + "\nno_such_section: {}\n"
        try text.write(toFile: site, atomically: true, encoding: .utf8)
        #expect(Self.run(["check", "--config", site]) == 1)
        let words = ["lockout", "on", "--reason", "smoke", "--as", "anna", "--config", site]
        let gateway = FakeGateway(folder: folder.path)
        #expect(try await gateway.serve(Self.done) { Self.run(words) } == 0)
        #expect(gateway.requests.count == 1)
        #expect(Self.run(["command", "set", Fixture.point, "8", "--reason", "x", "--config", site]) == 1)
    }

    @Test func checkLooksAtTheFilesThatTheSiteFileNames() throws {
        let folder = try StateFolder()
        defer { folder.remove() }
        let (site, key) = (folder.path + "/site.yaml", folder.path + "/desk.key")
        let text = """
            gateway: {id: gw, owner: me, state: \(folder.path)}
            connections: {line: {tcp: 127.0.0.1:1}}
            devices: {meter: {profile: eastron/sdm630, connection: line, unit: 1, owner: me}}
            publish: {plant: {mqtt: "mqtts://127.0.0.1:1", username: gw, password_file: \(folder.path)/password}}
            commands:
              issuers: {desk: {hmac_file: \(key), category: operator}}
              policies: {p: {points: [meter/demand_period], allow: [desk], fallback: hold}}
            """
        try text.write(toFile: site, atomically: true, encoding: .utf8)
        // The gateway starts without its password, and tries again; without a key it does not start.
        #expect(Self.run(["check", "--config", site]) == 1)
        let secret = Data(repeating: 0x61, count: 40)
        let files = FileManager.default
        #expect(files.createFile(atPath: key, contents: secret, attributes: [.posixPermissions: 0o644]))
        #expect(Self.run(["check", "--config", site]) == 1)
        try files.setAttributes([.posixPermissions: 0o600], ofItemAtPath: key)
        #expect(Self.run(["check", "--config", site]) == 0)
        let loaded = SiteFile.load(path: site, shippedProfiles: ShippedFiles.profiles)
        let problems = NamedFiles(try #require(loaded.value), in: site).problems
        #expect(problems.map(\.severity) == [.warning])
        #expect(problems.first?.message.contains("plant.password_file: \(folder.path)/password") == true)
        #expect(problems.first.map { [$0.line, $0.column] } == [4, 77])
        // Two names for one secret are one person: the gateway does not start.
        let copy = folder.path + "/copy.key"
        #expect(files.createFile(atPath: copy, contents: secret, attributes: [.posixPermissions: 0o600]))
        let second = text.replacingOccurrences(
            of: "issuers: {", with: "issuers: {deputy: {hmac_file: \(copy), category: operator}, ")
        try second.write(toFile: site, atomically: true, encoding: .utf8)
        #expect(Self.run(["check", "--config", site]) == 1)
    }

    private static let refusal = #"{"error":"bob is nobody","code":"not_authorised"}"#
    private static let done = #"{"done":true}"#

    @Test func whoMayWriteTheStateFolderCanStopTheSiteEvenIfTheGatewayDoesNotKnowHim() async throws {
        let words = ["lockout", "on", "--reason", "smoke", "--as", "bob"]
        let refused = try await run(words, answered: Self.refusal)
        #expect(refused.code == 0)
        #expect(refused.isLockedByFile)
        let taken = try await run(words, answered: Self.done)
        #expect(taken.code == 0)
        #expect(!taken.isLockedByFile)
        #expect(
            taken.requests == [#"order bob {"order":"lockout","scope":"site","on":true,"reason":"smoke"}"#])
    }

    @Test func aDeviceIsNotLockedByTheFileOfTheSite() async throws {
        let words = ["lockout", "on", "--scope", "chiller1", "--reason", "smoke", "--as", "bob"]
        let refused = try await run(words, answered: Self.refusal)
        #expect(refused.code == 1)
        #expect(!refused.isLockedByFile)
    }

    @Test func onlyWhomTheGatewayLetsTurnsALockoutOff() async throws {
        let words = ["lockout", "off", "--reason", "all clear", "--as", "bob"]
        let make: (LockoutFile) throws -> Void = { _ = try $0.make(by: "x", at: Fixture.now, reason: "y") }
        let refused = try await run(words, answered: Self.refusal, prepare: make)
        #expect(refused.code == 1)
        #expect(refused.isLockedByFile)
        let taken = try await run(words, answered: Self.done, prepare: make)
        #expect(taken.code == 0)
        #expect(!taken.isLockedByFile)
    }

    @Test(
        arguments: [
            ("verified", 0), ("shadowed", 0), ("held", 0), ("rejected", 1), ("failed", 1), ("indeterminate", 1),
            ("executing", 1),
        ] as [(String, Int32)])
    func theExitCodeOfSetSaysWhetherItIsDone(state: String, code: Int32) async throws {
        let event = #"{"id":"1","point":"chiller1/chw_setpoint","state":"\#(state)","seq":1}"#
        let result = try await run(
            ["command", "set", Fixture.point, "7.5", "--as", "alice"], answered: #"{"events":[\#(event)]}"#)
        #expect(result.code == code)
        #expect(result.requests.count == 1)
        #expect(result.requests.first?.hasPrefix(#"command alice {"schema":"command/1""#) ?? false)
    }

    @Test(arguments: [("pass", 0), ("hold", 0), ("refuse", 1)] as [(String, Int32)])
    func theExitCodeOfADryRunSaysWhetherItWouldBeRefused(verdict: String, code: Int32) async throws {
        let guards = #"{"guards":[{"guard":"limits","verdict":"\#(verdict)","code":"out_of_limits"}]}"#
        let result = try await run(
            ["command", "dry-run", Fixture.point, "7.5", "--as", "alice"], answered: guards)
        #expect(result.code == code)
        #expect(result.requests.first?.hasPrefix("rehearse alice {") ?? false)
    }

    @Test func whatIsWrongForSureIsNotSent() async throws {
        let result = try await run(
            ["command", "set", "chiller1/power", "x", "--as", "alice"], answered: #"{"events":[]}"#)
        #expect(result.code == 1)
        #expect(result.requests.isEmpty)
    }

    @Test func withoutAGatewayEverythingButTheKillSwitchFails() throws {
        let folder = try StateFolder()
        defer { folder.remove() }
        let site = try Fixture.write(folder.path)
        #expect(Self.run(["command", "set", Fixture.point, "7", "--as", "alice", "--config", site]) == 1)
        #expect(Self.run(["command", "list", "--config", site]) == 1)
        #expect(Self.run(["lockout", "off", "--reason", "x", "--config", site]) == 1)
        #expect(Self.run(["lockout", "on", "--reason", "smoke", "--config", site]) == 0)
        #expect(LockoutFile(stateFolder: folder.path).isThere)
        #expect(Self.run(["lockout", "status", "--config", site]) == 0)
        #expect(Self.run(["lockout", "off", "--reason", "x", "--config", site]) == 0)
        #expect(!LockoutFile(stateFolder: folder.path).isThere)
    }
}
