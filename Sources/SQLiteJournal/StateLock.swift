import Engine
import Foundation
import Synchronization

/// Holds the state folder for one gateway at a time, and its ``StateMark``.
final class StateLock: Sendable {
    private let path: String
    private let descriptor: Atomic<Int32>

    init(folder: String) throws(JournalError) {
        path = folder + "/journal.lock"
        let file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o640)
        guard file >= 0 else {
            throw .unusable("cannot write \(path): \(Self.reason(errno)); gateway.state must be a writable folder")
        }
        guard flock(file, LOCK_EX | LOCK_NB) == 0 else {
            let code = errno
            close(file)
            throw .unusable(
                code == EWOULDBLOCK
                    ? "another gateway runs on \(folder); stop it or give this one a gateway.state folder of its own"
                    : "cannot lock \(path): \(Self.reason(code)); gateway.state must be on a file system with locks")
        }
        descriptor = Atomic(file)
    }

    /// Nil where there is none yet, or none that can be understood.
    var mark: StateMark? {
        var line = [UInt8](repeating: 0, count: StateMark.byteCount)
        guard pread(descriptor.load(ordering: .relaxed), &line, line.count, 0) > 0 else { return nil }
        return StateMark(line: line)
    }

    /// Returns once the mark is on the disk.
    func write(_ mark: StateMark) throws(JournalError) {
        let file = descriptor.load(ordering: .relaxed)
        let line = mark.line
        guard pwrite(file, line, line.count, 0) == line.count, fdatasync(file) == 0 else {
            throw .storage("\(path) cannot be written: \(Self.reason(errno))")
        }
    }

    func release() {
        let file = descriptor.exchange(-1, ordering: .relaxed)
        if file >= 0 { close(file) }
    }

    private static func reason(_ code: Int32) -> String {
        String(cString: strerror(code))
    }

    deinit { release() }
}
