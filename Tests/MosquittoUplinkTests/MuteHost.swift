import Foundation
import GatewayTesting

/// A host on loopback that answers nobody: it accepts connections and says nothing, or swallows even the attempt, as a
/// firewall does that drops packets.
final class MuteHost {
    let port: Int
    private var sockets: [Int32]

    /// - Parameter accepts: whether connections come about.
    init(accepts: Bool) {
        let listening = LoopbackListener(backlog: accepts ? 16 : 0)
        sockets = [listening.descriptor]
        port = listening.port
        if !accepts { fillQueue() }
    }

    deinit {
        for socket in sockets { close(socket) }
    }

    /// With its queue full Linux drops what else wants to connect.
    private func fillQueue() {
        var address = LoopbackListener.address(port: port)
        for _ in 0..<4 {
            let client = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            _ = fcntl(client, F_SETFL, O_NONBLOCK)
            withUnsafePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    _ = connect(client, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
            sockets.append(client)
        }
    }
}
