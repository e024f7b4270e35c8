import Dispatch
import Glibc
package import NIOCore
import Synchronization

/// The addresses of a host, looked up away from the event loops: a name server that is silent holds up nobody but those
/// who ask it, and not even those for whom it has answered before.
package final class HostAddresses: Sendable {
    /// Finds the addresses of a name, in the order in which they are to be tried (RFC 6724). May block.
    package typealias Lookup = @Sendable (_ host: String, _ port: Int) throws(LookupFailure) -> [SocketAddress]

    /// Why there is no address, in words.
    package struct LookupFailure: Error, CustomStringConvertible {
        package var description: String

        package init(description: String) {
            self.description = description
        }

        fileprivate static func silence(_ host: String) -> Self {
            Self(description: "no name server says where \(host) is")
        }
    }

    private struct State {
        /// What the name server said last.
        var known: [SocketAddress] = []
        var running: EventLoopFuture<[SocketAddress]>?
    }

    private let host: String
    private let port: Int
    private let lookup: Lookup
    private let numeric: SocketAddress?
    private let state = Mutex(State())

    package init(host: String, port: Int, lookup: @escaping Lookup = HostAddresses.system) {
        self.host = host
        self.port = port
        self.lookup = lookup
        numeric = try? SocketAddress(ipAddress: host, port: port)
    }

    /// Where the host is, as far as it is known within `limit`.
    ///
    /// - Throws: ``LookupFailure`` in the future.
    package func find(on loop: any EventLoop, within limit: TimeAmount) -> EventLoopFuture<[SocketAddress]> {
        if let numeric { return loop.makeSucceededFuture([numeric]) }
        let found = loop.makePromise(of: [SocketAddress].self)
        let late = loop.scheduleTask(in: limit) { [self] in
            found.completeWith(known(or: LookupFailure.silence(host)))
        }
        running(on: loop).whenComplete { [self] result in
            late.cancel()
            switch result {
            case .success(let addresses): found.succeed(addresses)
            case .failure(let failure): found.completeWith(known(or: failure))
            }
        }
        return found.futureResult
    }

    private func known(or failure: any Error) -> Result<[SocketAddress], any Error> {
        let known = state.withLock { $0.known }
        return known.isEmpty ? .failure(failure) : .success(known)
    }

    /// The lookup that is under way, or a new one: they are not piled up before a name server that does not answer.
    private func running(on loop: any EventLoop) -> EventLoopFuture<[SocketAddress]> {
        state.withLock { state in
            if let running = state.running { return running.hop(to: loop) }
            let promise = loop.makePromise(of: [SocketAddress].self)
            state.running = promise.futureResult
            // A queue of its own, so that names which are found need not wait for one that is not.
            DispatchQueue(label: "name of \(host)").async { [self] in
                let result = Result { [self] in try lookup(host, port) }
                self.state.withLock { state in
                    if case .success(let addresses) = result { state.known = addresses }
                    state.running = nil
                }
                promise.completeWith(result)
            }
            return promise.futureResult
        }
    }

    /// Asks the system, which may take a long time.
    package static func system(_ host: String, _ port: Int) throws(LookupFailure) -> [SocketAddress] {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_protocol = Int32(IPPROTO_TCP)
        var first: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(host, String(port), &hints, &first)
        defer { if let first { freeaddrinfo(first) } }
        guard code == 0 else {
            if code == EAI_AGAIN { throw .silence(host) }
            throw LookupFailure(description: "\(host): \(String(cString: gai_strerror(code)))")
        }
        return sequence(first: first) { $0?.pointee.ai_next }.compactMap { entry in
            guard let entry, let address = entry.pointee.ai_addr else { return nil }
            return switch entry.pointee.ai_family {
            case AF_INET: SocketAddress(read(address, as: sockaddr_in.self), host: host)
            case AF_INET6: SocketAddress(read(address, as: sockaddr_in6.self), host: host)
            default: nil
            }
        }
    }

    private static func read<Address>(_ pointer: UnsafePointer<sockaddr>, as type: Address.Type) -> Address {
        UnsafeRawPointer(pointer).loadUnaligned(as: type)
    }
}
