import Files

/// Reads what the site file names for a broker: a password, certificates, a key.
package enum CredentialFile {
    /// Why a file is not read, in words.
    package struct Problem: Error, Hashable, Sendable {
        package var reason: String
    }

    package static func read(_ path: String, limit: Int = RegularFile.certificateLimit) throws(Problem) -> [UInt8] {
        try file(path, limit: limit).bytes
    }

    /// - Throws: where it holds anything else than text in UTF-8, which `headgate check` warns of.
    package static func password(_ path: String) throws(Problem) -> String {
        guard let text = try file(path, limit: RegularFile.passwordLimit).text else {
            throw Problem(reason: "\(path) is no text in UTF-8")
        }
        return text.hasSuffix("\n") ? String(text.dropLast()) : text
    }

    private static func file(_ path: String, limit: Int) throws(Problem) -> RegularFile {
        do {
            return try RegularFile(path, limit: limit)
        } catch .refused(let code) {
            throw Problem(reason: "\(path): \(RegularFile.Problem.refused(code))")
        } catch {
            throw Problem(reason: "\(path) \(error)")
        }
    }
}
