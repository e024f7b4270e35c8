package import Audit
import Crypto

/// A key that the gateway trusts for one issuer. The algorithm belongs to the key: no message can choose another.
package enum IssuerKey: Hashable, Sendable {
    /// Public key, 32 bytes.
    case ed25519([UInt8])
    /// Shared secret for HMAC with SHA-256, 32 to 256 bytes (RFC 7518, section 3.2).
    case hs256([UInt8])

    /// Bytes of a secret that are enough and that make sense.
    package static let secretByteCounts = 32...256
    private static let prefix = "ed25519:"

    /// Reads the form of the site file, `ed25519:` and 32 bytes in base64url.
    package init(siteText text: String) throws(KeyProblem) {
        guard text.hasPrefix(Self.prefix), let bytes = Base64.url.decode(text.dropFirst(Self.prefix.count)) else {
            throw KeyProblem("'\(text)' is no public key; it reads ed25519:BASE64URL, 43 characters behind the colon")
        }
        try self.init(publicKey: bytes)
    }

    package init(publicKey bytes: [UInt8]) throws(KeyProblem) {
        guard bytes.count == 32, (try? Curve25519.Signing.PublicKey(rawRepresentation: bytes)) != nil else {
            throw KeyProblem("an Ed25519 public key has 32 bytes, not \(bytes.count)")
        }
        self = .ed25519(bytes)
    }

    package init(secret bytes: [UInt8]) throws(KeyProblem) {
        guard Self.secretByteCounts.contains(bytes.count) else {
            throw KeyProblem("a secret for HS256 has 32 to 256 bytes, not \(bytes.count)")
        }
        self = .hs256(bytes)
    }

    /// Whether the owner of this key can sign for the other one: two secrets of different bytes may be one key of HMAC, which
    /// fills a short one with zeros and takes the SHA-256 of one that is longer than a block (RFC 2104, section 2).
    package func isSame(as other: IssuerKey) -> Bool {
        switch (self, other) {
        case (.ed25519(let own), .ed25519(let others)): own == others
        case (.hs256(let own), .hs256(let others)): Self.block(own) == Self.block(others)
        case (.ed25519, .hs256), (.hs256, .ed25519): false
        }
    }

    private static let blockByteCount = 64

    /// The key as HMAC with SHA-256 uses it.
    private static func block(_ secret: [UInt8]) -> [UInt8] {
        let key = secret.count > blockByteCount ? Array(SHA256.hash(data: secret)) : secret
        return key + Array(repeating: 0, count: blockByteCount - key.count)
    }

    /// The form of the site file; nil for a secret, which belongs into a file of its own.
    package var siteText: String? {
        switch self {
        case .ed25519(let bytes): Self.prefix + Base64.url.encode(bytes)
        case .hs256: nil
        }
    }

    /// The names (RFC 7518, 8037 and 9864) under which a message may call the key's algorithm.
    var algorithmNames: [String] {
        switch self {
        case .ed25519: ["EdDSA", "Ed25519"]
        case .hs256: ["HS256"]
        }
    }

    /// Compares a secret's code in constant time.
    func isValid(signature: [UInt8], of content: [UInt8]) -> Bool {
        switch self {
        case .ed25519(let bytes):
            guard signature.count == 64, let key = try? Curve25519.Signing.PublicKey(rawRepresentation: bytes) else {
                return false
            }
            return key.isValidSignature(signature, for: content)
        case .hs256(let secret):
            return HMAC<SHA256>.isValidAuthenticationCode(
                signature, authenticating: content, using: SymmetricKey(data: secret))
        }
    }
}
