import Glibc

/// Asks a running gateway over its local socket, and waits for the answer.
package struct ControlClient: Sendable {
    private let path: String

    package init(stateFolder: String) {
        path = stateFolder + "/" + ControlProtocol.socketName
    }

    /// - Returns: the JSON line; nil when no gateway runs there.
    package func ask(_ request: String, timeout: Duration = .seconds(15)) -> String? {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0, connect(descriptor) else { return nil }
        defer { close(descriptor) }
        var limit = timeval(tv_sec: Int(timeout.components.seconds), tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        let line = request + "\n"
        guard send(descriptor, line, line.utf8.count, Int32(MSG_NOSIGNAL)) == line.utf8.count else { return nil }
        var reply: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while reply.last != UInt8(ascii: "\n") {
            let count = recv(descriptor, &chunk, chunk.count, 0)
            guard count > 0 else { return nil }
            reply += chunk[..<count]
        }
        return String(decoding: reply.dropLast(), as: UTF8.self)
    }

    /// How a request that is answered by many lines ended.
    package enum End: Hashable, Sendable {
        case noGateway
        /// `each` wanted no more.
        case done
        /// The gateway went away.
        case lost
    }

    /// Asks, and hands on each line that comes until `each` returns false.
    package func follow(_ request: String, each: (String) -> Bool) -> End {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { return .noGateway }
        defer { close(descriptor) }
        guard connect(descriptor) else { return .noGateway }
        let line = request + "\n"
        guard send(descriptor, line, line.utf8.count, Int32(MSG_NOSIGNAL)) == line.utf8.count else { return .noGateway }
        var rest: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = recv(descriptor, &chunk, chunk.count, 0)
            guard count > 0 else { return .lost }
            rest += chunk[..<count]
            while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
                let text = String(decoding: rest[..<end], as: UTF8.self)
                rest.removeFirst(end + 1)
                if !each(text) { return .done }
            }
        }
    }

    private func connect(_ descriptor: Int32) -> Bool {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else { return false }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
            }
        }
    }
}
