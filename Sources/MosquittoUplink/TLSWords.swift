import COpenSSL
import Foundation
import Model

/// What is wrong with a certificate, in one sentence: which certificate, which name, since when.
enum TLSWords {
    /// Why the certificate of a broker does not count.
    static func rejection(
        code: Int32, facts: Certificates.Facts?, isAuthority: Bool, host: String, authorities: String, now: Date
    ) -> String {
        guard let facts else { return String(cString: X509_verify_cert_error_string(Int(code))) }
        let name = "the \(isAuthority ? "authority's certificate" : "broker's certificate") '\(facts.subject)'"
        switch code {
        case X509_V_ERR_CERT_HAS_EXPIRED, X509_V_ERR_CERT_NOT_YET_VALID:
            return validity(facts, now: now).map { "\(name) \($0)" } ?? "\(name) is not valid at this time"
        case X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH:
            let names = facts.names.isEmpty ? "no host" : facts.names.prefix(5).joined(separator: ", ")
            return "\(name) is for \(names), not for '\(host)', which the site file names"
        case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN,
            X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT,
            X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
            return "\(name) is signed by '\(facts.issuer)', which is not among the authorities of \(authorities)"
        default: return "\(name): \(String(cString: X509_verify_cert_error_string(Int(code))))"
        }
    }

    /// What the dates of a certificate say at `now`; nil where it is valid.
    static func validity(_ facts: Certificates.Facts, now: Date) -> String? {
        if now > facts.notAfter {
            return "expired \(text(facts.notAfter))\(days(from: facts.notAfter, to: now)) ago)\(clockDoubt(now))"
        }
        if now < facts.notBefore {
            return "is valid only from \(text(facts.notBefore)) on; the clock of this machine shows \(text(now)):"
                + " is it right?"
        }
        return nil
    }

    private static func days(from: Date, to: Date) -> String {
        let days = Int(clamping: to.timeIntervalSince(from) / 86_400)
        return " (\(days == 0 ? "less than a day" : days == 1 ? "1 day" : "\(days) days")"
    }

    /// A clock that is years ahead makes every certificate expire.
    private static func clockDoubt(_ now: Date) -> String {
        "; the clock of this machine shows \(text(now))"
    }

    private static func text(_ date: Date) -> String {
        let time = UnixTime(
            milliseconds: Int64(clamping: min(max(0, date.timeIntervalSince1970), 253_402_300_799)) * 1000
        ).rfc3339
        return "\(time.prefix(10)) \(time.dropFirst(11).prefix(5)) UTC"
    }

    /// What ended a handshake or a connection, from OpenSSL's queue of errors, which is emptied.
    static func trouble(inHandshake: Bool) -> String {
        let code = ERR_get_error()
        ERR_clear_error()
        let reason = code == 0 ? SSL_R_UNEXPECTED_EOF_WHILE_READING : hg_error_reason(code)
        switch reason {
        case SSL_R_UNEXPECTED_EOF_WHILE_READING:
            return inHandshake
                ? "the broker closed the connection during the TLS handshake;"
                    + " is it a TLS port, and does it ask for a client certificate?"
                : "the broker closed the connection"
        case SSL_R_WRONG_VERSION_NUMBER, SSL_R_PACKET_LENGTH_TOO_LONG, SSL_R_HTTP_REQUEST:
            return "the port does not speak TLS; is it mqtt:// instead of mqtts://?"
        case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
            return "the broker asks for a client certificate; the site file names none (tls: certificate, key)"
        case SSL_R_TLSV1_ALERT_UNKNOWN_CA, SSL_R_SSLV3_ALERT_BAD_CERTIFICATE, SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN,
            SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
            return "the broker rejects our client certificate: \(words(code))"
        case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED: return "the broker rejects our client certificate: it expired"
        case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED: return "the broker rejects our client certificate: it is revoked"
        case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
            return "the broker refuses the TLS handshake; does it ask for a client certificate?"
        default: return "TLS: \(words(code))"
        }
    }

    private static func words(_ code: UInt) -> String {
        guard let text = ERR_reason_error_string(code) else { return "error \(code)" }
        return String(cString: text)
    }
}
