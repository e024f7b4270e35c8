import Engine
import Foundation
import Glibc
import Synchronization

/// Holds a file of the state folder for one process at a time, and a line of text in it that is always on the disk.
final class StateLock: Sendable {
    private let path: String
    private let descriptor: Atomic<Int32>
    private let boot = StateMark.currentBoot
    private let keepsInode: Bool

    init(folder: String, name: String = "journal.lock") throws(JournalError) {
        path = folder + "/" + name
        let file = Self.open(path, folder)
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
        keepsInode = FileStamp.keepsInodes(file)
        descriptor = Atomic(file)
    }

    /// On a disk that takes nothing the file is only read, or the folder itself is held where there is no file.
    private static func open(_ path: String, _ folder: String) -> Int32 {
        let file = Glibc.open(path, O_RDWR | O_CREAT | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC, 0o640)
        guard file < 0, [EROFS, ENOSPC, EDQUOT, EIO].contains(errno) else { return file }
        let readable = Glibc.open(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC)
        return readable >= 0 ? readable : Glibc.open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    }

    /// The first `byteCount` bytes, fewer where there are no more; empty for a new file.
    func read(_ byteCount: Int) -> [UInt8] {
        var line = [UInt8](repeating: 0, count: byteCount)
        let count = pread(descriptor.load(ordering: .relaxed), &line, byteCount, 0)
        return Array(line.prefix(max(0, count)))
    }

    /// Overwrites the line with one of the same length, or a longer one. It survives a kill at once and a power cut once
    /// ``sync()`` was called.
    ///
    /// - Parameter line: gets the stamp that tells this file from a copy.
    func write(_ line: (FileStamp?) -> [UInt8]) throws(JournalError) {
        let file = descriptor.load(ordering: .relaxed)
        // The time of change that the stamp names is set by the kernel's clock, as the one of the write behind it is.
        let stamp = futimens(file, nil) == 0 ? self.stamp(of: file) : nil
        let line = line(stamp)
        guard pwrite(file, line, line.count, 0) == line.count else { throw refusal }
    }

    /// Returns once the line is on the disk.
    func sync() throws(JournalError) {
        guard fdatasync(descriptor.load(ordering: .relaxed)) == 0 else { throw refusal }
    }

    private func stamp(of file: Int32) -> FileStamp? { FileStamp(of: file, boot: boot, keepsInode: keepsInode) }

    private var refusal: JournalError { .storage("\(path) cannot be written: \(Self.reason(errno))") }

    /// Whether the file is still the one at its path.
    var isInPlace: Bool {
        var (own, named) = (stat(), stat())
        guard fstat(descriptor.load(ordering: .relaxed), &own) == 0, stat(path, &named) == 0 else { return false }
        return own.st_ino == named.st_ino && own.st_dev == named.st_dev
    }

    /// Whether the file that holds `stamp` is the one that the stamp was written into.
    func isOriginal(_ stamp: FileStamp?) -> Bool {
        guard let stamp, let now = self.stamp(of: descriptor.load(ordering: .relaxed)) else { return true }
        return stamp.isOriginal(now)
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
    func write(_ mark: LedgerMark) throws(JournalError) {
        try write { stamp in
            var stamped = mark
            stamped.stamp = stamp
            return stamped.line
        }
    }

    /// Nil where there is none yet, or none that can be understood.
    var mark: StateMark? {
        let line = read(StateMark.byteCount)
        return line.isEmpty ? nil : StateMark(line: line)
    }

    /// - Parameter isSynced: whether to return only once the mark is on the disk.
    func write(_ mark: StateMark, isSynced: Bool = true) throws(JournalError) {
        try write { stamp in
            var stamped = mark
            stamped.stamp = stamp
            return stamped.line
        }
        if isSynced { try sync() }
    }
}
