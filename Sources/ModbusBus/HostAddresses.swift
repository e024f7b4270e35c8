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
        var isAsked = false
        /// Who waits for the lookup that is under way. Whoever gives up is not told afterwards: its event loop may be gone.
        var waiting: [Int: EventLoopPromise<[SocketAddress]>] = [:]
        var number = 0
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
        let (number, isAsked) = state.withLock { state in
            state.number += 1
            state.waiting[state.number] = found
            defer { state.isAsked = true }
            return (state.number, state.isAsked)
        }
        let late = loop.scheduleTask(in: limit) { [self] in
            guard let found = state.withLock({ $0.waiting.removeValue(forKey: number) }) else { return }
            found.completeWith(known(or: LookupFailure.silence(host)))
        }
        found.futureResult.whenComplete { _ in late.cancel() }
        // Lookups are not piled up before a name server that does not answer.
        if !isAsked { ask() }
        return found.futureResult
    }

    private func known(or failure: any Error) -> Result<[SocketAddress], any Error> {
        let known = state.withLock { $0.known }
        return known.isEmpty ? .failure(failure) : .success(known)
    }

    private func ask() {
        // A queue of its own, so that names which are found need not wait for one that is not.
        DispatchQueue(label: "name of \(host)").async { [self] in
            let result = Result { [self] in try lookup(host, port) }
            let waiting = state.withLock { state in
                if case .success(let addresses) = result { state.known = addresses }
                defer { (state.isAsked, state.waiting) = (false, [:]) }
                return state.waiting.values
            }
            let told = result.flatMapError { known(or: $0) }
            for found in waiting { found.completeWith(told) }
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
