import Engine
import Foundation
import ModbusBus
import Model
import NIOCore
import NIOPosix
import Testing

/// RTU over TCP against a peer that does what a bad line does.
@Suite(.serialized) struct RTUOverTCPTests {
    static func crc(_ bytes: [UInt8]) -> [UInt8] {
        var crc: UInt16 = 0xFFFF
        for byte in bytes {
            crc ^= UInt16(byte)
            for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0xA001 : crc >> 1 }
        }
        return [UInt8(crc & 0xFF), UInt8(crc >> 8)]
    }

    /// A right RTU answer: each register holds its own address.
    static func answer(_ request: [UInt8]) -> [UInt8] {
        let start = Int(request[2]) << 8 | Int(request[3])
        let count = Int(request[4]) << 8 | Int(request[5])
        let data = (start..<(start + count)).flatMap { [UInt8($0 >> 8 & 0xFF), UInt8($0 & 0xFF)] }
        let content = [request[0], request[1], UInt8(data.count)] + data
        return content + crc(content)
    }

    static func bus(_ port: Int) -> StreamBus {
        let endpoint = Endpoint(host: "127.0.0.1", port: port)
        let connection = Connection(name: "c", channel: .rtuOverTCP(endpoint), timeout: StreamBusTests.timeout)
        return StreamBus(
            connection, endpoint: endpoint, framing: .rtu, loop: StreamBusTests.loops.next(), clock: TestClock())
    }

    @Test func rightAnswersAreReadAlsoAfterNoise() async throws {
        let peer = try HostilePeer { number, request in
            .send((number == 0 ? [] : [0xFF, 0x00, 0x01]) + Self.answer(request))
        }
        defer { peer.stop() }
        let bus = Self.bus(peer.port)
        #expect(await StreamBusTests.words(bus, StreamBusTests.span(7, 3)) == [7, 8, 9])
        #expect(await StreamBusTests.words(bus, StreamBusTests.span(300)) == [300, 301])
        await bus.close()
    }

    @Test(arguments: ["crc", "unit", "function", "count", "garbage", "silence", "close"])
    func aBadAnswerIsNeverAValueAndTheLineRecovers(kind: String) async throws {
        let peer = try HostilePeer { number, request in
            var answer = Self.answer(request)
            guard number == 0 else { return .send(answer) }
            switch kind {
            case "crc": answer[answer.count - 1] ^= 0x55
            case "unit":
                let content = [9] + answer[1..<(answer.count - 2)]
                answer = content + Self.crc(content)
            case "function":
                let content = [answer[0], 4] + answer[2..<(answer.count - 2)]
                answer = content + Self.crc(content)
            case "count":
                let content = [answer[0], answer[1], 2, answer[3], answer[4]]
                answer = content + Self.crc(content)
            case "garbage": answer = (0..<60).map { UInt8(truncatingIfNeeded: $0 &* 71) }
            case "silence": return .silence
            default: return .close
            }
            return .send(answer)
        }
        defer { peer.stop() }
        let bus = Self.bus(peer.port)
        if kind == "close" {
            #expect(await StreamBusTests.words(bus, StreamBusTests.span(5), timeout: .seconds(2)) == [5, 6])
            #expect(peer.requestCount == 2)
        } else {
            #expect(await StreamBusTests.failure(bus, StreamBusTests.span(5)) != nil)
        }
        #expect(try await StreamBusTests.readUntilGood(bus, 9) == [9, 10])
        await bus.close()
    }

    @Test func aLateReplyIsGoneBeforeTheNextRequest() async throws {
        let peer = try HostilePeer { number, request in
            number == 0 ? .late(Self.answer(request), seconds: 0.2) : .send(Self.answer(request))
        }
        defer { peer.stop() }
        let bus = Self.bus(peer.port)
        #expect(await StreamBusTests.failure(bus, StreamBusTests.span(100)) != nil)
        for start in UInt16(200)..<210 {
            if let words = await StreamBusTests.words(bus, StreamBusTests.span(start)) {
                #expect(words == [start, start + 1])
            }
        }
        await bus.close()
    }
}
