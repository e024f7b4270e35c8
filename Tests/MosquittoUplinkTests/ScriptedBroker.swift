import Foundation
import GatewayTesting
import Synchronization

/// A peer on loopback that answers each connection with the bytes that a test gives, whatever the client sends, and ends it.
final class ScriptedBroker: Sendable {
    typealias Script = @Sendable (_ connection: Int, _ socket: Int32) -> Void

    let port: Int
    private let listener: Int32
    private let accepted = Mutex(0)

    /// - Parameter script: what happens on a connection, in order of their coming; the connection ends with it.
    init(_ script: @escaping Script) {
        let listening = LoopbackListener(backlog: 16)
        (listener, port) = (listening.descriptor, listening.port)
        Thread { [self] in
            while case let client = accept(listener, nil, nil), client >= 0 {
                let number = accepted.withLock { count in
                    defer { count += 1 }
                    return count
                }
                script(number, client)
                close(client)
            }
        }.start()
    }

    /// Connections until now.
    var count: Int { accepted.withLock { $0 } }

    func stop() {
        shutdown(listener, Int32(SHUT_RDWR))
        close(listener)
    }

    /// Reads what the client sends until it has sent something, at most two seconds.
    static func awaitBytes(_ socket: Int32) {
        var polled = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
        guard poll(&polled, 1, 2000) > 0 else { return }
        var bytes = [UInt8](repeating: 0, count: 65_536)
        _ = recv(socket, &bytes, bytes.count, 0)
    }

    static func send(_ bytes: [UInt8], to socket: Int32) {
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes {
                Foundation.send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return }
            sent += count
        }
    }

    /// Waits until the client has closed, at most so many milliseconds.
    static func awaitEnd(_ socket: Int32, _ milliseconds: Int32 = 2000) {
        var bytes = [UInt8](repeating: 0, count: 65_536)
        var polled = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
        while poll(&polled, 1, milliseconds) > 0, recv(socket, &bytes, bytes.count, 0) > 0 {}
    }
}
