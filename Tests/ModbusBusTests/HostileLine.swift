import Foundation
import Simulator
import Synchronization

/// A serial line whose devices send whatever the test says and when: the master side of a pseudo-terminal, with a responder
/// of its own that knows nothing of the program's framing.
final class HostileLine: Sendable {
    /// Bytes and the seconds to wait before them; none is silence.
    typealias Reaction = [(after: Double, bytes: [UInt8])]

    /// What was seen on the line and when, in seconds of a monotonic clock.
    struct Event: Sendable {
        var time: Double
        var isRequest: Bool
        var bytes: [UInt8]
    }

    private let terminal: PseudoTerminal
    private let react: @Sendable (Int, [UInt8]) -> Reaction
    private let isStopping = Atomic<Bool>(false)
    private let log = Mutex<[Event]>([])
    private let ended = DispatchSemaphore(value: 0)

    /// - Parameter react: to the n-th request (from 0) with these bytes, CRC included.
    init(react: @escaping @Sendable (Int, [UInt8]) -> Reaction) throws {
        terminal = try PseudoTerminal()
        self.react = react
        Thread { [self] in serve() }.start()
    }

    var path: String { terminal.slavePath }
    var events: [Event] { log.withLock { $0 } }
    var requests: [[UInt8]] { events.filter(\.isRequest).map(\.bytes) }

    func stop() {
        isStopping.store(true, ordering: .relaxed)
        ended.wait()
        terminal.close()
        close(terminal.master)
    }

    private func serve() {
        defer { ended.signal() }
        var bytes: [UInt8] = []
        var count = 0
        while !isStopping.load(ordering: .relaxed) {
            var polled = pollfd(fd: terminal.master, events: Int16(POLLIN), revents: 0)
            guard poll(&polled, 1, 20) > 0 else { continue }
            var chunk = [UInt8](repeating: 0, count: 256)
            let received = read(terminal.master, &chunk, chunk.count)
            guard received > 0 else {
                usleep(5000)
                continue
            }
            bytes += chunk[..<received]
            // Every request of these tests has 8 bytes.
            while bytes.count >= 8 {
                let request = Array(bytes[..<8])
                bytes.removeFirst(8)
                note(request, isRequest: true)
                let reaction = react(count, request)
                count += 1
                // The line goes on listening while a device is late.
                Thread { [self] in send(reaction) }.start()
            }
        }
    }

    private func send(_ reaction: Reaction) {
        for step in reaction {
            if step.after > 0 { usleep(UInt32(step.after * 1e6)) }
            guard !isStopping.load(ordering: .relaxed) else { return }
            _ = write(terminal.master, step.bytes, step.bytes.count)
            note(step.bytes, isRequest: false)
        }
    }

    private func note(_ bytes: [UInt8], isRequest: Bool) {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        let seconds = Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
        log.withLock { $0.append(Event(time: seconds, isRequest: isRequest, bytes: bytes)) }
    }
}
