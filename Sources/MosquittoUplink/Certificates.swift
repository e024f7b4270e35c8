import COpenSSL
import Foundation

/// Certificates and keys in PEM, read by OpenSSL. What is wrong is said in words that name the file.
enum Certificates {
    typealias Problem = CredentialFile.Problem

    /// A certificate in words.
    struct Facts: Hashable, Sendable {
        var subject: String
        var issuer: String
        var notBefore: Date
        var notAfter: Date
        /// Host names and addresses that it is for.
        var names: [String]
    }

    /// Owns certificates of OpenSSL.
    final class Chain {
        fileprivate(set) var certificates: [OpaquePointer] = []

        deinit {
            for certificate in certificates { X509_free(certificate) }
        }

        var facts: [Facts] { certificates.map(Certificates.facts) }
    }

    /// Owns a private key of OpenSSL.
    final class PrivateKey {
        let pointer: OpaquePointer

        fileprivate init(_ pointer: OpaquePointer) {
            self.pointer = pointer
        }

        deinit {
            EVP_PKEY_free(pointer)
        }
    }

    static func chain(_ path: String) throws(Problem) -> Chain {
        let bytes = try CredentialFile.read(path)
        let chain = Chain()
        bytes.withUnsafeBytes { buffer in
            guard let source = BIO_new_mem_buf(buffer.baseAddress, Int32(buffer.count)) else { return }
            defer { BIO_free(source) }
            while let certificate = PEM_read_bio_X509(source, nil, nil, nil) { chain.certificates.append(certificate) }
        }
        ERR_clear_error()
        guard !chain.certificates.isEmpty else { throw Problem(reason: "\(path) holds no certificate in PEM form") }
        return chain
    }

    static func key(_ path: String) throws(Problem) -> PrivateKey {
        let bytes = try CredentialFile.read(path)
        let key = bytes.withUnsafeBytes { buffer -> OpaquePointer? in
            guard let source = BIO_new_mem_buf(buffer.baseAddress, Int32(buffer.count)) else { return nil }
            defer { BIO_free(source) }
            // A key behind a passphrase must not make the library ask for it at a terminal.
            return PEM_read_bio_PrivateKey(source, nil, { _, _, _, _ in 0 }, nil)
        }
        ERR_clear_error()
        guard let key else {
            let isEncrypted = String(decoding: bytes, as: UTF8.self).contains("ENCRYPTED")
            throw Problem(
                reason: isEncrypted
                    ? "\(path) is a private key behind a passphrase; it must be without"
                    : "\(path) holds no private key in PEM form")
        }
        return PrivateKey(key)
    }

    static func facts(_ certificate: OpaquePointer) -> Facts {
        Facts(
            subject: name(X509_get_subject_name(certificate)), issuer: name(X509_get_issuer_name(certificate)),
            notBefore: date(X509_get0_notBefore(certificate)), notAfter: date(X509_get0_notAfter(certificate)),
            names: names(certificate))
    }

    /// The common name, or all of the name where it has none.
    private static func name(_ name: OpaquePointer?) -> String {
        guard let name else { return "" }
        var text = [CChar](repeating: 0, count: 256)
        if X509_NAME_get_text_by_NID(name, NID_commonName, &text, Int32(text.count)) > 0 {
            return printable(text)
        }
        X509_NAME_oneline(name, &text, Int32(text.count))
        return printable(text)
    }

    /// A name comes from the other side and goes into a log.
    private static func printable(_ text: [CChar]) -> String {
        let bytes = text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
        return String(decoding: bytes.map { (0x20...0x7E).contains($0) ? $0 : UInt8(ascii: "?") }, as: UTF8.self)
    }

    private static func date(_ time: UnsafePointer<ASN1_TIME>?) -> Date {
        var parts = tm()
        guard ASN1_TIME_to_tm(time, &parts) == 1 else { return .distantPast }
        return Date(timeIntervalSince1970: Double(timegm(&parts)))
    }

    private static func names(_ certificate: OpaquePointer) -> [String] {
        guard let raw = X509_get_ext_d2i(certificate, NID_subject_alt_name, nil, nil) else { return [] }
        let names = OpaquePointer(raw)
        defer { hg_general_names_free(names) }
        return (0..<hg_general_name_count(names)).compactMap { index in
            var text = [CChar](repeating: 0, count: 256)
            return hg_general_name_text(names, index, &text, Int32(text.count)) > 0 ? printable(text) : nil
        }
    }
}
