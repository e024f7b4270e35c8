import Foundation
import GatewayTesting
import Model

/// Streams as a broker sends them, with something wrong here and there, or nothing but noise.
struct MutatedStreams {
    /// How many there are of them.
    static let count = ProcessInfo.processInfo.environment["HEADGATE_LONG_TESTS"] == nil ? 20_000 : 1_000_000

    var random: SeededGenerator
    private let version: PublisherSettings.ProtocolVersion

    init(version: PublisherSettings.ProtocolVersion, seed: UInt64 = 12) {
        self.version = version
        random = SeededGenerator(seed &+ UInt64(version.rawValue))
    }

    mutating func next() -> [UInt8] {
        if random.next() % 16 == 0 { return noise(Int(random.next() % 200)) }
        var packets = [accepted()]
        for _ in 0..<(random.next() % 6) { packets.append(packet()) }
        var stream = packets.flatMap { $0 }
        for _ in 0..<(random.next() % 4) { mutate(&stream) }
        return stream
    }

    private mutating func noise(_ count: Int) -> [UInt8] {
        (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    }

    private mutating func accepted() -> [UInt8] {
        guard version == .v5 else { return [0x20, 2, 0, 0] }
        let properties = self.properties()
        return wrapped(0x20, [0, 0] + properties)
    }

    private mutating func properties() -> [UInt8] {
        guard version == .v5 else { return [] }
        var bytes: [UInt8] = []
        for _ in 0..<(random.next() % 4) {
            let id = UInt8(random.next() % 0x80)
            bytes += [id] + noise(Int(random.next() % 6))
        }
        let known: [[UInt8]] = [
            [0x26, 0, 1, 0x61, 0, 0], [0x1F, 0, 2, 0x6E, 0x6F], [0x21, 0, 9], [0x27, 0, 0, 9, 0], [0x02, 0, 0, 0, 9],
            [0x01, 1], [0x0B, 0x81, 1], [0x09, 0, 2, 1, 2], [0x08, 0, 1, 0x72],
        ]
        for _ in 0..<(random.next() % 3) { bytes += known[Int(random.next() % UInt64(known.count))] }
        return length(bytes.count) + bytes
    }

    private mutating func packet() -> [UInt8] {
        let id: [UInt8] = [0, UInt8(1 + random.next() % 20)]
        switch random.next() % 8 {
        case 0: return wrapped(0x40, id)
        case 1: return wrapped(0x40, id + [0x87] + properties())
        case 2: return wrapped(0x90, id + properties() + [1])
        case 3: return wrapped(0xB0, id + properties())
        case 4: return [0xD0, 0]
        case 5: return wrapped(0xE0, [0x8E] + properties())
        case 6: return wrapped(0x30, [0, 3, 0x61, 0x2F, 0x62] + properties() + noise(Int(random.next() % 2000)))
        default:
            return wrapped(0x32, [0, 3, 0x61, 0x2F, 0x62] + id + properties() + noise(Int(random.next() % 600)))
        }
    }

    private func wrapped(_ first: UInt8, _ body: [UInt8]) -> [UInt8] {
        [first] + length(body.count) + body
    }

    private func length(_ count: Int) -> [UInt8] {
        count < 128 ? [UInt8(count)] : [UInt8(count & 0x7F | 0x80), UInt8(count >> 7)]
    }

    private mutating func mutate(_ stream: inout [UInt8]) {
        guard !stream.isEmpty else { return }
        let at = Int(random.next() % UInt64(stream.count))
        switch random.next() % 5 {
        case 0: stream[at] = UInt8(truncatingIfNeeded: random.next())
        case 1: stream[at] ^= 1 << UInt8(random.next() % 8)
        case 2: stream.removeLast(stream.count - at)
        case 3: stream.insert(contentsOf: noise(Int(random.next() % 8)), at: at)
        default: stream.remove(at: at)
        }
    }
}
