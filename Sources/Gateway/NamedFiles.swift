import Audit
import Files
package import Foundation
package import Model
import MosquittoUplink
import Payloads
package import Profiles

/// The files that a site file names besides profiles: keys, passwords, certificates. They belong to the machine, not to the
/// site file, so loading does not look at them and `headgate check` does.
package struct NamedFiles: Sendable {
    private let site: Site
    private let file: String
    private let now: Date

    /// - Parameters:
    ///   - file: the path of the site file.
    ///   - now: by which certificates are judged; the clock of the machine where it is nil.
    package init(_ site: Site, in file: String, now: Date? = nil) {
        self.site = site
        self.file = file
        self.now = now ?? Date(timeIntervalSince1970: Double(SystemClock().utc.microseconds) / 1e6)
    }

    /// Errors where the gateway would not start; warnings where it would start and not connect, where only the user who asks
    /// may not read, and where others may who should not.
    package var problems: [Problem] {
        keyProblems + site.publishers.flatMap(problems)
    }

    private func problems(_ publisher: PublisherSettings) -> [Problem] {
        let tls = publisher.tls
        let files = [
            (["password_file"], publisher.passwordFile, passwordProblem),
            (["tls", "ca"], tls?.authorityFile, authorityProblem),
            (["tls", "certificate"], tls?.certificateFile, certificateProblem),
            (["tls", "key"], tls?.keyFile, { privateKeyProblem($0, certificatePath: tls?.certificateFile) }),
        ]
        return files.compactMap { keys, path, find in
            path.flatMap(find).map { problem(.warning, ["publish", publisher.name] + keys, $0) }
        }
    }

    private func passwordProblem(_ path: String) -> String? {
        unusable(path, limit: RegularFile.passwordLimit) {
            $0.text == nil ? "\(path) is no text in UTF-8" : openToAll($0, path)
        }
    }

    private func authorityProblem(_ path: String) -> String? {
        unusable(path, limit: RegularFile.certificateLimit) { _ in CredentialCheck.authorities(path, now: now) }
    }

    private func certificateProblem(_ path: String) -> String? {
        unusable(path, limit: RegularFile.certificateLimit) { _ in CredentialCheck.certificate(path, now: now) }
    }

    private func privateKeyProblem(_ path: String, certificatePath: String?) -> String? {
        unusable(path, limit: RegularFile.certificateLimit) {
            let fault = CredentialCheck.key(path, certificatePath: certificatePath)
            return [fault, openToAll($0, path)].joinedWords
        }
    }

    /// What the gateway would meet at a file that it reads when it connects, or `fault` of what it would read.
    private func unusable(_ path: String, limit: Int, fault: (RegularFile) -> String?) -> String? {
        do {
            return fault(try RegularFile(path, limit: limit))
        } catch .refused {
            return unreadable(path) ?? "\(path) cannot be read"
        } catch {
            return "\(path) \(error)"
        }
    }

    private func openToAll(_ file: RegularFile, _ path: String) -> String? {
        guard file.mode & 0o007 != 0 else { return nil }
        let mode = String(file.mode & 0o777, radix: 8)
        return
            "\(path) holds a secret and has mode \(mode): every account of this machine can use it; chmod o-rwx \(path)"
    }

    private var keyProblems: [Problem] {
        var keys: [String: IssuerKey] = [:]
        return site.commands.issuers.compactMap { issuer -> Problem? in
            guard case .hmacFile(let path) = issuer.key else { return nil }
            let place = ["commands", "issuers", issuer.name, "hmac_file"]
            do {
                let key = try KeyFiles.secret(path)
                let other = keys.first { $0.value.isSame(as: key) }?.key
                keys[issuer.name] = key
                return other.map { problem(.error, place, "\($0) has the same key; each issuer needs its own") }
            } catch {
                let isClosed = access(path, R_OK) != 0 && errno == EACCES
                return problem(isClosed ? .warning : .error, place, unreadable(path) ?? "\(error)")
            }
        }
    }

    private func unreadable(_ path: String) -> String? {
        guard access(path, R_OK) != 0 else { return nil }
        return errno == EACCES
            ? "you may not read \(path); the user that the gateway runs as has to"
            : "\(path): \(KeyFiles.reason(errno))"
    }

    private func problem(_ severity: Problem.Severity, _ keys: [String], _ words: String) -> Problem {
        SiteFile.problem(severity, at: keys, in: file, "\(keys.dropFirst().joined(separator: ".")): \(words)")
    }
}
