import Engine
import Foundation
import Gateway
import GatewayTesting
import Model
import MosquittoUplink
import Payloads
import Testing

/// Time that runs so many times as fast as the wall's.
struct FastClock: Timekeeper {
    let factor: Int
    private let start = ContinuousClock.now

    init(_ factor: Int) {
        self.factor = factor
    }

    var uptime: Duration { start.duration(to: .now) * factor }
    var utc: UnixTime { UnixTime(microseconds: Int64(clamping: Date().timeIntervalSince1970 * 1e6)) }

    func sleep(until deadline: Duration) async throws {
        try await Task.sleep(until: start + deadline / factor, clock: .continuous)
    }
}

/// A publisher, and a real broker that is small, strict or stuck.
@Suite(.serialized, .timeLimit(.minutes(1))) struct BrokerTroubleTests {
    static let device = Device(
        id: "d", profile: "test/device", revision: 1, connection: "c", unit: 1, owner: "us",
        points: (0..<100).map {
            Point(name: "point_\($0)", table: .holding, protocolAddress: UInt16($0), encoding: Encoding(type: .uint16))
        })

    /// A publisher of `rows` batches of a hundred points to a broker with `options`.
    struct Rig {
        let folder: String
        let broker: PrivateBroker
        let journal = MemoryJournal()
        let uplink: MosquittoUplink
        let publisher: Publisher

        init(options: [String] = [], files: [String: String] = [:], window: Int = 100) async throws {
            let folder = try UplinkTests.folder()
            self.folder = folder
            for (name, text) in files {
                try text.write(toFile: "\(folder)/\(name)", atomically: true, encoding: .utf8)
            }
            broker = try PrivateBroker(
                folder: folder, options: options.map { $0.replacingOccurrences(of: "FOLDER", with: folder) })
            var settings = UplinkTests.settings(broker.port)
            settings.window = window
            uplink = try MosquittoUplink(settings: settings, will: nil, reconnect: 0.1...0.3)
            publisher = Publisher(
                settings: settings, journal: journal, uplink: uplink,
                encoder: JSONReadings(gateway: "g", topic: try TopicTemplate(settings.topic), qos: 1),
                clock: FastClock(20), greeting: { [] })
        }

        func append(_ rows: Int) async throws {
            let layout = try await journal.register(DeviceDocument(BrokerTroubleTests.device).layout)
            for row in 0..<rows {
                var batch = ReadingBatch(layout: layout)
                for point in 0..<100 {
                    batch.append(
                        point: UInt16(point), time: UnixTime(milliseconds: 1_795_218_000_000), value: .int(Int64(row)),
                        reasons: [], number: UInt64(row))
                }
                await journal.append(.readings(batch))
            }
        }

        /// Publishes while `body` runs.
        func run(_ body: () async throws -> Void) async throws {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { [publisher] in try await publisher.run() }
                try await body()
                group.cancelAll()
            }
            await publisher.close(farewell: nil)
            broker.stop()
            try FileManager.default.removeItem(atPath: folder)
        }

        /// The figures once they fit, or after 20 s.
        func figures(until fits: (PublisherFigures) -> Bool) async throws -> PublisherFigures {
            for _ in 0..<1000 {
                let figures = await publisher.figures
                if fits(figures) { return figures }
                try await Task.sleep(for: .milliseconds(20))
            }
            return await publisher.figures
        }
    }

    @Test func aBrokerThatTakesOnlySmallPacketsGetsEveryReadingInParts() async throws {
        let rig = try await Rig(options: ["max_packet_size 1000"])
        let reader = try MosquittoUplink(
            settings: UplinkTests.settings(rig.broker.port).forCommands, will: nil, intake: IntakeSettings(),
            reconnect: 0.1...0.3)
        reader.subscribe(["headgate/v1/g/r/d"])
        _ = await UplinkTests.wait(reader, until: UplinkTests.isConnected)
        try await Task.sleep(for: .milliseconds(300))
        try await rig.append(5)
        var names: [String: Int] = [:]
        var largest = 0
        try await rig.run {
            while names.values.reduce(0, +) < 500, let messages = await reader.nextMessages() {
                for message in messages {
                    reader.acknowledge(message.receipt)
                    largest = max(largest, message.payloadByteCount)
                    let text = String(decoding: message.payload, as: UTF8.self)
                    for part in text.split(separator: "point_").dropFirst() {
                        names[String(part.prefix { $0.isNumber }), default: 0] += 1
                    }
                }
            }
            let figures = try await rig.figures { $0.acknowledged == 5 }
            #expect(figures.acknowledged == 5)
        }
        await reader.close()
        #expect(names.count == 100)
        #expect(names.values.allSatisfy { $0 == 5 }, "\(names)")
        #expect(largest < 1000)
        #expect(reader.intakeFigures.received > 10)
    }

    @Test func aBrokerThatRefusesIsShownAndTriedAgainUntilItTakesEverything() async throws {
        let rig = try await Rig(
            options: ["acl_file FOLDER/acl", "user root"], files: ["acl": "topic write other/#\n"])
        try await rig.append(5)
        try await rig.run {
            let refused = try await rig.figures { $0.state == .refused }
            #expect(refused.state == .refused)
            #expect(refused.trouble?.contains("not authorised") == true, "\(refused.trouble ?? "")")
            #expect(refused.acknowledged == 0)
            try "topic write headgate/#\n".write(
                toFile: "\(rig.folder)/acl", atomically: true, encoding: .utf8)
            rig.broker.reload()
            let taken = try await rig.figures { $0.acknowledged == 5 && $0.trouble == nil }
            #expect(taken.acknowledged == 5)
            #expect(taken.trouble == nil)
        }
    }

    @Test func aFrozenBrokerIsToldAsStalledAndGetsEverythingOnceItThaws() async throws {
        let rig = try await Rig(window: 3)
        try await rig.run {
            _ = try await rig.figures { $0.isConnected }
            rig.broker.freeze()
            try await rig.append(10)
            let stalled = try await rig.figures { $0.state == .stalled }
            #expect(stalled.state == .stalled)
            #expect(stalled.trouble?.contains("stalled") == true)
            #expect(stalled.pending >= 7)
            rig.broker.freeze(false)
            let live = try await rig.figures { $0.acknowledged >= 10 && $0.state == .live }
            #expect(live.acknowledged >= 10)
            #expect(live.state == .live)
        }
    }
}
