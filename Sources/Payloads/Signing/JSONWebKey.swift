package import Audit
import Crypto
import Model

/// A key with its id as a JSON Web Key (RFC 7517): the form in which key files are stored, because every JOSE library reads it.
///
/// `OKP` with `Ed25519` (RFC 8037), private or public, and `oct` for HS256.
package struct JSONWebKey: Sendable {
    package let keyID: String
    /// What the gateway needs to verify.
    package let verifying: IssuerKey
    private let signing: Curve25519.Signing.PrivateKey?

    /// A new Ed25519 key.
    package init(ed25519 keyID: String) throws(KeyProblem) {
        let key = Curve25519.Signing.PrivateKey()
        try self.init(keyID, try IssuerKey(publicKey: Array(key.publicKey.rawRepresentation)), key)
    }

    /// A new secret for HS256.
    package init(hs256 keyID: String) throws(KeyProblem) {
        let secret = SymmetricKey(size: .bits256).withUnsafeBytes { Array($0) }
        try self.init(keyID, try IssuerKey(secret: secret), nil)
    }

    private init(
        _ keyID: String, _ verifying: IssuerKey, _ signing: Curve25519.Signing.PrivateKey?
    ) throws(KeyProblem) {
        guard !keyID.isEmpty, keyID.utf8.count <= 64, keyID.utf8.allSatisfy(Self.isNameByte) else {
            throw KeyProblem("'\(keyID)' is no key id: letters, digits, '.', '_' and '-', at most 64")
        }
        self.keyID = keyID
        self.verifying = verifying
        self.signing = signing
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
        case _: false
        }
    }

    /// Whether it can sign, so that nobody else may read it.
    package var isSecret: Bool {
        switch verifying {
        case .ed25519: signing != nil
        case .hs256: true
        }
    }

    package var algorithm: String {
        switch verifying {
        case .ed25519: "EdDSA"
        case .hs256: "HS256"
        }
    }

    /// Reads a key file.
    package init(_ bytes: [UInt8]) throws(KeyProblem) {
        guard let document = try? JSONValue(parsing: bytes), let keyID = document["kid"]?.text else {
            throw KeyProblem("not a JSON Web Key with a kid")
        }
        if let algorithm = document["alg"]?.text, !["EdDSA", "Ed25519", "HS256"].contains(algorithm) {
            throw KeyProblem("the algorithm \(algorithm); EdDSA and HS256 can be used")
        }
        switch (document["kty"]?.text, document["crv"]?.text) {
        case ("OKP", "Ed25519"):
            let key = try IssuerKey(publicKey: try Self.member("x", document))
            let seed = document["d"] == nil ? nil : try Self.member("d", document)
            let signing = seed.flatMap { try? Curve25519.Signing.PrivateKey(rawRepresentation: $0) }
            guard (seed != nil) == (signing != nil),
                signing.map({ .ed25519(Array($0.publicKey.rawRepresentation)) == key }) ?? true
            else { throw KeyProblem("its private half 'd' does not belong to its public half 'x'") }
            try self.init(keyID, key, signing)
        case ("oct", nil):
            try self.init(keyID, try IssuerKey(secret: try Self.member("k", document)), nil)
        case (let type, let curve):
            throw KeyProblem("kty \(type ?? "missing"), crv \(curve ?? "none"); OKP with Ed25519 and oct can be used")
        }
    }

    private static func member(_ name: String, _ document: JSONValue) throws(KeyProblem) -> [UInt8] {
        guard let bytes = document[name]?.text.flatMap({ Base64.url.decode($0) }) else {
            throw KeyProblem("its '\(name)' is not base64url")
        }
        return bytes
    }

    /// The key file. Secret where ``isSecret`` says so.
    package var json: [UInt8] {
        var json = JSONWriter()
        json.object { json in
            switch verifying {
            case .ed25519(let bytes):
                json.member("kty") { $0.string("OKP") }
                json.member("crv") { $0.string("Ed25519") }
                json.member("x") { $0.string(Base64.url.encode(bytes)) }
                json.optional("d", signing) { $0.string(Base64.url.encode(Array($1.rawRepresentation))) }
            case .hs256(let secret):
                json.member("kty") { $0.string("oct") }
                json.member("k") { $0.string(Base64.url.encode(secret)) }
            }
            json.member("kid") { $0.string(keyID) }
            json.member("alg") { $0.string(algorithm) }
            json.member("use") { $0.string("sig") }
        }
        return json.bytes
    }

    /// A JWS in compact form over `payload`; nil for a key that can only verify.
    package func sign(_ payload: [UInt8]) throws(KeyProblem) -> [UInt8]? {
        var header = JSONWriter()
        header.object { json in
            json.member("alg") { $0.string(algorithm) }
            json.member("kid") { $0.string(keyID) }
        }
        let content = Array("\(Base64.url.encode(header.bytes)).\(Base64.url.encode(payload))".utf8)
        guard let signature = try signature(of: content) else { return nil }
        return content + Array(".\(Base64.url.encode(signature))".utf8)
    }

    private func signature(of content: [UInt8]) throws(KeyProblem) -> [UInt8]? {
        switch verifying {
        case .hs256(let secret):
            return Array(HMAC<SHA256>.authenticationCode(for: content, using: SymmetricKey(data: secret)))
        case .ed25519:
            do {
                return try signing.map { Array(try $0.signature(for: content)) }
            } catch {
                throw KeyProblem("\(keyID) cannot sign: \(error)")
            }
        }
    }
}
