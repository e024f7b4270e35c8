import Audit
import Model

/// Why a message is not a signature that counts.
package enum JWSProblem: Error, Hashable, Sendable {
    case tooLarge(limit: Int)
    /// Not three parts with dots between them: the JSON forms, detached content and encrypted messages are not taken.
    case notCompact
    /// A part is not base64url without padding, in the one form that its bytes have.
    case badEncoding(part: String)
    /// The header is not a strict JSON object. Says why.
    case badHeader(String)
    /// The header asks for something that changes what a signature means, or brings a key of its own.
    case headerNotAllowed(String)
    case missingKeyID
    case unknownKey(String)
    /// The header names another algorithm than the one of the key; `none` is one of them.
    case wrongAlgorithm(String, keyID: String)
    case badSignature(keyID: String)
}

/// Verifies signatures in the compact form of RFC 7515. Who signed is decided by the key that `kid` names, and by nothing
/// else in the message.
package struct JWSVerifier: Sendable {
    private let keys: [String: IssuerKey]

    /// Bytes of a whole message: a `command/1` with all its evidence takes less than half.
    package static let byteLimit = 65_536
    private static let headerByteLimit = 1024
    private static let keyIDByteLimit = 256
    /// Header members that would change the meaning of the signature (RFC 7515, section 4.1.11, RFC 7797), or bring keys and
    /// addresses of keys along.
    private static let refusedMembers: Set<String> = [
        "crit", "b64", "zip", "enc", "jwk", "jku", "x5u", "x5c", "x5t", "x5t#S256",
    ]

    /// - Parameter keys: by key id.
    package init(keys: [String: IssuerKey]) {
        self.keys = keys
    }

    package func verify(_ bytes: [UInt8]) throws(JWSProblem) -> (kid: String, payload: [UInt8]) {
        guard bytes.count <= Self.byteLimit else { throw .tooLarge(limit: Self.byteLimit) }
        let parts = bytes.split(separator: UInt8(ascii: "."), maxSplits: 3, omittingEmptySubsequences: false)
        guard parts.count == 3 else { throw .notCompact }
        guard parts[0].count <= Self.headerByteLimit else { throw .tooLarge(limit: Self.headerByteLimit) }
        let (keyID, algorithm) = try Self.header(try Self.decode(parts[0], "header"))
        guard let key = keys[keyID] else { throw .unknownKey(keyID) }
        guard key.algorithmNames.contains(algorithm) else { throw .wrongAlgorithm(algorithm, keyID: keyID) }
        let signature = try Self.decode(parts[2], "signature")
        guard key.isValid(signature: signature, of: Array(bytes[..<parts[1].endIndex])) else {
            throw .badSignature(keyID: keyID)
        }
        // Only now: what is not signed is not looked at.
        return (keyID, try Self.decode(parts[1], "payload"))
    }

    private static func decode(_ part: ArraySlice<UInt8>, _ name: String) throws(JWSProblem) -> [UInt8] {
        guard let bytes = Base64.url.decode(part) else { throw .badEncoding(part: name) }
        return bytes
    }

    private static func header(_ bytes: [UInt8]) throws(JWSProblem) -> (keyID: String, algorithm: String) {
        let header: JSONValue
        do {
            header = try JSONValue(parsing: bytes)
        } catch {
            throw .badHeader(error.description)
        }
        guard case .object(let members) = header else { throw .badHeader("not an object") }
        if let refused = members.first(where: { refusedMembers.contains($0.key) }) {
            throw .headerNotAllowed(refused.key)
        }
        guard let algorithm = header["alg"]?.text else { throw .badHeader("no 'alg'") }
        guard let keyID = header["kid"]?.text, !keyID.isEmpty, keyID.utf8.count <= keyIDByteLimit else {
            throw .missingKeyID
        }
        return (keyID, algorithm)
    }
}
