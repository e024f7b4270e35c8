import Engine
import Foundation
import ModbusBus
import Model
import Synchronization
import Testing

/// What adapters, converters and devices do to a channel: give back what is sent, close it, leave bytes over.
@Suite(.serialized, .timeLimit(.minutes(2))) struct LineFaultTests {
    /// 20 coils from 773: the request is a valid answer to itself on RTU.
    private static let coils = RegisterSpan(table: .coil, start: 773, registerCount: 20)

    private static func read(_ bus: any Bus, _ span: RegisterSpan) async -> Result<[UInt16], BusError> {
        do throws(BusError) {
            return .success(try await bus.read(span, unit: 1, timeout: StreamBusTests.timeout))
        } catch {
            return .failure(error)
        }
    }

    @Test func theEchoOfARequestIsNoAnswer() async throws {
        // Only the adapter answers: the device is dead.
        let peer = try HostilePeer { _, request in .send(request) }
        defer { peer.stop() }
        let bus: any Bus = RTUOverTCPTests.bus(peer.port)
        #expect(await Self.read(bus, Self.coils) == .failure(.noResponse))
        #expect(await bus.remark(on: 1) == "only the local echo of the adapter came back")
        await bus.close()
    }

    @Test func answersBehindTheirEchoAreRead() async throws {
        let peer = try HostilePeer { _, request in .send(request + RTUOverTCPTests.answer(request)) }
        defer { peer.stop() }
        let bus = RTUOverTCPTests.bus(peer.port)
        for start in UInt16(0)..<5 {
            #expect(await Self.read(bus, StreamBusTests.span(start)) == .success([start, start + 1]))
        }
        #expect(await bus.channelNote?.hasPrefix("local echo of the adapter") == true)
        await bus.close()
    }

    @Test func anEchoHidesNoException() async throws {
        let peer = try HostilePeer { _, request in
            let refusal = [request[0], request[1] | 0x80, 2]
            return .send(
                request + (request[1] == 6 ? refusal + RTUOverTCPTests.crc(refusal) : RTUOverTCPTests.answer(request)))
        }
        defer { peer.stop() }
        let bus = RTUOverTCPTests.bus(peer.port)
        #expect(await Self.read(bus, StreamBusTests.span(1)) == .success([1, 2]))
        #expect(await WritingTests.failure(bus, .register(7, 5)) == .refused(2))
        #expect(peer.requestCount == 2, "written once")
        await bus.close()
    }

    @Test func onASerialLineTheEchoOfADeadUnitIsNoValue() async throws {
        let line = try HostileLine { _, request in [(0, request)] }
        defer { line.stop() }
        let bus = SerialEdgeTests.bus(line)
        #expect(await Self.read(bus, Self.coils) == .failure(.noResponse))
        await bus.close()
    }

    @Test func aDeviceThatClosesAfterEachAnswerCostsNoRead() async throws {
        let peer = try ClosingPeer()
        defer { peer.stop() }
        let bus = StreamBusTests.bus(peer.port)
        for start in UInt16(0)..<20 {
            #expect(
                await StreamBusTests.words(bus, StreamBusTests.span(start), timeout: .seconds(2)) == [start, start + 1])
        }
        await bus.close()
    }

    @Test func aWriteToAConnectionThatWasClosedGoesOutOnceOnANewOne() async throws {
        let peer = try ClosingPeer()
        defer { peer.stop() }
        let bus = StreamBusTests.bus(peer.port)
        for count in 1...10 {
            _ = await StreamBusTests.words(bus, StreamBusTests.span(0), timeout: .seconds(2))
            #expect(await WritingTests.failure(bus, .register(7, UInt16(count))) == nil)
            #expect(peer.writeCount == count)
        }
        await bus.close()
    }

    @Test func bytesLeftOverCostNoRequest() async throws {
        let peer = try HostilePeer { _, request in .send(rightAnswer(request) + [0, 0, 0]) }
        defer { peer.stop() }
        let bus = StreamBusTests.bus(peer.port)
        for start in UInt16(0)..<20 {
            #expect(await StreamBusTests.words(bus, StreamBusTests.span(start)) == [start, start + 1])
        }
        #expect(await bus.figures.sessions == 1)
        await bus.close()
    }

    @Test func aReplyOfAnotherUnitIsNamed() async throws {
        let peer = try HostilePeer { _, request in
            var answer = rightAnswer(request)
            answer[6] = 9
            return .send(answer)
        }
        defer { peer.stop() }
        let bus = StreamBusTests.bus(peer.port)
        #expect(
            await StreamBusTests.failure(bus, StreamBusTests.span(5)) == .garbled("a reply from unit 9 instead of 1"))
        await bus.close()
    }
}

/// A device that answers one request on each connection and closes it.
private final class ClosingPeer: Sendable {
    private let peer: HostilePeer
    private let writes: Writes

    private final class Writes: Sendable {
        let count = Mutex(0)
    }

    init() throws {
        let writes = Writes()
        self.writes = writes
        peer = try HostilePeer { _, request in
            guard request[7] == 6 else { return .halfClose(rightAnswer(request)) }
            writes.count.withLock { $0 += 1 }
            return .halfClose(request)
        }
    }

    var port: Int { peer.port }
    var writeCount: Int { writes.count.withLock { $0 } }
    func stop() { peer.stop() }
}
