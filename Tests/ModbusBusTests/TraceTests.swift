import Engine
import Model
import NIOPosix
import Testing

@testable import ModbusBus

/// What a trace line says, for each function and exception.
@Suite struct TraceTests {
    static let time = UnixTime(microseconds: 1_790_000_000_123_000)

    static func sent(_ pdu: [UInt8]) -> String {
        TraceEvent(time: time, kind: .sent, unit: 1, transaction: 17, request: pdu, raw: [0xAB, 0x0C]).text
    }

    static func answered(_ reply: [UInt8], to request: [UInt8]) -> String {
        TraceEvent(
            time: time, kind: .answered(after: .microseconds(7040)), unit: 1, request: request, reply: reply,
            raw: [0xFF]
        ).text
    }

    @Test(
        arguments: [
            ([1, 0, 5, 0, 3], "read coils 5 count 3"), ([2, 1, 0, 0, 1], "read discrete inputs 256 count 1"),
            ([3, 0, 100, 0, 2], "read holding registers 100 count 2"),
            ([4, 0xFF, 0xFF, 0, 1], "read input registers 65535 count 1"), ([5, 0, 9, 0xFF, 0], "write coil 9 = on"),
            ([5, 0, 9, 0, 0], "write coil 9 = off"), ([5, 0, 9, 0, 1], "write coil 9 = 0x0001"),
            ([6, 0, 9, 0x01, 0xF4], "write register 9 = 0x01F4"),
            ([15, 0, 9, 0, 3, 1, 0b101], "write coils 9 count 3 = 1 0 1"),
            ([16, 0, 9, 0, 2, 4, 0, 1, 0, 2], "write registers 9 count 2 = 0x0001 0x0002"), ([17], "report server id"),
            ([22, 0, 9, 0xFF, 0xF0, 0, 4], "mask write register 9 and 0xFFF0 or 0x0004"),
            ([43, 14, 1, 0], "read device identification from object 0"),
            ([3, 0], "read holding registers, malformed or unknown"),
            ([99, 1], "function 99, malformed or unknown"), ([], "empty request"),
        ] as [([UInt8], String)])
    func requestsAreWrittenInWords(pdu: [UInt8], words: String) {
        #expect(Self.sent(pdu) == "\(Self.time.rfc3339) > unit 1 tx 17 \(words) | ab 0c")
    }

    @Test(
        arguments: [
            ([1, 1, 0b101], [1, 0, 5, 0, 3], "read coils 5: 1 0 1"),
            ([2, 1, 1], [2, 0, 5, 0, 1], "read discrete inputs 5: 1"),
            ([3, 4, 0x43, 0x66, 0x80, 0], [3, 0, 100, 0, 2], "read holding registers 100: 0x4366 0x8000"),
            ([4, 2, 0, 7], [4, 0, 1, 0, 1], "read input registers 1: 0x0007"),
            ([3, 9, 1], [3, 0, 1, 0, 1], "read holding registers, malformed"),
            ([5, 0, 9, 0xFF, 0], [5, 0, 9, 0xFF, 0], "write coil 9 = on done"),
            ([6, 0, 9, 1, 0xF4], [6, 0, 9, 1, 0xF4], "write register 9 = 0x01F4 done"),
            ([15, 0, 9, 0, 3], [15, 0, 9, 0, 3, 1, 5], "write coils 9 count 3 done"),
            ([16, 0, 9, 0, 2], [16, 0, 9, 0, 2, 4, 0, 1, 0, 2], "write registers 9 count 2 done"),
            (
                [22, 0, 9, 0xFF, 0xF0, 0, 4], [22, 0, 9, 0xFF, 0xF0, 0, 4],
                "mask write register 9 and 0xFFF0 or 0x0004 done"
            ),
            ([17, 4, 1, 0xFF, 65, 66], [17], "report server id: 'AB'"),
            (
                [43, 14, 1, 1, 0xFF, 2, 2, 0, 1, 65, 1, 2, 66, 67], [43, 14, 1, 0],
                "read device identification: 0 'A', 1 'BC', more from object 2"
            ),
            ([43, 1], [43, 14, 1, 0], "read device identification, malformed"), ([], [3], "empty reply"),
        ] as [([UInt8], [UInt8], String)])
    func answersAreWrittenInWords(reply: [UInt8], request: [UInt8], words: String) {
        #expect(Self.answered(reply, to: request) == "\(Self.time.rfc3339) < unit 1 \(words) (7.0 ms) | ff")
    }

    @Test(
        arguments: [
            (1, "exception 01 illegal function"), (2, "exception 02 illegal data address"),
            (3, "exception 03 illegal data value"), (4, "exception 04 server device failure"),
            (5, "exception 05 acknowledge"),
            (6, "exception 06 server device busy"), (8, "exception 08 memory parity error"),
            (10, "exception 10 gateway path unavailable"), (11, "exception 11 gateway target failed to respond"),
            (77, "exception 77 of the device's own"),
        ] as [(UInt8, String)])
    func exceptionsAreWrittenInWords(code: UInt8, words: String) {
        let line = Self.answered([0x83, code], to: [3, 0, 1, 0, 1])
        #expect(line == "\(Self.time.rfc3339) < unit 1 \(words) to read holding registers (7.0 ms) | ff")
    }

    @Test func manyValuesAreShortenedAndRemarksStandAlone() {
        let reply: [UInt8] = [3, 40] + (0..<40).map { $0 }
        #expect(Self.answered(reply, to: [3, 0, 0, 0, 20]).contains("0x1E1F and 4 more (7.0 ms)"))
        let remark = TraceEvent(time: Self.time, kind: .remark("CRC wrong, 2 bytes"), raw: [1, 2]).text
        #expect(remark == "\(Self.time.rfc3339) ! CRC wrong, 2 bytes | 01 02")
    }

    @Test func aSlowReaderLosesTheNewestLinesAndIsToldHowMany() async {
        let tap = TraceTap()
        #expect(!tap.isOn)
        let listener = tap.listen()
        #expect(tap.isOn)
        for number in 0..<(TraceListener.limit + 25) {
            tap.tell(TraceEvent(time: Self.time, kind: .remark("\(number)")))
        }
        let first = await listener.next()
        #expect(first?.events.count == TraceListener.limit && first?.lost == 25)
        #expect(first?.events.last?.kind == .remark("\(TraceListener.limit - 1)"))
        tap.tell(TraceEvent(time: Self.time, kind: .remark("after")))
        tap.end(listener)
        #expect(await listener.next()?.lost == 0)
        #expect(await listener.next() == nil)
        #expect(!tap.isOn)
    }

    @Test func nothingIsMadeWhereNobodyListens() {
        let tap = TraceTap()
        var made = 0
        func event() -> TraceEvent {
            made += 1
            return TraceEvent(time: Self.time, kind: .sent)
        }
        tap.tell(event())
        #expect(made == 0)
    }

    /// A late reply, a stranger's and a right one, on the wire of Modbus TCP.
    @Test func whatIsDroppedOnTCPIsShown() async throws {
        let peer = try HostilePeer { number, request in
            var stranger = rightAnswer(request)
            stranger[6] = 9
            return number == 0 ? .late(rightAnswer(request), seconds: 0.25) : .send(stranger + rightAnswer(request))
        }
        defer { peer.stop() }
        let tap = TraceTap()
        let listener = tap.listen()
        let endpoint = Endpoint(host: "127.0.0.1", port: peer.port)
        let connection = Connection(name: "c", channel: .tcp(endpoint), timeout: StreamBusTests.timeout)
        let bus = StreamBus(
            connection, endpoint: endpoint, framing: .tcp, loop: StreamBusTests.loops.next(), clock: TestClock(),
            telling: BusTelling(trace: tap))
        #expect(await StreamBusTests.failure(bus, StreamBusTests.span(100)) == .noResponse)
        #expect(await StreamBusTests.words(bus, StreamBusTests.span(5), timeout: .seconds(2)) == [5, 6])
        await bus.close()
        tap.end(listener)
        var lines: [String] = []
        while let batch = await listener.next() { lines += batch.events.map(\.text) }
        let said = lines.map { $0.split(separator: " ").dropFirst().joined(separator: " ") }
        #expect(said.count == 6, "\(said)")
        #expect(said.contains("> unit 1 tx 1 read holding registers 100 count 2 | 00 01 00 00 00 06 01 03 00 64 00 02"))
        #expect(said.contains { $0.hasPrefix("! unit 1 tx 1 no answer in time") })
        #expect(said.contains { $0.hasPrefix("! unit 1 tx 1 a late reply, or one to nobody's request, was dropped |") })
        #expect(said.contains { $0.hasPrefix("! unit 9 tx 2 a reply from unit 9 instead of 1 was dropped |") })
        #expect(said.contains { $0.hasPrefix("< unit 1 tx 2 read holding registers 5: 0x0005 0x0006 (") })
    }
}
