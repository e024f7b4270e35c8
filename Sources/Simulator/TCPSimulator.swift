import CModbus
import Foundation
import Synchronization

/// Serves units over Modbus TCP, through libmodbus, to several masters at once.
package final class TCPSimulator: SimulatorServer {
    package let faults = FaultPlan()
    package let host: String
    /// The port that it listens on: the one asked for, or the one that the system chose.
    package let port: Int
    private let listener: Int32
    private let responder: Responder
    private let isStopping = Atomic<Bool>(false)
    private let ended = DispatchSemaphore(value: 0)

    /// Masters beyond this are closed at once.
    private static let clientLimit = 64
    /// Bytes of a Modbus TCP frame before the PDU.
    private static let headerLength = 7
    /// How long the rest of a request may take: a half request holds up the others no longer.
    private static let byteTimeout: UInt32 = 50_000

    /// - Parameter port: 0 for any free one.
    package init(host: String = "127.0.0.1", port: Int, units: [UInt8: SimulatedUnit]) throws {
        guard let context = modbus_new_tcp(host, Int32(port)) else {
            throw SimulatorError("\(host):\(port) is not an IPv4 address and port to listen on; 127.0.0.1:1502 is one")
        }
        listener = modbus_tcp_listen(context, 16)
        modbus_free(context)
        guard listener >= 0 else {
            throw SimulatorError(
                "cannot listen on \(host):\(port): \(String(cString: strerror(errno))); choose another port")
        }
        self.host = host
        self.port = boundPort(of: listener)
        responder = Responder(units: units, faults: faults)
        let thread = Thread { [self] in serve() }
        thread.name = "simulator-tcp"
        thread.start()
    }

    package func stop() {
        guard !isStopping.exchange(true, ordering: .relaxed) else { return }
        ended.wait()
    }

    private func serve() {
        defer { ended.signal() }
        var clients: [Int32] = []
        guard let context = modbus_new_tcp(host, Int32(port)) else { return }
        modbus_set_byte_timeout(context, 0, Self.byteTimeout)
        modbus_set_indication_timeout(context, 0, Self.byteTimeout)
        defer {
            for client in clients + [listener] { close(client) }
            modbus_free(context)
        }
        while !isStopping.load(ordering: .relaxed) {
            var polled = (clients + [listener]).map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
            guard poll(&polled, nfds_t(polled.count), 50) > 0 else { continue }
            for entry in polled where entry.revents != 0 {
                if entry.fd == listener {
                    accept(into: &clients)
                } else if !answer(entry.fd, context) {
                    close(entry.fd)
                    clients.removeAll { $0 == entry.fd }
                }
            }
        }
    }

    private func accept(into clients: inout [Int32]) {
        let client = Glibc.accept(listener, nil, nil)
        guard client >= 0 else { return }
        guard clients.count < Self.clientLimit else {
            close(client)
            return
        }
        var on: Int32 = 1
        setsockopt(client, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
        clients.append(client)
    }

    /// - Returns: whether the connection stays open.
    private func answer(_ client: Int32, _ context: OpaquePointer) -> Bool {
        modbus_set_socket(context, client)
        var request = [UInt8](repeating: 0, count: Int(MODBUS_TCP_MAX_ADU_LENGTH))
        let length = modbus_receive(context, &request)
        guard length > Self.headerLength else { return length == 0 }
        let whole = Array(request[..<Int(length)]) + rest(of: request, after: Int(length), client)
        let outcome = responder.answer(
            whole, header: Self.headerLength, context: context, unknownUnitIsSilent: false)
        switch outcome {
        case .answered, .silent: return true
        case .dropped: return false
        }
    }
}

extension TCPSimulator {
    /// Of a function that it does not know, libmodbus takes no more than the code, and leaves what follows to be taken for the
    /// next request.
    private func rest(of request: [UInt8], after length: Int, _ client: Int32) -> [UInt8] {
        let missing = 6 + (Int(request[4]) << 8 | Int(request[5])) - length
        guard (1...250).contains(missing) else { return [] }
        var bytes = [UInt8](repeating: 0, count: missing)
        let count = recv(client, &bytes, missing, Int32(MSG_DONTWAIT))
        return Array(bytes.prefix(max(0, count)))
    }
}

/// The port that a listening IPv4 socket is bound to.
private func boundPort(of socket: Int32) -> Int {
    var address = sockaddr_in()
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    _ = withUnsafeMutablePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(socket, $0, &length) }
    }
    return Int(UInt16(bigEndian: address.sin_port))
}
