import Audit
import Foundation
package import Model
import Payloads
package import Profiles

/// The files that a site file names besides profiles: keys, passwords, certificates. They belong to the machine, not to the
/// site file, so loading does not look at them and `headgate check` does.
package struct NamedFiles: Sendable {
    private let site: Site
    private let file: String

    /// - Parameter file: the path of the site file.
    package init(_ site: Site, in file: String) {
        self.site = site
        self.file = file
    }

    /// Errors where the gateway would not start; warnings where it would start and not connect, and where only the user who
    /// asks may not read.
    package var problems: [Problem] {
        keyProblems
            + site.publishers.flatMap { publisher in
                let tls = publisher.tls
                let files = [
                    (["password_file"], publisher.passwordFile), (["tls", "ca"], tls?.authorityFile),
                    (["tls", "certificate"], tls?.certificateFile), (["tls", "key"], tls?.keyFile),
                ]
                return files.compactMap { keys, path in
                    path.flatMap { unreadable($0) }.map { problem(.warning, ["publish", publisher.name] + keys, $0) }
                }
            }
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
