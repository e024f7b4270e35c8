package import Audit
import Files
import Foundation
package import Payloads

/// Keys on disk: files that nobody but their owner reads.
package enum KeyFiles {
    /// A key file as `headgate keys list` shows it.
    package struct Entry: Sendable {
        package var path: String
        /// Nil where ``trouble`` says why.
        package var key: JSONWebKey?
        package var trouble: String?
    }

    package static let suffix = ".jwk"
    private static let byteLimit = 16_384

    /// Writes a new file with mode 0600 and makes it durable. Never overwrites one.
    package static func create(_ path: String, _ content: [UInt8]) throws(KeyProblem) {
        let file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard file >= 0 else {
            throw KeyProblem(errno == EEXIST ? "\(path) is there already" : "cannot write \(path): \(reason(errno))")
        }
        defer { close(file) }
        // The mode of open is cut by the umask, never widened; 0600 has nothing that one should cut.
        guard fchmod(file, 0o600) == 0, write(file, content, content.count) == content.count, fsync(file) == 0 else {
            let code = errno
            unlink(path)
            throw KeyProblem("cannot write \(path): \(reason(code))")
        }
    }

    /// Reads a key file; a secret that others may read is refused.
    package static func read(_ path: String) throws(KeyProblem) -> JSONWebKey {
        do {
            return try key(try file(path))
        } catch {
            throw KeyProblem("\(path): \(error)")
        }
    }

    /// Reads the secret of an HS256 issuer: a key file, or a file that is nothing but the secret itself (a last line end
    /// does not count).
    package static func secret(_ path: String) throws(KeyProblem) -> IssuerKey {
        do {
            let file = try file(path)
            var content = file.bytes
            if content.first == UInt8(ascii: "{") { return try key(file).verifying }
            try checkMode(file)
            if content.last == UInt8(ascii: "\n") { content.removeLast() }
            return try IssuerKey(secret: content)
        } catch {
            throw KeyProblem("\(path): \(error)")
        }
    }

    private static func key(_ file: RegularFile) throws(KeyProblem) -> JSONWebKey {
        let key = try JSONWebKey(file.bytes)
        if key.isSecret { try checkMode(file) }
        return key
    }

    static func bytes(of path: String) throws(KeyProblem) -> [UInt8] {
        try file(path).bytes
    }

    /// The text of a secret in the state folder.
    static func secretText(_ path: String) throws(KeyProblem) -> String {
        let file = try file(path)
        try checkMode(file)
        return String(decoding: file.bytes, as: UTF8.self)
    }

    private static func file(_ path: String) throws(KeyProblem) -> RegularFile {
        do {
            return try RegularFile(path, limit: byteLimit)
        } catch .refused(let code) {
            throw KeyProblem("cannot be read: \(reason(code))")
        } catch {
            throw KeyProblem("\(error)")
        }
    }

    private static func checkMode(_ file: RegularFile) throws(KeyProblem) {
        guard file.mode & 0o077 == 0 else {
            let mode = String(file.mode & 0o777, radix: 8)
            throw KeyProblem("holds a secret and has mode \(mode); only its owner may read it: chmod 600")
        }
    }

    /// The key files of a folder, by name.
    package static func list(_ folder: String) throws(KeyProblem) -> [Entry] {
        guard let names = try? FileManager.default.contentsOfDirectory(atPath: folder) else {
            throw KeyProblem("no folder \(folder)")
        }
        return names.filter { $0.hasSuffix(suffix) }.sorted().map { entry(folder + "/" + $0) }
    }

    private static func entry(_ path: String) -> Entry {
        do {
            return Entry(path: path, key: try read(path), trouble: nil)
        } catch {
            return Entry(path: path, key: nil, trouble: error.description)
        }
    }

    static func reason(_ code: Int32) -> String {
        String(cString: strerror(code))
    }
}

/// The key with which a gateway signs its audit log: `audit.key` in the state folder, its public half in `audit.pub` beside it.
package enum AuditKey {
    package static let fileName = "audit.key"
    package static let publicFileName = "audit.pub"

    /// Name of the log, and of the key that signs it.
    package static func origin(gateway: String) -> String {
        "headgate/v1/\(gateway)/audit"
    }

    /// A new key.
    package static func create(folder: String, gateway: String) throws(KeyProblem) -> NoteSigner {
        let signer = try NoteSigner(name: origin(gateway: gateway))
        try KeyFiles.create(folder + "/" + fileName, Array((signer.text + "\n").utf8))
        let path = folder + "/" + publicFileName
        do {
            try Data((signer.verifier.description + "\n").utf8).write(to: URL(fileURLWithPath: path), options: .atomic)
        } catch {
            throw KeyProblem("cannot write \(path): \(error.localizedDescription)")
        }
        return signer
    }

    /// The key of a state folder, made at the first start.
    package static func open(folder: String, gateway: String) throws(KeyProblem) -> NoteSigner {
        let path = folder + "/" + fileName
        guard FileManager.default.fileExists(atPath: path) else { return try create(folder: folder, gateway: gateway) }
        do {
            return try NoteSigner(try KeyFiles.secretText(path).trimmingCharacters(in: .whitespacesAndNewlines))
        } catch {
            throw KeyProblem("\(path): \(error)")
        }
    }
}
