import GatewayTesting
import Model
import MosquittoUplink
import Testing

/// What a broker sends is checked before the C library reads it.
@Suite struct BrokerFramesTests {
    typealias Version = PublisherSettings.ProtocolVersion

    static let accepted: [Version: [UInt8]] = [.v5: [0x20, 3, 0, 0, 0], .v311: [0x20, 2, 0, 0]]

    /// All packets of a stream, or why it ended.
    static func packets(
        _ stream: [UInt8], _ version: Version = .v5, limit: Int = 1000, pieces: Int = 1 << 20
    ) throws -> [BrokerFrames.Frame] {
        var frames = BrokerFrames(version: version, payloadLimit: limit)
        var packets: [BrokerFrames.Frame] = []
        var rest = stream[...]
        while !rest.isEmpty {
            frames.append(rest.prefix(pieces))
            rest = rest.dropFirst(pieces)
            while let packet = try frames.next() { packets.append(packet) }
        }
        return packets
    }

    static func connected(_ more: [UInt8], _ version: Version = .v5) -> [UInt8] {
        (accepted[version] ?? []) + more
    }

    /// Each of these ends a process with libmosquitto 2.0.11, or has it read what is not there.
    @Test(
        arguments: [
            [0x20, 5, 0, 0, 2, 0x7F, 0], [0x20, 3, 0, 0, 0, 0x30, 7, 0, 1, 0x61, 2, 0x7F, 0, 0x62],
            [0x20, 3, 0, 0, 0, 0x40, 6, 0, 1, 0, 2, 0x7F, 0], [0x20, 3, 0, 0, 0, 0xE0, 4, 0, 2, 0x7F, 0],
            [0x20, 3, 0, 0, 0, 0x90, 6, 0, 1, 2, 0x7F, 0, 0], [0x20, 3, 0, 0, 0, 0xB0, 5, 0, 1, 2, 0x7F, 0],
            // A SUBACK without a code.
            [0x20, 3, 0, 0, 0, 0x90, 3, 0, 1, 0],
            // A property of another packet: topic alias maximum in a PUBACK.
            [0x20, 3, 0, 0, 0, 0x40, 7, 0, 1, 0, 3, 0x22, 0, 1],
        ] as [[UInt8]])
    func propertiesThatThePacketCannotHaveEndTheSession(stream: [UInt8]) {
        #expect(throws: FrameFault.self) { try Self.packets(stream) }
    }

    @Test(
        arguments: [
            [0x40, 2, 0, 1], [0x20, 3, 0, 0, 0, 0x20, 3, 0, 0, 0], [0x20, 3, 0, 0, 0, 0x34, 6, 0, 1, 0x61, 0, 1, 0],
            [0x20, 3, 0, 0, 0, 0x10, 2, 0, 0], [0x20, 3, 0, 0, 0, 0x62, 2, 0, 1], [0x20, 3, 0, 0, 0, 0xF0, 0],
            [0x20, 3, 0, 0, 0, 0x50, 2, 0, 1], [0x20, 3, 0, 0, 0, 0xD0, 1, 0], [0x20, 3, 0, 0, 0, 0x40, 2, 0, 0],
            [0x20, 3, 0, 0, 0, 0x40, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F], [0x20, 6, 0, 0, 3, 0x21, 0, 0],
            [0x20, 9, 0, 0, 6, 0x21, 0, 1, 0x21, 0, 1], [0x00, 0], [0x48, 2, 0, 1],
        ] as [[UInt8]])
    func packetsThatABrokerMayNotSendEndTheSession(stream: [UInt8]) {
        #expect(throws: FrameFault.self) { try Self.packets(stream) }
    }

    @Test func aPacketThatAnnouncesTooMuchEndsTheSessionBeforeItComes() {
        #expect(throws: FrameFault.self) { try Self.packets(Self.connected([0x90, 0x80, 0xE5, 0x9A, 0x77])) }
    }

    @Test(arguments: [1, 2, 3, 7, 1 << 20])
    func whatIsValidIsPassedOnAsItCame(pieces: Int) throws {
        let property: [UInt8] = [0x26, 0, 1, 0x61, 0, 1, 0x62]
        let packets: [[UInt8]] = [
            [0x20, 13, 1, 0, 10, 0x27, 0, 0, 4, 0, 0x21, 0, 20, 0x2A, 1], [0x40, 2, 0, 1], [0x40, 3, 0, 2, 0x10],
            [0x40, 11, 0, 3, 0x97, 7] + property, [0x90, 4, 0, 1, 0, 1], [0xB0, 4, 0, 1, 0, 0], [0xD0, 0],
            [0x32, 10, 0, 3, 0x61, 0x2F, 0x62, 0, 9, 0, 0x68, 0x69], [0x30, 13, 0, 1, 0x61, 8] + property + [0x01, 1],
            [0xE0, 0],
        ]
        var sent = packets
        sent[8] = [0x30, 13, 0, 1, 0x61, 9] + property + [0x01, 1]
        let received = try Self.packets(sent.flatMap { $0 }, pieces: pieces)
        #expect(received.map(\.bytes) == sent)
        #expect(received.compactMap(\.payloadByteCount) == [2, 0])
    }

    @Test(arguments: [Version.v5, .v311], [1, 100, 1 << 20])
    func aPayloadAboveTheLimitIsDroppedAndCounted(version: Version, pieces: Int) throws {
        let head: [UInt8] = [0, 1, 0x61, 0, 7] + (version == .v5 ? [0] : [])
        let count = 5000
        let length = head.count + count
        let header = [0x32, UInt8(length & 0x7F | 0x80), UInt8(length >> 7)]
        let packet = header + head + [UInt8](repeating: 7, count: count)
        let received = try Self.packets(Self.connected(packet + [0x40, 2, 0, 1], version), version, pieces: pieces)
        #expect(received.map(\.payloadByteCount) == [nil, count, nil])
        #expect(received[1].bytes == [0x32, UInt8(head.count)] + head)
        #expect(received[2].bytes == [0x40, 2, 0, 1])
    }

    /// The library would end each session that such a message is delivered to, and the broker would deliver it again.
    @Test(
        arguments: [
            Array("a\u{1}".utf8), Array("a/+".utf8), [0xFF, 0x61], Array(String(repeating: "/", count: 300).utf8),
        ] as [[UInt8]])
    func aTopicThatTheLibraryDoesNotTakeIsPassedOnWithoutItsName(topic: [UInt8]) throws {
        let length = 2 + topic.count + 2 + 1 + 1
        let header: [UInt8] = length < 128 ? [UInt8(length)] : [UInt8(length & 0x7F | 0x80), UInt8(length >> 7)]
        let name = [UInt8(topic.count >> 8), UInt8(topic.count & 0xFF)] + topic
        let packet: [UInt8] = [0x32] + header + name + [0, 5, 0, 0x78]
        let received = try Self.packets(Self.connected(packet))
        #expect(received.last?.bytes == [0x32, 6, 0, 1, UInt8(ascii: "?"), 0, 5, 0])
        #expect(received.last?.payloadByteCount == 1)
    }

    @Test func aBrokerThatOnlyKnowsTheOlderVersionIsNamed() {
        let fault = #expect(throws: FrameFault.self) { try Self.packets([0x20, 2, 0, 1]) }
        #expect(fault?.reason.contains("version: 3.1.1") == true)
    }

    /// A million streams in `make fuzz`. What is passed on must be whole packets of known types, and memory stays bounded.
    @Test(arguments: [Version.v5, .v311])
    func mutatedStreamsNeverPassOnMoreThanWholePackets(version: Version) throws {
        var streams = MutatedStreams(version: version)
        for _ in 0..<MutatedStreams.count / 2 {
            let stream = streams.next()
            var frames = BrokerFrames(version: version, payloadLimit: 512)
            var passed = 0
            do {
                for piece in stream.chunked(by: 1 + Int(streams.random.next() % 97)) {
                    frames.append(piece)
                    while let frame = try frames.next() {
                        passed += frame.bytes.count
                        #expect(frame.bytes.count <= 512 + 200_000 && frame.bytes.count >= 2)
                    }
                    #expect(frames.waitingByteCount <= 200_000)
                }
            } catch {}
            #expect(passed <= stream.count + 64)
        }
    }
}

extension Array {
    func chunked(by size: Int) -> [ArraySlice<Element>] {
        stride(from: 0, to: count, by: size).map { self[$0..<Swift.min($0 + size, count)] }
    }
}
