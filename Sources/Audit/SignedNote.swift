/// Text with signatures (https://c2sp.org/signed-note).
package struct SignedNote: Hashable, Sendable {
    package struct Signature: Hashable, Sendable {
        package var name: String
        package var keyID: UInt32
        package var bytes: [UInt8]
    }

    /// Why a note is none, or cannot be trusted.
    package enum Problem: Error, Hashable, Sendable {
        /// It does not have the form of a note. Says where.
        case malformed(String)
        /// A known key did not sign this.
        case badSignature(key: String)
        /// Nobody who is known signed it.
        case unknownKeys([String])
    }

    /// Ends with a newline.
    package let text: String
    package let signatures: [Signature]

    /// A note is never larger; a checkpoint takes some 250 bytes.
    package static let byteLimit = 65_536
    private static let signatureLimit = 100
    private static let dash = "\u{2014} "

    /// Signs `text`, which ends with a newline.
    package init(text: String, signer: NoteSigner) throws(KeyProblem) {
        precondition(
            text.hasSuffix("\n") && Self.isClean(text), "the text of a note ends with a newline and has no controls")
        self.text = text
        let signature = Signature(
            name: signer.verifier.name, keyID: signer.verifier.id, bytes: try signer.sign(Array(text.utf8)))
        signatures = [signature]
    }

    /// Takes a note apart. Nothing about it is verified yet.
    package init(_ bytes: [UInt8]) throws(Problem) {
        guard bytes.count <= Self.byteLimit else { throw .malformed("larger than \(Self.byteLimit) bytes") }
        guard let note = String(validating: bytes, as: UTF8.self), Self.isClean(note) else {
            throw .malformed("not UTF-8, or with control characters")
        }
        let lines = note.split(separator: "\n", omittingEmptySubsequences: false)
        guard lines.count > 3, lines.last == "", let gap = lines.dropLast().lastIndex(of: ""), gap > 0 else {
            throw .malformed("no empty line between text and signatures")
        }
        text = lines[..<gap].joined(separator: "\n") + "\n"
        let signed = lines[(gap + 1)...].dropLast()
        guard !signed.isEmpty, signed.count <= Self.signatureLimit else {
            throw .malformed("\(signed.count) signatures")
        }
        var signatures: [Signature] = []
        for line in signed { signatures.append(try Self.signature(line)) }
        self.signatures = signatures
    }

    private static func signature(_ line: Substring) throws(Problem) -> Signature {
        let words = line.split(separator: " ", omittingEmptySubsequences: false)
        guard words.count == 3, line.hasPrefix(dash), !words[1].isEmpty, let bytes = Base64.standard.decode(words[2]),
            bytes.count > 4
        else { throw .malformed("'\(line)' is no signature line") }
        return Signature(
            name: String(words[1]), keyID: bytes.prefix(4).reduce(0) { $0 << 8 | UInt32($1) },
            bytes: Array(bytes.dropFirst(4)))
    }

    private static func isClean(_ text: String) -> Bool {
        text.utf8.allSatisfy { $0 >= 0x20 || $0 == 0x0A }
    }

    /// The known keys that signed it.
    ///
    /// - Throws: when there is none, or one of them signed something else.
    package func verified(by known: [NoteVerifier]) throws(Problem) -> [NoteVerifier] {
        var verified: [NoteVerifier] = []
        for signature in signatures {
            guard let key = known.first(where: { $0.name == signature.name && $0.id == signature.keyID }) else {
                continue
            }
            guard key.isValid(signature: signature.bytes, of: Array(text.utf8)) else {
                throw .badSignature(key: key.description)
            }
            verified.append(key)
        }
        guard !verified.isEmpty else { throw .unknownKeys(signatures.map { "\($0.name)+\(NoteSigner.hex($0.keyID))" }) }
        return verified
    }

    /// The note as it is stored and sent.
    package var bytes: [UInt8] {
        let lines = signatures.map { signature in
            let id = (0..<4).map { UInt8(truncatingIfNeeded: signature.keyID >> (24 - 8 * UInt32($0))) }
            return "\(Self.dash)\(signature.name) \(Base64.standard.encode(id + signature.bytes))\n"
        }
        return Array((text + "\n" + lines.joined()).utf8)
    }
}
