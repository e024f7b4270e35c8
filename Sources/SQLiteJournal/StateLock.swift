import Engine
import Foundation
import Synchronization

/// Holds the state folder for one gateway at a time.
final class StateLock: Sendable {
    private let descriptor: Atomic<Int32>

    init(folder: String) throws(JournalError) {
        let path = folder + "/journal.lock"
        let file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o640)
        guard file >= 0 else {
            throw .unusable(
                "cannot write \(path): \(String(cString: strerror(errno))); gateway.state must be a writable folder")
        }
        guard flock(file, LOCK_EX | LOCK_NB) == 0 else {
            close(file)
            throw .unusable(
                "another gateway runs on \(folder); stop it or give this one a gateway.state folder of its own")
        }
        descriptor = Atomic(file)
    }

    func release() {
        let file = descriptor.exchange(-1, ordering: .relaxed)
        if file >= 0 { close(file) }
    }

    deinit { release() }
}
