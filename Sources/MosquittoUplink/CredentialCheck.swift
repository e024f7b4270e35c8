import COpenSSL
package import Foundation

/// What `headgate check` finds in certificates and keys before a broker does: the gateway opens them in the same way.
package enum CredentialCheck {
    /// What is wrong with the authorities in a file, in words. One that is valid is enough: bundles keep old ones.
    package static func authorities(_ path: String, now: Date) -> String? {
        problem { () throws(CredentialFile.Problem) in
            let facts = try Certificates.chain(path).facts
            let troubles = facts.compactMap { TLSWords.validity($0, now: now) }
            guard troubles.count == facts.count, let first = facts.first, let trouble = troubles.first else {
                return nil
            }
            return words(path, first, trouble)
        }
    }

    /// What is wrong with the gateway's own certificate and those that lead to its authority, in words.
    package static func certificate(_ path: String, now: Date) -> String? {
        problem { () throws(CredentialFile.Problem) in
            for facts in try Certificates.chain(path).facts {
                if let trouble = TLSWords.validity(facts, now: now) { return words(path, facts, trouble) }
            }
            return nil
        }
    }

    /// What is wrong with a private key, in words: also where it belongs to another certificate than the first of
    /// `certificatePath`. A certificate that cannot be read is a problem of its own.
    package static func key(_ path: String, certificatePath: String?) -> String? {
        problem { () throws(CredentialFile.Problem) in
            let key = try Certificates.key(path)
            guard let certificatePath, let chain = try? Certificates.chain(certificatePath),
                let certificate = chain.certificates.first
            else { return nil }
            let fits = X509_check_private_key(certificate, key.pointer) == 1
            ERR_clear_error()
            return fits ? nil : "the key \(path) does not belong to the certificate \(certificatePath)"
        }
    }

    private static func words(_ path: String, _ facts: Certificates.Facts, _ trouble: String) -> String {
        "\(path): the certificate '\(facts.subject)' \(trouble)"
    }

    private static func problem(_ find: () throws(CredentialFile.Problem) -> String?) -> String? {
        do throws(CredentialFile.Problem) { return try find() } catch { return error.reason }
    }
}
