import Foundation
import Synchronization

/// Wakes the network thread out of its wait. Rings that come before it has woken are one.
final class Bell: Sendable {
    /// What the network thread waits for; does not block.
    let reader: Int32
    private let writer: Int32
    private let isRung = Atomic<Bool>(false)

    init?() {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { return nil }
        for end in ends {
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
        }
        (reader, writer) = (ends[0], ends[1])
    }

    deinit {
        close(reader)
        close(writer)
    }

    func ring() {
        guard !isRung.exchange(true, ordering: .acquiringAndReleasing) else { return }
        var byte: UInt8 = 1
        _ = write(writer, &byte, 1)
    }

    /// The network thread is awake, and looks at everything after this.
    func answer() {
        var bytes: UInt64 = 0
        while read(reader, &bytes, 8) > 0 {}
        isRung.store(false, ordering: .sequentiallyConsistent)
    }
}
