import Foundation
import Model
import Profiles
import Testing

/// Site files and profiles of Tests/Fixtures/configuration: what is said about each is in its expected.txt.
/// `RECORD_FIXTURES=1` writes them anew, for a person to read the difference.
@Suite struct ConfigurationTests {
    static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    static let folder = root.appendingPathComponent("Fixtures/configuration").path
    static let shipped = root.deletingLastPathComponent().appendingPathComponent("Devices").path
    static let cases = ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).sorted()

    static func load(_ name: String) -> Loaded<Site> {
        SiteFile.load(path: "\(folder)/\(name)/site.yaml", shippedProfiles: shipped)
    }

    @Test(arguments: cases)
    func everyProblemIsSaidWithItsPlace(name: String) throws {
        let loaded = Self.load(name)
        let said = loaded.problems.map {
            $0.description.replacingOccurrences(of: "\(Self.folder)/\(name)/", with: "")
        }
        .joined(separator: "\n")
        let path = "\(Self.folder)/\(name)/expected.txt"
        if ProcessInfo.processInfo.environment["RECORD_FIXTURES"] == "1" {
            try (said + "\n").write(toFile: path, atomically: true, encoding: .utf8)
        }
        let expected = try String(contentsOfFile: path, encoding: .utf8)
        #expect(said + "\n" == expected)
    }

    @Test(
        arguments: cases.filter {
            ![
                "clean", "write-clean", "alias", "console-is-not-served", "address-like-a-reference",
                "commands-clean", "commands-unsigned", "serial-numbered-path", "watchdog-clean",
            ].contains($0)
        })
    func aBrokenFileGivesAnErrorAndNoSite(name: String) {
        let loaded = Self.load(name)
        #expect(loaded.value == nil)
        #expect(loaded.problems.contains { $0.severity == .error })
    }

    @Test func thereAreManyBrokenFiles() {
        #expect(Self.cases.count >= 40)
    }

    @Test func theCleanFileIsReadCompletely() throws {
        let site = try #require(Self.load("clean").value)
        #expect(site.gateway.id == "gw-07")
        #expect(site.devices[0].points.map(\.every) == [.seconds(1), .seconds(60)])
        #expect(site.devices[0].labels == [Label(key: "site", value: "dresden")])
        #expect(site.connections.map(\.timeout) == [.seconds(1), .milliseconds(300)])
        #expect(site.buffer.maxByteCount == 64 << 20)
    }

    @Test func commandsAreReadCompletely() throws {
        let commands = try #require(Self.load("commands-clean").value).commands
        #expect(commands.issuers.map(\.name) == ["chw-opt", "control-room", "chief"])
        #expect(commands.issuers.map(\.lane) == [.advise, .autonomous, .autonomous])
        #expect(commands.issuers[0].heartbeat == .seconds(60))
        guard case .ed25519(let key) = commands.issuers[0].key else {
            Issue.record("no public key")
            return
        }
        #expect(key.count == 32 && key.prefix(2) == [0xD7, 0x5A])
        #expect(commands.issuers[1].key == .hmacFile("/etc/headgate/control-room.key"))
        let policy = try #require(commands.policies.first)
        #expect(policy.permissions.map(\.issuer) == ["chw-opt", "control-room", "chief"])
        #expect([policy.low, policy.high, policy.step] == [5.5, 12, 1])
        #expect(policy.perHour == 4 && policy.perDay == 24 && policy.minInterval == .seconds(300))
        #expect(policy.hours.count == 2 && policy.interlocks.count == 2 && policy.unless.count == 1)
        #expect(policy.approval?.count == 2 && policy.approval?.escalateAfter == .seconds(300))
        #expect(policy.lease == Policy.LeaseRule(longest: .seconds(1800), onEnd: .fallback))
        #expect(policy.fallback == .value(.int(7)))
        #expect(policy.needsReadiness && !policy.allowsUnsigned)
        #expect(policy.evidence?.maxAge == .seconds(60))
    }

    @Test func withoutASectionNobodyMayCommandAnything() throws {
        let site = try #require(Self.load("clean").value)
        #expect(site.commands == CommandSettings())
        #expect(site.commands.policies.isEmpty && site.commands.issuers.isEmpty)
    }

    @Test func aMissingFileAndAFolderAreSaidInWords() {
        #expect(
            SiteFile.load(path: "/nonexistent.yaml", shippedProfiles: "").problems[0].message.contains("no such file"))
        #expect(SiteFile.load(path: "/tmp", shippedProfiles: "").problems[0].message.contains("folder"))
    }

    @Test func aMegabyteOfAliasesAndBinaryJunkAreRefusedQuickly() throws {
        let path = NSTemporaryDirectory() + "/headgate-\(UUID().uuidString).yaml"
        defer { try? FileManager.default.removeItem(atPath: path) }
        var bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
        for level in 1..<60 {
            bomb += "a\(level): &a\(level) [\(Array(repeating: "*a\(level - 1)", count: 9).joined(separator: ", "))]\n"
        }
        bomb += String(repeating: "# a comment to make it large\n", count: 35_000)
        try bomb.write(toFile: path, atomically: true, encoding: .utf8)
        #expect(SiteFile.load(path: path, shippedProfiles: "").problems[0].message.contains("aliases counted"))
        try Data((0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 7) }).write(
            to: URL(fileURLWithPath: path))
        #expect(SiteFile.load(path: path, shippedProfiles: "").problems[0].message.contains("UTF-8"))
    }

    @Test func randomTextNeverCrashesTheReader() throws {
        let path = NSTemporaryDirectory() + "/headgate-\(UUID().uuidString).yaml"
        defer { try? FileManager.default.removeItem(atPath: path) }
        let clean = Array(try String(contentsOfFile: "\(Self.folder)/clean/site.yaml", encoding: .utf8).utf8)
        var state: UInt64 = 99
        for _ in 0..<300 {
            var text = clean
            for _ in 0..<5 {
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                text[Int(state >> 33) % text.count] = UInt8(32 + (state >> 20) % 95)
            }
            try Data(text).write(to: URL(fileURLWithPath: path))
            let loaded = SiteFile.load(path: path, shippedProfiles: Self.shipped)
            #expect(loaded.value != nil || !loaded.problems.isEmpty)
        }
    }

    @Test func everyShippedProfileLoadsAndItsGoldenTestsHold() throws {
        let library = ProfileLibrary(folders: [Self.shipped])
        #expect(library.files.count >= 8)
        for (id, _) in library.files {
            let loaded = library.load(id)
            let profile = try #require(loaded.value, "\(id): \(loaded.problems)")
            #expect(profile.goldenFailures().isEmpty, "\(id)")
            #expect(profile.untestedPoints.isEmpty, "\(id)")
        }
    }

    @Test(arguments: [
        "V", "kW.h", "Cel", "%", "1", "/min", "m3/h", "kV.A", "kvar.h", "10*3", "{pulses}", "mbar", "K/min", "L/s",
    ])
    func unitsOfUCUMAreAccepted(code: String) {
        #expect(UnitOfMeasure.isValid(code))
    }

    @Test(arguments: ["kWh", "rpm", "°C", "", "kW..h", "foo", "V//A", "kilowatt"])
    func whatIsNoUnitIsRefused(code: String) {
        #expect(!UnitOfMeasure.isValid(code))
    }

    /// A site has hundreds of devices of one profile.
    @Test func devicesOfOneProfileAndPeriodShareTheirPointsInMemory() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("hg-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let devices = (1...3).map {
            "  m\($0): {profile: eastron/sdm630, connection: c, unit: \($0), owner: o\($0 == 3 ? ", every: 7s" : "")}\n"
        }
        let path = folder + "/site.yaml"
        let text = """
            gateway: {id: gw, owner: me, state: /tmp/hg}
            connections: {c: {tcp: "127.0.0.1:1502"}}
            publish: {broker: {mqtt: "mqtt://127.0.0.1:1883"}}
            devices:
            \(devices.joined())
            """
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        let loaded = SiteFile.load(path: path, shippedProfiles: Self.shipped)
        let site = try #require(loaded.value, "\(loaded.problems)")
        let places = site.devices.map { $0.points.withUnsafeBufferPointer(\.baseAddress) }
        #expect(places.count == 3 && places[0] == places[1] && places[0] != places[2])
    }
}

/// The key `write` as the engine gets it.
@Suite struct WriteRuleTests {
    @Test func everythingThatAProfileSaysAboutWritingIsRead() throws {
        let site = try #require(ConfigurationTests.load("write-clean").value)
        let points = Dictionary(uniqueKeysWithValues: site.devices[0].points.map { ($0.name, $0) })
        #expect(
            points["flow"]?.write
                == WriteRule(
                    mode: .multiple, low: 0, high: 100, readbackTolerance: 0.5, settle: .milliseconds(300),
                    target: RegisterSpan(table: .holding, start: 40, registerCount: 2)))
        #expect(points["mode"]?.write == WriteRule(mode: .mask, low: 0, high: 15))
        #expect(
            points["fan"]?.write
                == WriteRule(mode: .single, readback: .place(table: .discrete, protocolAddress: 7)))
        var limit = WriteRule(mode: .single, low: 5, high: 12, step: 0.5, readback: .point("flow"))
        limit.unlock = [.register(100, 0x55AA), .coil(9, isOn: true)]
        limit.commit = [.registers(101, [1, 2])]
        limit.rollback = [.register(100, 0)]
        #expect(points["limit"]?.write == limit)
    }
}
