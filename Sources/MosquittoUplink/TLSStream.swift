import COpenSSL
import Foundation
import Model

/// What one attempt to read or write moved.
enum Transfer {
    case moved(Int)
    /// Later: nothing can be moved now.
    case blocked
    /// The connection is over, in words.
    case ended(String)
}

/// TLS over a connected socket that does not block. Belongs to one thread.
final class TLSStream {
    enum Handshake {
        case done, wantsRead, wantsWrite
        case failed(String)
    }

    private let context: OpaquePointer
    private let ssl: OpaquePointer
    private let host: String
    private let authorities: String
    /// What the check of the broker's certificate found.
    private var rejection: String?

    /// - Throws: where the files of the site file cannot be used, in words.
    init(_ settings: PublisherSettings.TLS, host: String, descriptor: Int32) throws(CredentialFile.Problem) {
        guard let context = SSL_CTX_new(TLS_client_method()) else {
            throw CredentialFile.Problem(reason: "TLS cannot be set up")
        }
        hg_tls_prepare(context)
        guard let ssl = try Self.open(context, settings, host: host) else {
            SSL_CTX_free(context)
            throw CredentialFile.Problem(reason: "TLS cannot be set up")
        }
        self.context = context
        self.ssl = ssl
        self.host = host
        authorities = settings.authorityFile ?? "this system"
        SSL_set_fd(ssl, descriptor)
        SSL_set_ex_data(ssl, 0, Unmanaged.passUnretained(self).toOpaque())
        SSL_set_verify(ssl, SSL_VERIFY_PEER) { isValid, store in
            guard isValid == 0, let store else { return isValid }
            let index = SSL_get_ex_data_X509_STORE_CTX_idx()
            guard let ssl = X509_STORE_CTX_get_ex_data(store, index),
                let owner = SSL_get_ex_data(OpaquePointer(ssl), 0)
            else { return 0 }
            Unmanaged<TLSStream>.fromOpaque(owner).takeUnretainedValue().reject(store)
            return 0
        }
    }

    deinit {
        SSL_free(ssl)
        SSL_CTX_free(context)
        ERR_clear_error()
    }

    /// Frees the context where it throws.
    private static func open(
        _ context: OpaquePointer, _ settings: PublisherSettings.TLS, host: String
    ) throws(CredentialFile.Problem) -> OpaquePointer? {
        do {
            try trust(settings.authorityFile, context)
            if let certificate = settings.certificateFile, let key = settings.keyFile {
                try present(certificate, key, context)
            }
        } catch {
            SSL_CTX_free(context)
            throw error
        }
        guard let ssl = SSL_new(context) else { return nil }
        let rules = SSL_get0_param(ssl)
        if X509_VERIFY_PARAM_set1_ip_asc(rules, host) != 1 {
            X509_VERIFY_PARAM_set1_host(rules, host, 0)
            _ = hg_tls_set_server_name(ssl, host)
        }
        ERR_clear_error()
        return ssl
    }

    private static func trust(_ file: String?, _ context: OpaquePointer) throws(CredentialFile.Problem) {
        guard let file else {
            SSL_CTX_set_default_verify_paths(context)
            return
        }
        let chain = try Certificates.chain(file)
        let store = SSL_CTX_get_cert_store(context)
        for certificate in chain.certificates { X509_STORE_add_cert(store, certificate) }
    }

    private static func present(
        _ certificateFile: String, _ keyFile: String, _ context: OpaquePointer
    ) throws(CredentialFile.Problem) {
        let chain = try Certificates.chain(certificateFile)
        let key = try Certificates.key(keyFile)
        for (index, certificate) in chain.certificates.enumerated() {
            if index == 0 {
                SSL_CTX_use_certificate(context, certificate)
            } else {
                X509_up_ref(certificate)
                _ = hg_tls_add_chain_certificate(context, certificate)
            }
        }
        let isTaken = SSL_CTX_use_PrivateKey(context, key.pointer) == 1 && SSL_CTX_check_private_key(context) == 1
        ERR_clear_error()
        guard isTaken else {
            throw CredentialFile.Problem(
                reason: "the key \(keyFile) does not belong to the certificate \(certificateFile)")
        }
    }

    private func reject(_ store: OpaquePointer) {
        let certificate = X509_STORE_CTX_get_current_cert(store)
        rejection = TLSWords.rejection(
            code: X509_STORE_CTX_get_error(store), facts: certificate.map(Certificates.facts),
            isAuthority: X509_STORE_CTX_get_error_depth(store) > 0, host: host, authorities: authorities,
            now: Date(timeIntervalSince1970: Double(time(nil))))
    }

    // MARK: - Moving bytes

    func handshake() -> Handshake {
        ERR_clear_error()
        let code = SSL_connect(ssl)
        guard code != 1 else { return .done }
        let error = SSL_get_error(ssl, code)
        switch error {
        case SSL_ERROR_WANT_READ: return .wantsRead
        case SSL_ERROR_WANT_WRITE: return .wantsWrite
        default: return .failed(rejection ?? TLSWords.trouble(inHandshake: true))
        }
    }

    func read(into buffer: UnsafeMutableRawBufferPointer) -> Transfer {
        ERR_clear_error()
        let count = SSL_read(ssl, buffer.baseAddress, Int32(clamping: buffer.count))
        return count > 0 ? .moved(Int(count)) : blockedOrEnded(count)
    }

    func write(_ bytes: UnsafeRawBufferPointer) -> Transfer {
        ERR_clear_error()
        let count = SSL_write(ssl, bytes.baseAddress, Int32(clamping: bytes.count))
        return count > 0 ? .moved(Int(count)) : blockedOrEnded(count)
    }

    private func blockedOrEnded(_ code: Int32) -> Transfer {
        switch SSL_get_error(ssl, code) {
        case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: return .blocked
        case SSL_ERROR_ZERO_RETURN: return .ended("the broker closed the connection")
        default: return .ended(TLSWords.trouble(inHandshake: false))
        }
    }

    /// Tells the other side that nothing more comes; what cannot be sent at once is not sent.
    func sayGoodbye() {
        SSL_shutdown(ssl)
        ERR_clear_error()
    }
}
