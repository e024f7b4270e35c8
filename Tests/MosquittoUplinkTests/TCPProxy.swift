import Foundation
import GatewayTesting
import Synchronization

/// Stands between a client and a broker on loopback, writes down what kinds of packets the client really sends, and cuts
/// the connection as a dead process or a pulled plug would.
final class TCPProxy: Sendable {
    private struct State {
        var sockets: [Int32] = []
        var packets: [UInt8] = []
    }

    let port: Int
    private let target: Int
    private let listener: Int32
    private let state = Mutex(State())

    init(to target: Int) throws {
        self.target = target
        let listening = LoopbackListener(backlog: 8)
        (listener, port) = (listening.descriptor, listening.port)
        Thread { [self] in
            while true {
                let client = accept(listener, nil, nil)
                if client < 0 { return }
                serve(client)
            }
        }.start()
    }

    /// Packets of this type (MQTT 5, 2.1.2) that the client sent: 4 is PUBACK, 14 DISCONNECT.
    func count(of type: UInt8) -> Int {
        state.withLock { $0.packets.count { $0 >> 4 == type } }
    }

    /// Ends every connection, without a word of MQTT.
    func cut() {
        let sockets = state.withLock { state in
            defer { state.sockets = [] }
            return state.sockets
        }
        for socket in sockets { shutdown(socket, Int32(SHUT_RDWR)) }
    }

    func stop() {
        shutdown(listener, Int32(SHUT_RDWR))
        close(listener)
        cut()
    }

    private func serve(_ client: Int32) {
        let server = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = LoopbackListener.address(port: target)
        let isOpen = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(server, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
        guard isOpen else {
            close(client)
            close(server)
            return
        }
        state.withLock { $0.sockets += [client, server] }
        Thread { [self] in pump(client, server, isClient: true) }.start()
        Thread { [self] in pump(server, client, isClient: false) }.start()
    }

    private func pump(_ from: Int32, _ to: Int32, isClient: Bool) {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while case let count = recv(from, &chunk, chunk.count, 0), count > 0 {
            if isClient {
                bytes.append(contentsOf: chunk[..<count])
                let types = Self.takePackets(&bytes)
                state.withLock { $0.packets += types }
            }
            var sent = 0
            while sent < count {
                let more = chunk[sent..<count].withUnsafeBytes {
                    send(to, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
                }
                guard more > 0 else { break }
                sent += more
            }
        }
        shutdown(to, Int32(SHUT_RDWR))
    }

    /// The first bytes of all complete packets, which are removed.
    private static func takePackets(_ bytes: inout [UInt8]) -> [UInt8] {
        var types: [UInt8] = []
        while bytes.count >= 2 {
            var length = 0
            var header = 1
            while header < bytes.count {
                length |= Int(bytes[header] & 0x7F) << (7 * (header - 1))
                header += 1
                if bytes[header - 1] & 0x80 == 0 { break }
            }
            guard bytes[header - 1] & 0x80 == 0, bytes.count >= header + length else { return types }
            types.append(bytes[0])
            bytes.removeFirst(header + length)
        }
        return types
    }
}
