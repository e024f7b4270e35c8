import Engine
import Foundation
import ModbusBus
import Model
import NIOCore
import NIOPosix
import Testing

/// Wall-clock time for tests with real sockets.
struct TestClock: Timekeeper {
    private let start = ContinuousClock.now
    var uptime: Duration { start.duration(to: .now) }
    var utc: UnixTime { UnixTime(microseconds: Int64(clamping: Date().timeIntervalSince1970 * 1e6)) }

    func sleep(until deadline: Duration) async throws {
        try await Task.sleep(until: start + deadline, clock: .continuous)
    }
}

@Suite(.serialized) struct StreamBusTests {
    static let loops = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    static let timeout = Duration.milliseconds(150)

    static func bus(_ port: Int, inFlight: Int = 1) -> StreamBus {
        let endpoint = Endpoint(host: "127.0.0.1", port: port)
        let connection = Connection(name: "c", channel: .tcp(endpoint), timeout: timeout, inFlight: inFlight)
        return StreamBus(connection, endpoint: endpoint, framing: .tcp, loop: loops.next(), clock: TestClock())
    }

    static func span(_ start: UInt16, _ count: Int = 2) -> RegisterSpan {
        RegisterSpan(table: .holding, start: start, registerCount: count)
    }

    /// The words of a good answer, nil for every failure.
    static func words(_ bus: StreamBus, _ span: RegisterSpan, timeout: Duration = timeout) async -> [UInt16]? {
        do throws(BusError) {
            return try await bus.read(span, unit: 1, timeout: timeout)
        } catch {
            return nil
        }
    }

    /// How a read failed, nil when it did not.
    static func failure(_ bus: StreamBus, _ span: RegisterSpan) async -> BusError? {
        do throws(BusError) {
            _ = try await bus.read(span, unit: 1, timeout: timeout)
            return nil
        } catch {
            return error
        }
    }

    /// Reads until it works: recovery by itself, within a bounded number of attempts.
    static func readUntilGood(_ bus: StreamBus, _ start: UInt16) async throws -> [UInt16] {
        for _ in 0..<40 {
            if let words = await words(bus, span(start)) { return words }
            try await Task.sleep(for: .milliseconds(100))
        }
        return []
    }

    @Test func rightAnswersAreRead() async throws {
        let peer = try HostilePeer { _, request in .send(rightAnswer(request)) }
        defer { peer.stop() }
        let bus = Self.bus(peer.port)
        #expect(await Self.words(bus, Self.span(7, 3)) == [7, 8, 9])
        await bus.close()
    }

    @Test func aLateReplyNeverBecomesTheAnswerToAnotherRequest() async throws {
        let peer = try HostilePeer { number, request in
            number == 0 ? .late(rightAnswer(request), seconds: 0.25) : .send(rightAnswer(request))
        }
        defer { peer.stop() }
        let bus = Self.bus(peer.port)
        #expect(await Self.failure(bus, Self.span(100)) == .noResponse)
        for start in UInt16(200)..<220 {
            if let words = await Self.words(bus, Self.span(start)) {
                #expect(words == [start, start + 1])
            }
        }
        #expect(await bus.figures.strays == 1)
        #expect(await bus.figures.sessions == 1)
        await bus.close()
    }

    @Test(arguments: [
        "transaction", "unit", "function", "protocol", "byteCount", "length", "garbage", "close", "silence",
    ])
    func aHostileAnswerIsNeverAValueAndTheBusRecovers(kind: String) async throws {
        let peer = try HostilePeer { number, request in
            var answer = rightAnswer(request)
            guard number == 0 else { return .send(answer) }
            switch kind {
            case "transaction": answer[1] &+= 1
            case "unit": answer[6] = 99
            case "function": answer[7] = 4
            case "protocol": answer[2] = 7
            case "byteCount": answer[8] = 2
            case "length": answer[5] = 1
            case "garbage": answer = (0..<300).map { UInt8(truncatingIfNeeded: $0 &* 37) }
            case "close": return .close
            default: return .silence
            }
            return .send(answer)
        }
        defer { peer.stop() }
        let bus = Self.bus(peer.port)
        if kind == "close" {
            #expect(await Self.words(bus, Self.span(5), timeout: .seconds(2)) == [5, 6], "read once more")
            #expect(peer.requestCount == 2)
        } else {
            #expect(await Self.failure(bus, Self.span(5)) != nil)
        }
        #expect(try await Self.readUntilGood(bus, 9) == [9, 10])
        await bus.close()
    }

    @Test func aDribblingAnswerIsPutTogether() async throws {
        let peer = try HostilePeer { _, request in .dribble(rightAnswer(request)) }
        defer { peer.stop() }
        let bus = Self.bus(peer.port)
        #expect(await Self.words(bus, Self.span(3), timeout: .seconds(2)) == [3, 4])
        await bus.close()
    }

    @Test(arguments: [1, 2, 3, 4, 5, 6, 8, 10, 11] as [UInt8])
    func exceptionsAreToldByTheirCode(code: UInt8) async throws {
        let peer = try HostilePeer { _, request in
            .send(Array(request[..<4]) + [0, 3, request[6], request[7] | 0x80, code])
        }
        defer { peer.stop() }
        let bus = Self.bus(peer.port)
        #expect(await Self.failure(bus, Self.span(0)) == .refused(code))
        await bus.close()
    }

    @Test func aRefusedConnectionIsSaidInWords() async throws {
        let peer = try HostilePeer { _, _ in .close }
        peer.stop()
        let bus = Self.bus(peer.port)
        guard case .linkDown(let words)? = await Self.failure(bus, Self.span(0)) else {
            Issue.record("nobody listens there")
            return
        }
        #expect(words.contains("Connection refused"), "\(words)")
        await bus.close()
    }

    @Test func severalRequestsAreUnderWayAtOnceAndAnswersMayComeInAnyOrder() async throws {
        let peer = try HostilePeer { _, bytes in
            // All requests of a chunk, answered last one first.
            var answers: [UInt8] = []
            for start in stride(from: 0, to: bytes.count, by: 12) {
                answers = rightAnswer(Array(bytes[start..<(start + 12)])) + answers
            }
            return .send(answers)
        }
        defer { peer.stop() }
        let bus = Self.bus(peer.port, inFlight: 16)
        _ = await Self.words(bus, Self.span(0), timeout: .seconds(1))
        for wave in 0..<12 {
            await withTaskGroup(of: Bool.self) { group in
                for start in UInt16(wave * 16)..<UInt16(wave * 16 + 16) {
                    group.addTask {
                        await Self.words(bus, Self.span(start), timeout: .seconds(1)) == [start, start + 1]
                    }
                }
                for await isRight in group { #expect(isRight) }
            }
        }
        await bus.close()
    }

    @Test func requestsThatNoFrameCanAskForAreRefusedHere() async throws {
        let bus = Self.bus(1)
        #expect(await Self.failure(bus, Self.span(0, 126)) != nil)
        #expect(await Self.failure(bus, Self.span(65_535, 2)) != nil)
    }
}
