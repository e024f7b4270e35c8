import ArgumentParser
import Foundation
import Gateway
import Logging
import Model
import ServiceLifecycle

struct DemoCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "demo",
        abstract: "A simulated cooling plant, a private broker and the gateway on loopback; Ctrl-C ends it.",
        discussion: "Shows what arrives at the broker, as any subscriber sees it. Leaves nothing behind.")

    @Option(help: "End after this many seconds.")
    var seconds: Int?

    @Option(help: "Least severe log messages shown.")
    var logLevel = "error"

    func validate() throws {
        guard (1...31_536_000).contains(seconds ?? 1) else { throw ValidationError("--seconds is 1 to 31536000") }
    }

    func run() async throws {
        var logger = Logger(label: "headgate", factory: { StreamLogHandler.standardError(label: $0) })
        logger.logLevel = Logger.Level(rawValue: logLevel) ?? .error
        do {
            let demo = try Demo()
            let story = DemoStory(demo.handle)
            let table = DemoTable(site: demo.site, brokerPort: demo.brokerPort, seconds: seconds, story: story)
            try await demo.run(logger: logger, display: [story, table])
        } catch let error as any CustomStringConvertible & Error {
            Console.talk("headgate demo: \(error)")
            throw ExitCode(1)
        }
    }
}

/// A table of what a subscriber outside receives, drawn again each second.
private struct DemoTable: Service {
    let site: Site
    let brokerPort: Int
    let seconds: Int?
    let story: DemoStory

    func run() async throws {
        let subscriber = Subscriber(port: brokerPort)
        try await subscriber.listen { await show(subscriber) }
    }

    private func show(_ subscriber: Subscriber) async {
        let subscription = "mosquitto_sub -h 127.0.0.1 -p \(brokerPort) -t 'headgate/v1/demo/r/#'"
        let isTerminal = isatty(1) == 1
        let start = ContinuousClock.now
        let ticks = AsyncStream { try? await Task.sleep(for: .seconds(1)) }
        for await _ in ticks.cancelOnGracefulShutdown() {
            let elapsed = start.duration(to: .now)
            let rows = subscriber.rows
            if isTerminal { Console.data(Array("\u{1B}[2J\u{1B}[H".utf8)) }
            Console.data(Array(table(rows, elapsed).utf8))
            Console.data(Array("the same from outside:  \(subscription)\n\n\(story.text)\n".utf8))
            if let seconds, elapsed >= .seconds(seconds) { return }
        }
    }

    private func table(_ rows: [String: DemoReading], _ elapsed: Duration) -> String {
        var lines = [
            "Headgate demo, \(elapsed.milliseconds / 1000) s: \(site.devices.count) devices, \(rows.count) points seen"
        ]
        for device in site.devices {
            let shown = device.points.filter { $0.kind == .measurement || $0.kind == .setpoint }.prefix(6)
            for point in shown {
                guard let row = rows["\(device.id)/\(point.name)"] else { continue }
                let name = "\(device.id)/\(point.name)".padding(toLength: 32, withPad: " ", startingAt: 0)
                let value = row.value.padding(toLength: 14, withPad: " ", startingAt: 0)
                lines.append(
                    "  \(name) \(value) \(row.unit.padding(toLength: 6, withPad: " ", startingAt: 0)) \(row.quality)")
            }
        }
        return lines.joined(separator: "\n")
    }
}
