import Dispatch
import Foundation
import ModbusBus
import Model
import NIOCore
import NIOPosix
import Synchronization
import Testing

/// Names of hosts, and name servers that do not answer.
@Suite(.timeLimit(.minutes(1))) struct HostAddressesTests {
    /// A name server that can be silenced.
    private final class NameServer: Sendable {
        let isSilent = Mutex(false)
        let questions = Mutex(0)
        private let release = DispatchSemaphore(value: 0)

        func answer(_ host: String, _ port: Int) throws(HostAddresses.LookupFailure) -> [SocketAddress] {
            questions.withLock { $0 += 1 }
            if isSilent.withLock({ $0 }) { release.wait() }
            guard let address = try? SocketAddress(ipAddress: "192.0.2.7", port: port) else {
                throw HostAddresses.LookupFailure(description: "not known")
            }
            return [address]
        }

        /// Lets everybody go who waits.
        func end() {
            for _ in 0..<questions.withLock({ $0 }) { release.signal() }
        }
    }

    private static let loop = MultiThreadedEventLoopGroup.singleton.next()
    private static let limit = TimeAmount.milliseconds(50)

    private static func find(_ addresses: HostAddresses) async -> Result<[SocketAddress], any Error> {
        do {
            return .success(try await addresses.find(on: loop, within: limit).get())
        } catch {
            return .failure(error)
        }
    }

    @Test func aSilentNameServerIsAskedOnceAndSaidInWords() async {
        let server = NameServer()
        defer { server.end() }
        server.isSilent.withLock { $0 = true }
        let addresses = HostAddresses(host: "plc.example", port: 502, lookup: server.answer)
        for _ in 0..<3 {
            guard case .failure(let failure) = await Self.find(addresses) else {
                Issue.record("there was no answer")
                return
            }
            #expect("\(failure)".contains("no name server says where plc.example is"))
        }
        #expect(server.questions.withLock { $0 } == 1)
    }

    @Test func whatANameServerSaidOnceHoldsWhileItIsSilent() async throws {
        let server = NameServer()
        defer { server.end() }
        let addresses = HostAddresses(host: "plc.example", port: 502, lookup: server.answer)
        let first = try await Self.find(addresses).get()
        server.isSilent.withLock { $0 = true }
        #expect(try await Self.find(addresses).get() == first)
        #expect(server.questions.withLock { $0 } == 2)
    }

    /// The event loop of a scan ends with it, and may not be used by an answer that comes later.
    @Test func whoeverGivesUpIsForgotten() async throws {
        let server = NameServer()
        defer { server.end() }
        server.isSilent.withLock { $0 = true }
        let addresses = HostAddresses(host: "plc.example", port: 502, lookup: server.answer)
        weak var asked: EventLoopFuture<[SocketAddress]>?
        do {
            let found = addresses.find(on: Self.loop, within: Self.limit)
            asked = found
            await #expect(throws: HostAddresses.LookupFailure.self) { try await found.get() }
        }
        for _ in 0..<500 where asked != nil { try await Task.sleep(for: .milliseconds(10)) }
        #expect(asked == nil)
    }

    @Test func aNumericAddressNeedsNoNameServer() async throws {
        let server = NameServer()
        for host in ["192.0.2.9", "2001:db8::1"] {
            let found = try await Self.find(HostAddresses(host: host, port: 502, lookup: server.answer)).get()
            #expect(found.map(\.ipAddress) == [host])
        }
        #expect(server.questions.withLock { $0 } == 0)
    }

    @Test func namesAreFoundBySystemMeans() throws {
        let found = try HostAddresses.system("localhost", 502)
        #expect(found.contains { $0.ipAddress == "127.0.0.1" && $0.port == 502 }, "\(found)")
        #expect(throws: HostAddresses.LookupFailure.self) { try HostAddresses.system("no.such.host.invalid", 502) }
    }

    /// Most machines know `localhost` by two addresses, and a server of ours listens at one.
    @Test func eachAddressOfAHostIsTried() async throws {
        let peer = try HostilePeer { _, request in .send(rightAnswer(request)) }
        defer { peer.stop() }
        let endpoint = Endpoint(host: "localhost", port: peer.port)
        let bus = StreamBus(
            Connection(name: "c", channel: .tcp(endpoint), timeout: .seconds(5)), endpoint: endpoint, framing: .tcp,
            loop: Self.loop, clock: TestClock())
        #expect(await StreamBusTests.words(bus, StreamBusTests.span(0), timeout: .seconds(5)) != nil)
        await bus.close()
    }
}
