import Foundation
import Synchronization

/// One point as a subscriber sees it.
struct DemoReading: Sendable {
    var value: String
    var unit: String
    var quality: String
}

/// Runs `mosquitto_sub` and keeps the newest reading of each point: what the demo shows has been through the broker.
final class Subscriber: Sendable {
    private struct Batch: Decodable {
        struct Reading: Decodable {
            var point: String
            var value: JSONValue
            var unit: String?
            var quality: String
        }

        var readings: [Reading]
    }

    private let port: Int
    private let state = Mutex<(rows: [String: DemoReading], rest: Data)>(([:], Data()))
    private let process = Process()

    init(port: Int) {
        self.port = port
    }

    var rows: [String: DemoReading] { state.withLock { $0.rows } }

    /// Why there is nothing to show, in words that say what to do.
    struct Missing: Error, CustomStringConvertible {
        var description =
            "'mosquitto_sub' is not installed, and the demo shows what it receives; run: apt-get install mosquitto-clients"
    }

    func start() throws {
        let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin").split(separator: ":")
        guard folders.contains(where: { FileManager.default.isExecutableFile(atPath: "\($0)/mosquitto_sub") }) else {
            throw Missing()
        }
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["mosquitto_sub", "-h", "127.0.0.1", "-p", String(port), "-t", "headgate/v1/demo/r/#"]
        let output = Pipe()
        process.standardOutput = output
        output.fileHandleForReading.readabilityHandler = { [weak self] in self?.take($0.availableData) }
        try process.run()
    }

    func stop() {
        guard process.isRunning else { return }
        // SIGTERM may be blocked in the child as it is here.
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }

    private func take(_ data: Data) {
        state.withLock { state in
            state.rest.append(data)
            while let end = state.rest.firstIndex(of: UInt8(ascii: "\n")) {
                let line = state.rest[..<end]
                for reading in (try? JSONDecoder().decode(Batch.self, from: line))?.readings ?? [] {
                    state.rows[reading.point] = DemoReading(
                        value: reading.value.text, unit: reading.unit ?? "", quality: reading.quality)
                }
                state.rest = Data(state.rest[(end + 1)...])
            }
        }
    }
}
