import Engine
import Foundation
import Gateway
import Model
import MosquittoUplink
import Testing

/// Brokers that send what no broker should, to the real client with the real library.
@Suite(.serialized, .timeLimit(.minutes(30))) struct HostileBrokerTests {
    typealias Version = PublisherSettings.ProtocolVersion

    /// One connection after the other is answered with a stream; each must end, and the process must not.
    @Test(arguments: [Version.v5, .v311])
    func mutatedStreamsFromABrokerEndSessionsAndNothingElse(version: Version) async throws {
        let count = MutatedStreams.count / 40
        let (done, finish) = AsyncStream.makeStream(of: Void.self)
        let broker = ScriptedBroker { number, socket in
            var streams = MutatedStreams(version: version, seed: UInt64(number))
            ScriptedBroker.awaitBytes(socket)
            ScriptedBroker.send(streams.next(), to: socket)
            shutdown(socket, Int32(SHUT_WR))
            ScriptedBroker.awaitEnd(socket)
            if number == count { finish.finish() }
        }
        defer { broker.stop() }
        let before = Self.residentByteCount
        let uplink = try MosquittoUplink(
            settings: UplinkTests.settings(broker.port, version: version).forCommands, will: UplinkTests.will,
            intake: IntakeSettings(holdTime: .milliseconds(20)), reconnect: 0.0001...0.0002)
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                while let messages = await uplink.nextMessages() {
                    for message in messages { uplink.acknowledge(message.receipt) }
                }
            }
            group.addTask { while let events = await uplink.nextEvents(), !events.isEmpty {} }
            for await _ in done {}
            await uplink.close()
        }
        #expect(broker.count > count)
        #expect(Self.residentByteCount - before < 64 << 20)
    }

    @Test(
        arguments: [
            [0x20, 5, 0, 0, 2, 0x7F, 0], [0x20, 3, 0, 0, 0, 0x90, 0x80, 0xE5, 0x9A, 0x77],
            [0x20, 3, 0, 0, 0, 0xE0, 4, 0, 2, 0x7F, 0],
        ] as [[UInt8]])
    func theSessionEndsInWords(stream: [UInt8]) async throws {
        let broker = ScriptedBroker { _, socket in
            ScriptedBroker.awaitBytes(socket)
            ScriptedBroker.send(stream, to: socket)
            ScriptedBroker.awaitEnd(socket)
        }
        defer { broker.stop() }
        let uplink = try MosquittoUplink(settings: UplinkTests.settings(broker.port), will: nil)
        guard
            case .disconnected(let reason)? = await UplinkTests.wait(
                uplink, until: { if case .disconnected = $0 { true } else { false } })
        else {
            Issue.record("the session goes on")
            return
        }
        #expect(reason.contains("the broker"), "\(reason)")
        await uplink.close()
    }

    /// A message that announces 250 MB is dropped as it comes: acknowledged, refused by name, and never in memory.
    @Test(arguments: [Version.v5, .v311])
    func aHugeMessageIsNeverInMemory(version: Version) async throws {
        let byteCount = 250_000_000
        let broker = ScriptedBroker { _, socket in
            ScriptedBroker.awaitBytes(socket)
            let head: [UInt8] = [0, 1, 0x61, 0, 7] + (version == .v5 ? [0] : [])
            let length = byteCount + head.count
            var header: [UInt8] = [0x32]
            for index in 0..<4 { header.append(UInt8(length >> (7 * index) & 0x7F) | (index < 3 ? 0x80 : 0)) }
            ScriptedBroker.send(BrokerFramesTests.connected(header + head, version), to: socket)
            let block = [UInt8](repeating: 0x41, count: 1_000_000)
            for _ in 0..<250 { ScriptedBroker.send(block, to: socket) }
            ScriptedBroker.awaitEnd(socket)
        }
        defer { broker.stop() }
        let before = Self.residentByteCount
        let uplink = try MosquittoUplink(
            settings: UplinkTests.settings(broker.port, version: version), will: nil, intake: IntakeSettings())
        let message = await uplink.nextMessages()?.first
        #expect(message?.payloadByteCount == byteCount)
        #expect(message?.isOversized == true)
        #expect(Self.residentByteCount - before < 32 << 20)
        if let message { uplink.acknowledge(message.receipt) }
        await uplink.close()
    }

    /// `select` ends at descriptor 1,023.
    @Test func aProcessWithManyDescriptorsHasSessions() async throws {
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        limit.rlim_cur = min(limit.rlim_max, 4096)
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        let folder = try UplinkTests.folder()
        let broker = try PrivateBroker(folder: folder)
        defer { broker.stop() }
        var taken: [Int32] = []
        defer { taken.forEach { close($0) } }
        while (taken.last ?? 0) < 1100, case let next = dup(0), next >= 0 { taken.append(next) }
        #expect((taken.last ?? 0) >= 1100)
        for intake in [nil, IntakeSettings()] {
            let uplink = try MosquittoUplink(settings: UplinkTests.settings(broker.port), will: nil, intake: intake)
            #expect(await UplinkTests.wait(uplink, until: UplinkTests.isConnected) != nil)
            try uplink.publish(OutboundMessage(topic: "t", payload: [1]), token: 1)
            #expect(await UplinkTests.wait(uplink) { $0 == .outcome(1, .acknowledged) } != nil)
            await uplink.close()
        }
        try FileManager.default.removeItem(atPath: folder)
    }

    static var residentByteCount: Int {
        let text = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8)) ?? ""
        return (text.split(separator: " ").dropFirst().first.flatMap { Int($0, in: 0...Int.max / 4096) } ?? 0) * 4096
    }
}
