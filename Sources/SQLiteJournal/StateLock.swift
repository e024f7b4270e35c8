import Engine
import Foundation
import Synchronization

/// Holds a file of the state folder for one process at a time, and a line of text in it that is always on the disk.
final class StateLock: Sendable {
    private let path: String
    private let descriptor: Atomic<Int32>

    init(folder: String, name: String = "journal.lock") throws(JournalError) {
        path = folder + "/" + name
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

    /// The first `byteCount` bytes, fewer where there are no more; empty for a new file.
    func read(_ byteCount: Int) -> [UInt8] {
        var line = [UInt8](repeating: 0, count: byteCount)
        let count = pread(descriptor.load(ordering: .relaxed), &line, byteCount, 0)
        return Array(line.prefix(max(0, count)))
    }

    /// Returns once `line` is on the disk. Lines of one file all have the same length: one overwrites the other.
    func write(line: [UInt8]) throws(JournalError) {
        let file = descriptor.load(ordering: .relaxed)
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

extension StateLock {
    /// Nil where there is none yet, or none that can be understood.
    var mark: StateMark? {
        let line = read(StateMark.byteCount)
        return line.isEmpty ? nil : StateMark(line: line)
    }

    /// Returns once the mark is on the disk.
    func write(_ mark: StateMark) throws(JournalError) {
        try write(line: mark.line)
    }
}
