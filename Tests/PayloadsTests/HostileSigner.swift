import Audit
import Crypto

/// Signs headers that no library would make.
enum HostileSigner {
    static func hs256(header: String, payload: [UInt8], secret: [UInt8]) -> String {
        let content = Base64.url.encode(Array(header.utf8)) + "." + Base64.url.encode(payload)
        let code = HMAC<SHA256>.authenticationCode(for: Array(content.utf8), using: SymmetricKey(data: secret))
        return content + "." + Base64.url.encode(Array(code))
    }
}
