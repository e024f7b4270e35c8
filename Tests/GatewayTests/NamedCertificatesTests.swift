import Foundation
import Gateway
import Profiles
import Testing

/// Certificates and keys that a site file names, as `headgate check` judges them before a broker does.
@Suite(.timeLimit(.minutes(1))) struct NamedCertificatesTests {
    /// Writes a certificate for two days with its key.
    private static func make(_ name: String, in folder: Folder) throws {
        try openssl([
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
            "-subj", "/CN=\(name)", "-keyout", "\(folder.path)/\(name).key", "-out", "\(folder.path)/\(name).pem",
        ])
        try #require(chmod("\(folder.path)/\(name).key", 0o600) == 0)
    }

    private static func openssl(_ arguments: [String]) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
        process.arguments = arguments
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        try #require(process.terminationStatus == 0)
    }

    private static func problems(
        in folder: Folder, ca: String = "a.pem", certificate: String = "a.pem", key: String = "a.key",
        days: Double = 0.5
    ) throws -> [String] {
        func at(_ name: String) -> String { "\(folder.path)/\(name)" }
        let text = """
            gateway: {id: gw, owner: me, state: \(folder.path)}
            connections: {line: {tcp: 127.0.0.1:1}}
            devices: {meter: {profile: eastron/sdm630, connection: line, unit: 1, owner: me}}
            publish:
              plant:
                mqtt: "mqtts://127.0.0.1:1"
                tls: {ca: \(at(ca)), certificate: \(at(certificate)), key: \(at(key))}
            """
        let problems = try folder.namedFiles(text, now: Date(timeIntervalSinceNow: days * 86_400)).problems
        #expect(problems.allSatisfy { $0.severity == .warning })
        return problems.map(\.message)
    }

    @Test func whatFitsAndIsValidIsNoProblem() throws {
        let folder = try Folder()
        defer { folder.remove() }
        try Self.make("a", in: folder)
        #expect(try Self.problems(in: folder) == [])
    }

    @Test(arguments: [(12.0, "expired"), (-3.0, "is valid only from")])
    func aCertificateOutsideOfItsDatesIsNamed(days: Double, words: String) throws {
        let folder = try Folder()
        defer { folder.remove() }
        try Self.make("a", in: folder)
        let problems = try Self.problems(in: folder, days: days)
        #expect(problems.count == 2)
        for (problem, key) in zip(problems, ["tls.ca", "tls.certificate"]) {
            #expect(problem.contains(key) && problem.contains("certificate 'a' \(words)"))
        }
    }

    @Test func anAuthorityThatExpiredBesideOneThatIsValidIsNoProblem() throws {
        let folder = try Folder()
        defer { folder.remove() }
        try Self.make("a", in: folder)
        try Self.openssl([
            "req", "-x509", "-key", "\(folder.path)/a.key", "-days", "90", "-subj", "/CN=young", "-out",
            "\(folder.path)/young.pem",
        ])
        let both = try ["a", "young"].map { try String(contentsOfFile: "\(folder.path)/\($0).pem", encoding: .utf8) }
        try both.joined().write(toFile: "\(folder.path)/both.pem", atomically: true, encoding: .utf8)
        let problems = try Self.problems(in: folder, ca: "both.pem", days: 12)
        #expect(problems.count == 1 && problems[0].contains("tls.certificate"))
    }

    @Test func aKeyOfAnotherCertificateIsNamed() throws {
        let folder = try Folder()
        defer { folder.remove() }
        try Self.make("a", in: folder)
        try Self.make("b", in: folder)
        let problems = try Self.problems(in: folder, key: "b.key")
        #expect(problems.count == 1 && problems[0].contains("b.key does not belong to the certificate"))
    }

    @Test func filesInAnotherFormOrPlaceAreNamed() throws {
        let folder = try Folder()
        defer { folder.remove() }
        try Self.make("a", in: folder)
        try Self.openssl([
            "x509", "-in", "\(folder.path)/a.pem", "-outform", "der", "-out", "\(folder.path)/a.der",
        ])
        try Self.openssl([
            "pkey", "-in", "\(folder.path)/a.key", "-aes256", "-passout", "pass:secret", "-out",
            "\(folder.path)/locked.key",
        ])
        try #require(chmod("\(folder.path)/locked.key", 0o600) == 0)
        let problems = try Self.problems(in: folder, ca: "a.der", certificate: "a.key", key: "locked.key")
        #expect(problems.count == 3)
        for (problem, words) in zip(
            problems, ["no certificate in PEM form", "no certificate in PEM form", "behind a passphrase"])
        {
            #expect(problem.contains(words))
        }
    }
}
