import Foundation
import Model

/// Between a broker and the library: the library reads and writes one end of a pair of sockets, this moves what comes to the
/// broker's connection and back, and checks what the broker says before the library sees it. Belongs to the network thread.
final class BrokerLine {
    private let socket: BrokerSocket
    /// Our end of the pair; the library owns the other one.
    private let end: Int32
    private var frames: BrokerFrames
    /// What the library wrote and the broker has not taken.
    private var outbound: [UInt8] = []
    private var outboundStart = 0
    /// Checked packets that the library's end had no room for.
    private var inbound: [UInt8] = []
    private var mayHaveMore = false
    /// Whether packets are here that wait until messages before them are settled.
    private var isHeldBack = false
    /// Bytes that the broker sent.
    private(set) var received: UInt64 = 0

    private static let chunk = 65_536

    init(_ socket: BrokerSocket, end: Int32, frames: BrokerFrames) {
        self.socket = socket
        self.end = end
        self.frames = frames
    }

    deinit {
        close(end)
    }

    var hasHungUp: Bool { socket.hasHungUp }

    /// Whether the broker has not taken all that the library wrote.
    var isBlocked: Bool { outboundStart < outbound.count }

    /// Waits until the broker or this process has something to say.
    ///
    /// - Returns: whether `wake` is what woke it.
    func wait(wake: Int32, atMost milliseconds: Int32) -> Bool {
        var events = frames.waitingByteCount < Self.chunk ? Int16(POLLIN) : 0
        if isBlocked { events |= Int16(POLLOUT) }
        var polled = [
            pollfd(fd: socket.descriptor, events: events, revents: 0),
            pollfd(fd: wake, events: Int16(POLLIN), revents: 0),
        ]
        poll(&polled, 2, mayHaveMore || isHeldBack ? 0 : milliseconds)
        if polled[0].revents & Int16(POLLIN | POLLHUP | POLLERR) != 0 { mayHaveMore = true }
        return polled[1].revents != 0
    }

    // MARK: - From the broker

    /// Reads what the broker sent, a bounded amount.
    ///
    /// - Returns: why the connection is over, nil while it is not.
    func receive() -> String? {
        guard mayHaveMore, frames.waitingByteCount < Self.chunk else { return nil }
        let transfer = withUnsafeTemporaryAllocation(byteCount: Self.chunk, alignment: 16) { buffer in
            let transfer = socket.read(into: buffer)
            if case .moved(let count) = transfer { frames.append(UnsafeRawBufferPointer(rebasing: buffer[..<count])) }
            return transfer
        }
        switch transfer {
        case .moved(let count):
            received += UInt64(count)
            mayHaveMore = count == Self.chunk
            return nil
        case .blocked:
            mayHaveMore = false
            return nil
        case .ended(let reason): return reason
        }
    }

    /// Hands checked packets to the library's end, with at most so many messages among them.
    ///
    /// - Returns: bytes of the payloads as the broker sent them, and whether there is anything for the library to read.
    func deliver(messages limit: Int) throws(FrameFault) -> (payloadByteCounts: [Int], isAny: Bool) {
        var counts: [Int] = []
        if inbound.isEmpty {
            while inbound.count < Self.chunk, counts.count < limit, let frame = try frames.next() {
                inbound += frame.bytes
                if let count = frame.payloadByteCount { counts.append(count) }
            }
            isHeldBack = frames.waitingByteCount > 0 && (counts.count == limit || inbound.count >= Self.chunk)
        }
        guard !inbound.isEmpty else { return (counts, false) }
        let count = inbound.withUnsafeBytes {
            send(end, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL | MSG_DONTWAIT))
        }
        if count > 0 { inbound.removeFirst(count) }
        return (counts, count > 0)
    }

    // MARK: - To the broker

    /// Moves what the library wrote.
    ///
    /// - Returns: why the connection is over, nil while it is not; and whether the broker took all of it.
    func forward() -> (ended: String?, isEmpty: Bool) {
        while true {
            if outboundStart == outbound.count, !collect() { return (nil, true) }
            let transfer = outbound.withUnsafeBytes {
                socket.write(UnsafeRawBufferPointer(rebasing: $0[outboundStart...]))
            }
            switch transfer {
            case .moved(let count):
                outboundStart += count
            case .blocked: return (nil, false)
            case .ended(let reason): return (reason, false)
            }
        }
    }

    /// Ends the session in order (MQTT 5, 3.14) without what the library still holds, so that the broker keeps what is not
    /// acknowledged and does not publish the will. Not possible in the middle of a packet.
    func sayGoodbye() {
        guard !isBlocked, !collect() else { return }
        let packet: [UInt8] = [0xE0, 0]
        packet.withUnsafeBytes { _ = socket.write($0) }
    }

    /// - Returns: whether the library wrote anything.
    private func collect() -> Bool {
        outboundStart = 0
        outbound = withUnsafeTemporaryAllocation(byteCount: Self.chunk, alignment: 16) { buffer in
            let count = recv(end, buffer.baseAddress, buffer.count, Int32(MSG_DONTWAIT))
            return count > 0 ? Array(buffer[..<count]) : []
        }
        return !outbound.isEmpty
    }
}

extension BrokerLine {
    /// A pair of sockets of which the library gets one end: it insists on connecting by itself, so it connects to a listener
    /// of ours on loopback, and its descriptor is exchanged before anything is written to it.
    struct Exchange {
        let port: Int32
        private let listener: Int32

        init?() {
            listener = Foundation.socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
            var length = socklen_t(MemoryLayout<sockaddr_in>.size)
            let bound = listener
            let isBound = withUnsafeMutablePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    bind(bound, $0, length) == 0 && listen(bound, 1) == 0 && getsockname(bound, $0, &length) == 0
                }
            }
            port = Int32(UInt16(bigEndian: address.sin_port))
            guard listener >= 0, isBound else {
                if listener >= 0 { close(listener) }
                return nil
            }
        }

        /// - Parameter descriptor: the library's, connected to ``port``.
        /// - Returns: our end; nil where there are no descriptors left.
        func finish(_ descriptor: Int32) -> Int32? {
            var ends: [Int32] = [-1, -1]
            let type = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
            guard descriptor >= 0, socketpair(AF_UNIX, type, 0, &ends) == 0 else { return nil }
            defer { close(ends[1]) }
            guard dup2(ends[1], descriptor) == descriptor else {
                close(ends[0])
                return nil
            }
            _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
            return ends[0]
        }

        func end() {
            close(listener)
        }
    }
}
