import Crypto
package import Model

/// Why a message on a command topic is not read any further.
package enum IntakeProblem: Error, Hashable, Sendable {
    case tooLarge(limit: Int)
    case signature(JWSProblem)
    /// Not the JSON that the topic is for. Says which member is wrong.
    case format(RefusalCode, String)

    /// What the sender is told.
    package var code: RefusalCode {
        switch self {
        case .tooLarge: .badFormat
        case .signature: .badSignature
        case .format(let code, _): code
        }
    }
}

/// A JSON document as it came on a command topic: a JWS in compact form, or plain JSON, which proves nothing about who sent
/// it.
package struct SignedDocument: Hashable, Sendable {
    package let value: JSONValue
    /// Who signed it; nil for plain JSON.
    package let keyID: String?
    /// SHA-256 over the bytes as they were received. What a second message with the same command id has to equal, and what a
    /// decision about the command names.
    package let digest: [UInt8]

    /// Bytes of the document itself.
    package static let byteLimit = 32_768

    /// - Parameter verifier: of the issuers that there are.
    package init(_ bytes: [UInt8], verifier: JWSVerifier) throws(IntakeProblem) {
        let (keyID, payload) = try Self.payload(of: bytes, verifier)
        guard payload.count <= Self.byteLimit else { throw .tooLarge(limit: Self.byteLimit) }
        do {
            value = try JSONValue(parsing: payload)
        } catch {
            throw .format(.badFormat, error.description)
        }
        self.keyID = keyID
        digest = Self.digest(bytes)
    }

    package static func digest(_ bytes: [UInt8]) -> [UInt8] {
        Array(SHA256.hash(data: bytes))
    }

    /// No JWS begins with a brace, so that nothing can be taken for both.
    private static func payload(
        of bytes: [UInt8], _ verifier: JWSVerifier
    ) throws(IntakeProblem) -> (keyID: String?, payload: [UInt8]) {
        guard bytes.count <= JWSVerifier.byteLimit else { throw .tooLarge(limit: JWSVerifier.byteLimit) }
        if bytes.first == UInt8(ascii: "{") { return (nil, bytes) }
        do {
            let (keyID, payload) = try verifier.verify(bytes)
            return (keyID, payload)
        } catch {
            throw .signature(error)
        }
    }

    /// The document as `command/1`.
    package func command() throws(IntakeProblem) -> Command {
        do {
            return try Command(document: value)
        } catch {
            throw .format(error.code, error.message)
        }
    }
}
