import Files
import Foundation
package import Model

/// The kill switch that needs neither network nor gateway: as long as there is a file named `lockout` in the state folder,
/// whatever it contains, a gateway that starts or runs there writes nothing.
package struct LockoutFile: Sendable {
    package static let name = "lockout"
    private static let byteLimit = 65_536

    package struct Problem: Error, CustomStringConvertible {
        package var description: String
    }

    package let path: String

    package init(stateFolder: String) {
        path = stateFolder + "/" + Self.name
    }

    package var isThere: Bool {
        var attributes = stat()
        return lstat(path, &attributes) == 0
    }

    /// Who made it, when and why, as far as it says: `{"by","since","reason"}`; null without a readable content.
    package var content: JSONValue {
        guard let file = try? RegularFile(path, limit: Self.byteLimit) else { return .null }
        return (try? JSONValue(parsing: file.bytes)) ?? .null
    }

    /// Makes the file, durably.
    ///
    /// - Returns: false when there was one already; it stays as it is.
    package func make(by name: String, at time: UnixTime, reason: String) throws(Problem) -> Bool {
        let file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o644)
        guard file >= 0 else {
            if errno == EEXIST { return false }
            throw Problem(description: "cannot write \(path): \(KeyFiles.reason(errno))")
        }
        defer { close(file) }
        let document = JSONValue.compact([
            ("by", .string(name)), ("since", .string(time.rfc3339)), ("reason", .string(reason)),
        ])
        let line = document.bytes + [UInt8(ascii: "\n")]
        // That it is there is what counts: it stays also when the disk has no room for what it says.
        guard write(file, line, line.count) == line.count, fsync(file) == 0, syncFolder() else {
            throw Problem(
                description: "\(path) is there, but may not survive a loss of power: \(KeyFiles.reason(errno))")
        }
        return true
    }

    /// - Returns: false when there was none.
    package func remove() throws(Problem) -> Bool {
        guard unlink(path) == 0 else {
            if errno == ENOENT { return false }
            throw Problem(description: "cannot remove \(path): \(KeyFiles.reason(errno))")
        }
        _ = syncFolder()
        return true
    }

    private func syncFolder() -> Bool {
        let folder = open(URL(fileURLWithPath: path).deletingLastPathComponent().path, O_RDONLY | O_CLOEXEC)
        guard folder >= 0 else { return false }
        defer { close(folder) }
        return fsync(folder) == 0
    }
}
