import Glibc

/// Who is at the other end of a local connection, as the kernel tells it.
package struct Peer: Hashable, Sendable {
    package var userID: UInt32

    package init(userID: UInt32) {
        self.userID = userID
    }

    /// Name of the account; nil for an id without one. Asks the system's directory: not for the hot path.
    package var userName: String? {
        var entry = passwd()
        var found: UnsafeMutablePointer<passwd>?
        var buffer = [CChar](repeating: 0, count: 16_384)
        guard getpwuid_r(userID, &entry, &buffer, buffer.count, &found) == 0, found != nil, let name = entry.pw_name
        else { return nil }
        return String(cString: name)
    }
}
