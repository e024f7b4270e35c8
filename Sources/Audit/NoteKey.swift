import Crypto

/// Why a key cannot be read.
package struct KeyProblem: Error, Hashable, CustomStringConvertible {
    package var description: String

    package init(_ description: String) {
        self.description = description
    }
}

/// The public half of a key that signs notes, in the text form `NAME+HASH+BASE64` of https://c2sp.org/signed-note.
package struct NoteVerifier: Hashable, Sendable, CustomStringConvertible {
    package let name: String
    /// First four bytes of SHA-256 over name, newline, signature type and public key.
    package let id: UInt32
    /// Ed25519, 32 bytes.
    package let publicKey: [UInt8]

    /// The signature type of Ed25519 in a signed note.
    static let ed25519: UInt8 = 0x01

    package init(name: String, publicKey: [UInt8]) throws(KeyProblem) {
        guard Self.isName(name) else {
            throw KeyProblem("'\(name)' is no key name: not empty, no white space, no '+'")
        }
        guard (try? Curve25519.Signing.PublicKey(rawRepresentation: publicKey)) != nil else {
            throw KeyProblem("an Ed25519 public key has 32 bytes, not \(publicKey.count)")
        }
        self.name = name
        self.publicKey = publicKey
        id = Self.id(name: name, publicKey: publicKey)
    }

    /// Reads ``description``.
    package init(_ text: some StringProtocol) throws(KeyProblem) {
        let parts = text.split(separator: "+", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3, let key = Base64.standard.decode(parts[2]), key.first == Self.ed25519 else {
            throw KeyProblem("'\(text)' is no key for notes: it reads NAME+HASH+BASE64, for Ed25519")
        }
        try self.init(name: String(parts[0]), publicKey: Array(key.dropFirst()))
        guard parts[1] == NoteSigner.hex(id) else {
            throw KeyProblem("'\(text)' has the wrong hash; it should be \(NoteSigner.hex(id))")
        }
    }

    package var description: String {
        "\(name)+\(NoteSigner.hex(id))+\(Base64.standard.encode([Self.ed25519] + publicKey))"
    }

    package func isValid(signature: [UInt8], of text: [UInt8]) -> Bool {
        guard let key = try? Curve25519.Signing.PublicKey(rawRepresentation: publicKey) else { return false }
        return key.isValidSignature(signature, for: text)
    }

    private static func id(name: String, publicKey: [UInt8]) -> UInt32 {
        MerkleHash.digest(Array(name.utf8) + [0x0A, ed25519] + publicKey).bytes.prefix(4)
            .reduce(0) { $0 << 8 | UInt32($1) }
    }

    private static func isName(_ name: String) -> Bool {
        !name.isEmpty && !name.unicodeScalars.contains { $0 == "+" || $0.properties.isWhitespace || $0.value < 0x20 }
    }
}

/// A key that signs notes. Its text form `PRIVATE+KEY+NAME+HASH+BASE64` is the one that the tools of transparency logs read.
package struct NoteSigner: Sendable {
    package let verifier: NoteVerifier
    private let key: Curve25519.Signing.PrivateKey

    private static let prefix = "PRIVATE+KEY+"

    /// A new key.
    package init(name: String) throws(KeyProblem) {
        try self.init(name: name, key: Curve25519.Signing.PrivateKey())
    }

    private init(name: String, key: Curve25519.Signing.PrivateKey) throws(KeyProblem) {
        self.key = key
        verifier = try NoteVerifier(name: name, publicKey: Array(key.publicKey.rawRepresentation))
    }

    /// Reads ``text``.
    package init(_ text: some StringProtocol) throws(KeyProblem) {
        let parts = text.split(separator: "+", maxSplits: 4, omittingEmptySubsequences: false)
        guard parts.count == 5, text.hasPrefix(Self.prefix), let bytes = Base64.standard.decode(parts[4]),
            bytes.first == NoteVerifier.ed25519,
            let key = try? Curve25519.Signing.PrivateKey(rawRepresentation: Array(bytes.dropFirst()))
        else {
            throw KeyProblem("this is no private key for notes: it reads PRIVATE+KEY+NAME+HASH+BASE64, for Ed25519")
        }
        try self.init(name: String(parts[2]), key: key)
        guard parts[3] == Self.hex(verifier.id) else {
            throw KeyProblem("the private key of \(parts[2]) has the wrong hash; it should be \(Self.hex(verifier.id))")
        }
    }

    /// Secret: for a file that only its owner reads.
    package var text: String {
        let bytes = [NoteVerifier.ed25519] + Array(key.rawRepresentation)
        return "\(Self.prefix)\(verifier.name)+\(Self.hex(verifier.id))+\(Base64.standard.encode(bytes))"
    }

    func sign(_ text: [UInt8]) throws(KeyProblem) -> [UInt8] {
        do {
            return Array(try key.signature(for: text))
        } catch {
            throw KeyProblem("\(verifier.name) cannot sign: \(error)")
        }
    }

    static func hex(_ id: UInt32) -> String {
        let digits = String(id, radix: 16)
        return String(repeating: "0", count: 8 - digits.count) + digits
    }
}
