import Glibc
import NIOCore

/// Where a socket for owner and group appears: complete, with its mode, or not at all.
///
/// What `bind` creates has the mode that the umask leaves, and the umask belongs to the whole process. So the socket is made
/// in a folder that nobody but the owner can enter, gets its mode there, and is then moved to its path.
struct SocketPlace {
    /// Read and write for owner and group; to connect takes the right to write.
    static let mode: mode_t = 0o660

    private let path: String
    private let folder: String

    /// Where to bind. Shorter than `control.sock` beside it: the names of sockets have 107 bytes, folder included.
    var preparation: String { folder + "/s" }

    /// - Throws: `IOError` when something else than a socket is at the path, or nothing can be written beside it.
    init(_ path: String) throws {
        self.path = path
        let end = path.lastIndex(of: "/").map(path.index(after:)) ?? path.startIndex
        folder = path[..<end] + ".control"
        var present = stat()
        if lstat(path, &present) == 0, present.st_mode & S_IFMT != S_IFSOCK {
            throw IOError(errnoCode: EEXIST, reason: "\(path) is no socket")
        }
        // What a kill in the middle left.
        clear()
        // One that is there all the same is somebody else's: it is not used.
        guard mkdir(folder, 0o700) == 0 else { throw IOError(errnoCode: errno, reason: "mkdir \(folder)") }
    }

    /// Shows the bound socket at its path, in place of what an earlier run left there.
    func show() throws {
        guard chmod(preparation, Self.mode) == 0 else {
            throw IOError(errnoCode: errno, reason: "chmod \(preparation)")
        }
        guard rename(preparation, path) == 0 else { throw IOError(errnoCode: errno, reason: "rename to \(path)") }
        clear()
    }

    /// Takes away the folder; the socket only where it was not shown.
    func clear() {
        unlink(preparation)
        rmdir(folder)
    }
}
