import Foundation
import Model

/// Why there is no connection to a broker, in words.
struct ConnectFault: Error {
    var reason: String
}

/// The connection to a broker, plain or TLS. Belongs to one thread and never blocks it for longer than a moment.
final class BrokerSocket {
    let descriptor: Int32
    private var tls: TLSStream?

    /// How often a wait looks whether it shall stop.
    private static let slice: Int32 = 50

    private init(_ descriptor: Int32) {
        self.descriptor = descriptor
    }

    deinit {
        tls?.sayGoodbye()
        close(descriptor)
    }

    // MARK: - Connecting

    /// Connects and shakes hands, without a word of MQTT yet.
    ///
    /// - Parameters:
    ///   - limit: how long each address of the host may take, and then TLS.
    ///   - isStopping: looked at every moment.
    static func connect(
        to endpoint: Endpoint, tls: PublisherSettings.TLS?, within limit: Duration, isStopping: () -> Bool
    ) throws(ConnectFault) -> BrokerSocket {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var first: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(endpoint.host, String(endpoint.port), &hints, &first)
        guard code == 0 else { throw ConnectFault(reason: String(cString: gai_strerror(code))) }
        defer { freeaddrinfo(first) }
        var reason = "the host has no address"
        var next = first
        while let address = next?.pointee, !isStopping() {
            next = address.ai_next
            switch open(address, within: limit, isStopping) {
            case .success(let descriptor):
                let socket = BrokerSocket(descriptor)
                if let tls { try socket.secure(tls, host: endpoint.host, within: limit, isStopping) }
                return socket
            case .failure(let fault): reason = fault.reason
            }
        }
        throw ConnectFault(reason: isStopping() ? "closed" : reason)
    }

    private static func open(
        _ address: addrinfo, within limit: Duration, _ isStopping: () -> Bool
    ) -> Result<Int32, ConnectFault> {
        let flags = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        let descriptor = socket(address.ai_family, flags, address.ai_protocol)
        guard descriptor >= 0 else { return .failure(systemFault(errno)) }
        var code = Foundation.connect(descriptor, address.ai_addr, address.ai_addrlen) == 0 ? 0 : errno
        if code == EINPROGRESS {
            code = wait(descriptor, POLLOUT, within: limit, isStopping) ? pendingError(descriptor) : ETIMEDOUT
        }
        guard code == 0 else {
            close(descriptor)
            let words = code == ETIMEDOUT ? "no answer within \(limit)" : String(cString: strerror(code))
            return .failure(ConnectFault(reason: words))
        }
        var isOn: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &isOn, socklen_t(MemoryLayout<Int32>.size))
        return .success(descriptor)
    }

    private static func systemFault(_ code: Int32) -> ConnectFault {
        ConnectFault(reason: String(cString: strerror(code)))
    }

    private static func pendingError(_ descriptor: Int32) -> Int32 {
        var code: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &length)
        return code
    }

    /// - Returns: whether it is ready, in time and without a stop.
    private static func wait(
        _ descriptor: Int32, _ event: Int32, within limit: Duration, _ isStopping: () -> Bool
    ) -> Bool {
        let deadline = ContinuousClock.now + limit
        while ContinuousClock.now < deadline, !isStopping() {
            var polled = pollfd(fd: descriptor, events: Int16(event), revents: 0)
            if poll(&polled, 1, slice) > 0 { return true }
        }
        return false
    }

    private func secure(
        _ settings: PublisherSettings.TLS, host: String, within limit: Duration, _ isStopping: () -> Bool
    ) throws(ConnectFault) {
        let stream: TLSStream
        do { stream = try TLSStream(settings, host: host, descriptor: descriptor) } catch {
            throw ConnectFault(reason: error.reason)
        }
        let deadline = ContinuousClock.now + limit
        while true {
            let event: Int32
            switch stream.handshake() {
            case .done:
                tls = stream
                return
            case .failed(let reason): throw ConnectFault(reason: reason)
            case .wantsRead: event = POLLIN
            case .wantsWrite: event = POLLOUT
            }
            guard Self.wait(descriptor, event, within: deadline - .now, isStopping) else {
                throw ConnectFault(reason: "no answer to the TLS handshake within \(limit)")
            }
        }
    }

    // MARK: - Moving bytes

    func read(into buffer: UnsafeMutableRawBufferPointer) -> Transfer {
        if let tls { return tls.read(into: buffer) }
        return Self.transfer(recv(descriptor, buffer.baseAddress, buffer.count, 0), errno)
    }

    func write(_ bytes: UnsafeRawBufferPointer) -> Transfer {
        if let tls { return tls.write(bytes) }
        return Self.transfer(send(descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL)), errno)
    }

    static func transfer(_ count: Int, _ code: Int32) -> Transfer {
        if count > 0 { return .moved(count) }
        if count == 0 { return .ended("the broker closed the connection") }
        return code == EAGAIN || code == EINTR ? .blocked : .ended(String(cString: strerror(code)))
    }

    /// Whether the other side has closed the connection.
    var hasHungUp: Bool {
        var polled = pollfd(fd: descriptor, events: Self.peerClosed, revents: 0)
        return poll(&polled, 1, 0) > 0 && polled.revents & (Self.peerClosed | Int16(POLLHUP) | Int16(POLLERR)) != 0
    }

    /// POLLRDHUP, which is hidden behind a macro of GNU's.
    private static let peerClosed: Int16 = 0x2000
}
