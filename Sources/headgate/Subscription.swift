import Foundation

/// Runs `mosquitto_sub` and hands on each message it prints: what is shown has been through the broker.
final class Subscription: Sendable {
    let lines: AsyncStream<String>
    private let port: Int
    private let topics: [String]
    private let more: AsyncStream<String>.Continuation
    private let process = Process()
    private let output = Pipe()

    /// Why there is nothing to show, in words that say what to do.
    struct Missing: Error, CustomStringConvertible {
        var description =
            "'mosquitto_sub' is not installed, and the demo shows what it receives; run: apt-get install mosquitto-clients"
    }

    init(port: Int, topics: [String]) {
        self.port = port
        self.topics = topics
        (lines, more) = AsyncStream.makeStream(of: String.self, bufferingPolicy: .bufferingNewest(1000))
    }

    func start() throws {
        let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin").split(separator: ":")
        guard folders.contains(where: { FileManager.default.isExecutableFile(atPath: "\($0)/mosquitto_sub") }) else {
            throw Missing()
        }
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments =
            ["mosquitto_sub", "-h", "127.0.0.1", "-p", String(port)] + topics.flatMap { ["-t", $0] }
        process.standardOutput = output
        let buffer = LineBuffer()
        output.fileHandleForReading.readabilityHandler = { [more] handle in
            let data = handle.availableData
            if data.isEmpty { return handle.readabilityHandler = nil }
            for line in buffer.take(data) { more.yield(line) }
        }
        try process.run()
    }

    func stop() {
        more.finish()
        guard process.isRunning else { return }
        // SIGTERM may be blocked in the child as it is here.
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }
}

/// Cuts what comes in pieces into lines. Used by one reader at a time: the pipe's handler.
private final class LineBuffer: @unchecked Sendable {
    private var rest = Data()

    func take(_ data: Data) -> [String] {
        rest.append(data)
        var lines: [String] = []
        while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
            lines.append(String(decoding: rest[..<end], as: UTF8.self))
            rest = Data(rest[(end + 1)...])
        }
        return lines
    }
}
