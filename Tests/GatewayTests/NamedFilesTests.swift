import Files
import Foundation
import Gateway
import Profiles
import Testing

extension Folder {
    /// Writes a site file into the folder, and says what is wrong with the files that it names.
    func namedFiles(_ text: String, now: Date? = nil) throws -> NamedFiles {
        let site = path + "/site.yaml"
        try text.write(toFile: site, atomically: true, encoding: .utf8)
        let loaded = SiteFile.load(path: site, shippedProfiles: ShippedFiles.profiles)
        return NamedFiles(try #require(loaded.value, "\(loaded.problems)"), in: site, now: now)
    }
}

/// Paths that a site file names and that are something else than a file of a sensible size.
@Suite(.timeLimit(.minutes(1))) struct NamedFilesTests {
    /// What a path can be instead of a regular file.
    enum Oddity: String, CaseIterable {
        case fifo, folder, device, socket, huge, absent
    }

    private static let limit = 16_384

    /// Makes it and returns its path.
    private static func make(_ oddity: Oddity, in folder: Folder) throws -> String {
        let path = folder.path + "/" + oddity.rawValue
        switch oddity {
        case .fifo: try #require(mkfifo(path, 0o600) == 0)
        case .folder: try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
        case .device: try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: "/dev/zero")
        case .socket: try #require(mknod(path, S_IFSOCK | 0o600, 0) == 0)
        case .huge:
            try #require(FileManager.default.createFile(atPath: path, contents: nil))
            try #require(truncate(path, 1 << 30) == 0 && chmod(path, 0o600) == 0)
        case .absent: break
        }
        return path
    }

    @Test(arguments: Oddity.allCases)
    func whatIsNoSmallRegularFileIsRefusedAtOnce(_ oddity: Oddity) throws {
        let folder = try Folder()
        defer { folder.remove() }
        let path = try Self.make(oddity, in: folder)
        let problem = try #require(throws: RegularFile.Problem.self) { try RegularFile(path, limit: Self.limit) }
        switch oddity {
        case .fifo: #expect(problem == .notRegular("a FIFO"))
        case .folder: #expect(problem == .notRegular("a folder"))
        case .device: #expect(problem == .notRegular("a device"))
        case .socket: #expect(problem == .notRegular("a socket"))
        case .huge: #expect(problem == .tooLarge(limit: Self.limit))
        case .absent: #expect(problem == .refused(ENOENT))
        }
    }

    @Test func aFileIsReadToItsLimitWithItsMode() throws {
        let folder = try Folder()
        defer { folder.remove() }
        let path = folder.path + "/file"
        for count in [0, 1, Self.limit] {
            try Data(repeating: 0x61, count: count).write(to: URL(fileURLWithPath: path))
            try #require(chmod(path, 0o640) == 0)
            let file = try RegularFile(path, limit: Self.limit)
            #expect(file.bytes.count == count)
            #expect(file.mode == 0o640)
        }
        try Data(repeating: 0x61, count: Self.limit + 1).write(to: URL(fileURLWithPath: path))
        #expect(throws: RegularFile.Problem.tooLarge(limit: Self.limit)) { try RegularFile(path, limit: Self.limit) }
        // Files of /proc have no size.
        #expect(try RegularFile("/proc/self/status", limit: Self.limit).bytes.count > 100)
        #expect(throws: RegularFile.Problem.tooLarge(limit: 10)) { try RegularFile("/proc/self/status", limit: 10) }
    }

    @Test(arguments: Oddity.allCases)
    func checkNamesEachFileThatTheGatewayCouldNotUse(_ oddity: Oddity) throws {
        let folder = try Folder()
        defer { folder.remove() }
        let path = try Self.make(oddity, in: folder)
        let text = """
            gateway: {id: gw, owner: me, state: \(folder.path)}
            connections: {line: {tcp: 127.0.0.1:1}}
            devices: {meter: {profile: eastron/sdm630, connection: line, unit: 1, owner: me}}
            publish:
              plant:
                mqtt: "mqtts://127.0.0.1:1"
                username: gw
                password_file: \(path)
                tls: {ca: \(path), certificate: \(path), key: \(path)}
            commands:
              issuers: {desk: {hmac_file: \(path), category: operator}}
            """
        let problems = try folder.namedFiles(text).problems
        #expect(problems.map(\.severity) == [.error, .warning, .warning, .warning, .warning])
        #expect(problems.allSatisfy { $0.message.contains(path) })
    }

    @Test func checkNamesASecretThatEveryAccountCanRead() throws {
        let folder = try Folder()
        defer { folder.remove() }
        let password = folder.path + "/password"
        let text = """
            gateway: {id: gw, owner: me, state: \(folder.path)}
            connections: {line: {tcp: 127.0.0.1:1}}
            devices: {meter: {profile: eastron/sdm630, connection: line, unit: 1, owner: me}}
            publish: {plant: {mqtt: "mqtt://127.0.0.1:1", username: gw, password_file: \(password)}}
            """
        try Data("secret\n".utf8).write(to: URL(fileURLWithPath: password))
        let files = try folder.namedFiles(text)
        for (mode, isOpen) in [(0o644, true), (0o604, true), (0o602, true), (0o640, false), (0o600, false)] {
            try #require(chmod(password, mode_t(mode)) == 0)
            #expect(files.problems.count == (isOpen ? 1 : 0))
            for problem in files.problems {
                #expect(problem.severity == .warning)
                #expect(problem.message.contains("chmod o-rwx \(password)"))
            }
        }
    }
}
