import Engine
import Foundation
import ModbusBus
import Model
import Testing

/// Serial RTU against devices that do what bad devices and bad lines do.
@Suite(.serialized, .timeLimit(.minutes(2))) struct SerialEdgeTests {
    static let timeout = StreamBusTests.timeout

    static func bus(_ line: HostileLine, baud: Int = 115_200, pause: Duration = .zero) -> SerialBus {
        let serial = SerialLine(
            path: line.path, baud: baud, format: SerialFormat(dataBits: 8, parity: .none, stopBits: 1))
        let connection = Connection(name: "c", channel: .serial(serial), timeout: timeout, pause: pause)
        return SerialBus(connection, line: serial, clock: TestClock())
    }

    static func read(
        _ bus: any Bus, _ start: UInt16, unit: UInt8 = 1, timeout: Duration = timeout
    ) async -> Result<[UInt16], BusError> {
        do throws(BusError) {
            return .success(try await bus.read(StreamBusTests.span(start), unit: unit, timeout: timeout))
        } catch {
            return .failure(error)
        }
    }

    static func answer(_ request: [UInt8], after: Double = 0) -> HostileLine.Reaction {
        [(after, RTUOverTCPTests.answer(request))]
    }

    static func framed(_ content: [UInt8]) -> [UInt8] {
        content + RTUOverTCPTests.crc(content)
    }

    @Test func aLateReplyNeverBecomesTheAnswerToAnotherRequest() async throws {
        let line = try HostileLine { number, request in
            Self.answer(request, after: number.isMultiple(of: 4) ? 0.2 : 0)
        }
        defer { line.stop() }
        let bus = Self.bus(line)
        var good = 0
        for start in UInt16(100)..<120 {
            guard case .success(let words) = await Self.read(bus, start) else { continue }
            #expect(words == [start, start + 1])
            good += 1
        }
        #expect(good == 15)
        #expect(await bus.figures.strays >= 4, "what came late was thrown away")
        await bus.close()
    }

    @Test func aDeviceThatMissesOneReplyDoesNotCostTheOthersTheTimeOutTwice() async throws {
        let line = try HostileLine { number, request in
            request[0] == 1 && number >= 10 ? [] : Self.answer(request, after: 0.005)
        }
        defer { line.stop() }
        let bus = Self.bus(line)
        for start in UInt16(0)..<10 { _ = await Self.read(bus, start) }
        let begun = ContinuousClock.now
        #expect(await Self.read(bus, 20) == .failure(.noResponse))
        #expect(await Self.read(bus, 30, unit: 2) == .success([30, 31]))
        let elapsed = begun.duration(to: .now)
        // The time-out, one response time of silence, the other's reply.
        #expect(elapsed >= Self.timeout + .milliseconds(20) && elapsed < Self.timeout * 2, "\(elapsed)")
        await bus.close()
    }

    @Test func aUnitWhoseReplyIsOutstandingIsNotAskedAgainBeforeItCanNoLongerCome() async throws {
        let line = try HostileLine { number, request in
            number == 10 ? Self.answer(request, after: 0.14) : Self.answer(request)
        }
        defer { line.stop() }
        let bus = Self.bus(line)
        for start in UInt16(0)..<10 { _ = await Self.read(bus, start) }
        // A narrowed time-out: the reply comes long after it, but within what is configured.
        #expect(await Self.read(bus, 500, timeout: .milliseconds(30)) == .failure(.noResponse))
        #expect(await Self.read(bus, 600, timeout: .milliseconds(30)) == .success([600, 601]))
        let times = line.events.filter(\.isRequest).map(\.time)
        #expect(times[11] - times[10] >= 0.17, "\(times[11] - times[10])")
        await bus.close()
    }

    @Test func aLineThatIsNeverSilentIsWaitedForThreeTimesAtTheMost() async throws {
        let line = try HostileLine { number, _ in
            number == 0 ? Array(repeating: (0.01, [0x55]), count: 300) : []
        }
        defer { line.stop() }
        let bus = Self.bus(line)
        let begun = ContinuousClock.now
        _ = await Self.read(bus, 0)
        _ = await Self.read(bus, 1, unit: 2)
        #expect(begun.duration(to: .now) < Self.timeout * 9)
        await bus.close()
    }

    @Test(arguments: [
        "crc", "unit", "function", "count", "garbage", "silence", "half", "noise before", "broken exception",
    ])
    func aBadAnswerIsNeverAValueAndTheLineRecovers(kind: String) async throws {
        let line = try HostileLine { number, request in
            var answer = RTUOverTCPTests.answer(request)
            guard number == 0 else { return [(0, answer)] }
            switch kind {
            case "crc": answer[answer.count - 1] ^= 0x55
            case "unit": answer = Self.framed([9] + answer[1..<(answer.count - 2)])
            case "function": answer = Self.framed([answer[0], 4] + answer[2..<(answer.count - 2)])
            case "count": answer = Self.framed([answer[0], answer[1], 2, answer[3], answer[4]])
            case "garbage": answer = (0..<60).map { UInt8(truncatingIfNeeded: $0 &* 71) }
            case "half": answer = Array(answer.prefix(4))
            case "noise before": answer = [0xFF, 0x00, 0x55] + answer
            case "broken exception": answer = [1, 0x83, 2, 0, 0]
            default: return []
            }
            return [(0, answer)]
        }
        defer { line.stop() }
        let bus = Self.bus(line)
        let first = await Self.read(bus, 5)
        if kind == "noise before" {
            #expect(first == .success([5, 6]), "a right answer is found behind noise")
        } else if case .success(let words) = first {
            Issue.record("\(kind): \(words)")
        }
        var words: Result<[UInt16], BusError> = .failure(.noResponse)
        for _ in 0..<3 {
            if case .success = words { break }
            words = await Self.read(bus, 9)
        }
        #expect(words == .success([9, 10]), "\(kind)")
        await bus.close()
    }

    @Test func noiseAfterAnAnswerAndBetweenRequestsIsThrownAway() async throws {
        let line = try HostileLine { _, request in
            [(0, RTUOverTCPTests.answer(request) + [0xFF]), (0.002, [0x00, 0xFF])]
        }
        defer { line.stop() }
        let bus = Self.bus(line)
        for start in UInt16(0)..<10 {
            #expect(await Self.read(bus, start) == .success([start, start + 1]))
            // Both parts of what the device says are on the line.
            for _ in 0..<2000 where line.events.count(where: { !$0.isRequest }) < 2 * (Int(start) + 1) { usleep(1000) }
            usleep(5000)
        }
        #expect(await bus.figures.strays == 9)
        await bus.close()
    }

    @Test func aDribblingAnswerIsPutTogetherButCannotStretchTheTimeOut() async throws {
        let line = try HostileLine { number, request in
            RTUOverTCPTests.answer(request).map { (number == 0 ? 0.005 : 0.1, [$0]) }
        }
        defer { line.stop() }
        let bus = Self.bus(line)
        #expect(await Self.read(bus, 3) == .success([3, 4]))
        let begun = ContinuousClock.now
        guard case .failure = await Self.read(bus, 4) else {
            Issue.record("a second for nine bytes is too slow")
            return
        }
        #expect(begun.duration(to: .now) < Self.timeout * 4)
        await bus.close()
    }

    @Test(arguments: Array(1...11) as [UInt8])
    func exceptionsAreToldByTheirCode(code: UInt8) async throws {
        let line = try HostileLine { _, request in [(0, Self.framed([request[0], request[1] | 0x80, code]))] }
        defer { line.stop() }
        let bus = Self.bus(line)
        #expect(await Self.read(bus, 0) == .failure(.refused(code)))
        #expect(await bus.figures.sessions == 1)
        await bus.close()
    }

    @Test(arguments: [(9600, 0), (19_200, 0), (115_200, 0), (115_200, 40)])
    func theLineIsSilentBetweenAReplyAndTheNextRequest(baud: Int, pause: Int) async throws {
        let line = try HostileLine { _, request in Self.answer(request) }
        defer { line.stop() }
        let bus = Self.bus(line, baud: baud, pause: .milliseconds(pause))
        for start in UInt16(0)..<20 { _ = await Self.read(bus, start) }
        await bus.close()
        let events = line.events
        let gaps = zip(events, events.dropFirst()).filter { !$0.isRequest && $1.isRequest }.map { $1.time - $0.time }
        let required = max(baud > 19_200 ? 0.001_75 : 3.5 * 10 / Double(baud), Double(pause) / 1000)
        #expect(gaps.count == 19)
        // The responder notes its reply after the gateway may have read it already.
        #expect(gaps.allSatisfy { $0 > required - 0.000_5 }, "\(gaps.min() ?? 0) s instead of \(required) s")
    }

    // MARK: - Writes

    static func write(_ bus: any Bus, _ word: UInt16) async -> WriteFailure? {
        await WritingTests.failure(bus, .register(7, word))
    }

    @Test(arguments: ["silence", "other value", "other unit", "crc", "half", "late"])
    func aWriteWithoutItsEchoIsIndeterminateAndIsSentOnce(kind: String) async throws {
        let line = try HostileLine { number, request in
            guard number == 0 else { return [(0, request)] }
            switch kind {
            case "other value": return [(0, Self.framed(Array(request[..<5]) + [0x77]))]
            case "other unit": return [(0, Self.framed([9] + request[1..<6]))]
            case "crc": return [(0, Array(request[..<7]) + [request[7] ^ 1])]
            case "half": return [(0, Array(request[..<4]))]
            case "late": return [(0.2, request)]
            default: return []
            }
        }
        defer { line.stop() }
        let bus = Self.bus(line)
        let failure = await Self.write(bus, 0x1234)
        #expect(WritingTests.isIndeterminate(failure), "\(kind): \(String(describing: failure))")
        usleep(300_000)
        #expect(line.requests.count == 1, "never repeated")
        #expect(await Self.write(bus, 0x1235) == nil, "the line recovers")
        await bus.close()
    }

    @Test(arguments: [1, 2, 3, 4, 6, 8, 10] as [UInt8])
    func anExceptionRefusesTheWriteByItsCode(code: UInt8) async throws {
        let line = try HostileLine { _, request in [(0, Self.framed([request[0], request[1] | 0x80, code]))] }
        defer { line.stop() }
        let bus = Self.bus(line)
        #expect(await Self.write(bus, 1) == .refused(code))
        await bus.close()
    }

    @Test(arguments: [5, 11] as [UInt8])
    func aWriteThatIsNotFinishedOrWasSentOnIsIndeterminate(code: UInt8) async throws {
        let line = try HostileLine { _, request in [(0, Self.framed([request[0], request[1] | 0x80, code]))] }
        defer { line.stop() }
        let bus = Self.bus(line)
        #expect(WritingTests.isIndeterminate(await Self.write(bus, 1)))
        await bus.close()
    }
}
