import Foundation

/// Reads a small file that the site file names: a regular file, bounded, without ever waiting for it.
package enum CredentialFile {
    /// Why a file is not read, in words.
    package struct Problem: Error, Hashable, Sendable {
        package var reason: String
    }

    /// Certificates of all authorities of a system are about 250 KB.
    package static let byteLimit = 1 << 20

    package static func read(_ path: String, limit: Int = byteLimit) throws(Problem) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
        guard descriptor >= 0 else { throw Problem(reason: "\(path): \(String(cString: strerror(errno)))") }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw Problem(reason: "\(path) is not a regular file")
        }
        guard status.st_size <= limit else {
            throw Problem(reason: "\(path) has \(status.st_size) bytes; at most \(limit) are read")
        }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16_384)
        while case let count = Foundation.read(descriptor, &chunk, chunk.count), count > 0 {
            bytes += chunk[..<count]
            guard bytes.count <= limit else { throw Problem(reason: "\(path) has more than \(limit) bytes") }
        }
        return bytes
    }
}
