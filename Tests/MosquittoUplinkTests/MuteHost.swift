import Foundation

/// A host on loopback that answers nobody: it accepts connections and says nothing, or swallows even the attempt, as a
/// firewall does that drops packets.
final class MuteHost {
    let port: Int
    private var sockets: [Int32]

    /// - Parameter accepts: whether connections come about.
    init(accepts: Bool) {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        sockets = [listener]
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                _ = bind(listener, $0, length)
                _ = getsockname(listener, $0, &length)
            }
        }
        port = Int(UInt16(bigEndian: address.sin_port))
        listen(listener, accepts ? 16 : 0)
        if !accepts { fillQueue(&address) }
    }

    deinit {
        for socket in sockets { close(socket) }
    }

    /// With its queue full Linux drops what else wants to connect.
    private func fillQueue(_ address: inout sockaddr_in) {
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
