import Foundation
import GatewayTesting
import Synchronization

/// A TCP server on loopback that answers each request with whatever the test says: bytes, silence, the end.
final class HostilePeer: Sendable {
    /// What to do about the n-th request (from 0) with these bytes.
    enum Reaction {
        case send([UInt8])
        case dribble([UInt8])
        case late([UInt8], seconds: Double)
        case silence
        case close
        /// Answers, and says that it will never send again.
        case halfClose([UInt8])
    }

    let port: Int
    private let listener: Int32
    private let react: @Sendable (Int, [UInt8]) -> Reaction
    private let isStopping = Atomic<Bool>(false)
    private let count = Atomic<Int>(0)
    private let clients = Atomic<Int>(0)
    private let arrivals = Mutex<[Double]>([])

    init(react: @escaping @Sendable (Int, [UInt8]) -> Reaction) throws {
        self.react = react
        let listening = LoopbackListener(backlog: 8)
        (listener, port) = (listening.descriptor, listening.port)
        Thread { [self] in
            while !isStopping.load(ordering: .relaxed) {
                let client = accept(listener, nil, nil)
                if client < 0 { return }
                Thread { [self] in serve(client) }.start()
            }
        }.start()
    }

    /// Connections that were made.
    var clientCount: Int { clients.load(ordering: .relaxed) }
    /// When each chunk of requests came, in seconds of a monotonic clock.
    var arrivalTimes: [Double] { arrivals.withLock { $0 } }
    var requestCount: Int { count.load(ordering: .relaxed) }

    func stop() {
        isStopping.store(true, ordering: .relaxed)
        shutdown(listener, Int32(SHUT_RDWR))
        close(listener)
    }

    private func serve(_ client: Int32) {
        defer { close(client) }
        clients.add(1, ordering: .relaxed)
        var chunk = [UInt8](repeating: 0, count: 512)
        while true {
            let received = recv(client, &chunk, chunk.count, 0)
            guard received > 0 else { return }
            let now = Double(DispatchTime.now().uptimeNanoseconds) / 1e9
            arrivals.withLock { $0.append(now) }
            let number = count.add(1, ordering: .relaxed).oldValue
            switch react(number, Array(chunk[..<received])) {
            case .send(let bytes): put(bytes, client)
            case .dribble(let bytes):
                for byte in bytes {
                    put([byte], client)
                    usleep(2000)
                }
            case .late(let bytes, let seconds):
                usleep(UInt32(seconds * 1e6))
                put(bytes, client)
            case .silence: break
            case .close: return
            case .halfClose(let bytes):
                put(bytes, client)
                shutdown(client, Int32(SHUT_WR))
            }
        }
    }

    private func put(_ bytes: [UInt8], _ client: Int32) {
        _ = send(client, bytes, bytes.count, Int32(MSG_NOSIGNAL))
    }
}

/// A right answer to a Modbus TCP read of holding registers: each register holds its own address.
func rightAnswer(_ request: [UInt8]) -> [UInt8] {
    let start = Int(request[8]) << 8 | Int(request[9])
    let count = Int(request[10]) << 8 | Int(request[11])
    let data = (start..<(start + count)).flatMap { [UInt8($0 >> 8 & 0xFF), UInt8($0 & 0xFF)] }
    let length = data.count + 3
    return Array(request[..<4]) + [UInt8(length >> 8), UInt8(length & 0xFF), request[6], request[7], UInt8(data.count)]
        + data
}
