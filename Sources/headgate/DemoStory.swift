import Foundation
import Gateway
import Model
import ServiceLifecycle
import Synchronization

/// What the demo shows of governed commands: a small optimiser that speaks nothing but MQTT, the gateway that lets it do no
/// more than it may, and a person who decides. Everything that is told here was heard from the broker.
final class DemoStory: Service {
    /// What a command topic carries, as far as the story follows it.
    private struct Message: Decodable {
        struct Command: Decodable {
            var value: Double?
        }

        struct Measure: Decodable {
            var point: String
            var unit: String?
            var expected: Double
            var observed: Double?
        }

        var schema: String
        var id: String?
        var state: String?
        var code: String?
        var value: Double?
        var readback: Double?
        var note: String?
        var issuer: String?
        var digest: String?
        var command: Command?
        var measures: [Measure]?
    }

    private let demo: DemoHandle
    private let lines = Mutex<[String]>([])
    /// The command that the story follows.
    private let approved = Mutex<String?>(nil)
    private let start = ContinuousClock.now
    private let optimiser = Process()

    private static let pause = Duration.seconds(4)
    private static let linesShown = 14

    init(_ demo: DemoHandle) {
        self.demo = demo
    }

    /// The newest lines.
    var text: String {
        lines.withLock { $0.suffix(Self.linesShown).joined(separator: "\n") }
    }

    func run() async throws {
        await cancelWhenGracefulShutdown {
            await self.tell()
            try? await Task.sleep(for: .seconds(1 << 30))
        }
        endOptimiser()
    }

    // MARK: - The story

    private func tell() async {
        guard let program = ShippedFiles.example("optimiser.py") else {
            return say("no optimiser: docs/examples/optimiser.py is not installed")
        }
        let topics = Subscription(port: demo.brokerPort, topics: ["headgate/v1/demo/c/#", "headgate/v1/demo/o/#"])
        do { try topics.start() } catch { return say("\(error)") }
        defer { topics.stop() }
        await pause(.seconds(3))
        do { try startOptimiser(program) } catch {
            return say("the optimiser does not start: \(error); \(Self.needs)")
        }
        await pause(.seconds(2))
        guard optimiser.isRunning else { return say("the optimiser ended at once; \(Self.needs)") }
        say("\(Demo.optimiser), an optimiser that speaks only MQTT, may do nothing yet: its lane is shadow")
        var stage = Stage.shadowed
        for await line in topics.lines {
            guard let message = try? JSONDecoder().decode(Message.self, from: Data(line.utf8)) else { continue }
            guard let next = await follow(message, stage) else { continue }
            stage = next
            if stage == .over { break }
        }
        say(
            stage == .over
                ? "that was the story; the plant goes on" : "the optimiser went silent; \(Self.needs)")
    }

    private static let needs =
        "it is a program in Python: sudo apt install python3-paho-mqtt python3-jwt python3-cryptography"

    private enum Stage {
        case shadowed, held, verified, outcome, reverted, over
    }

    /// - Returns: the next stage; nil while the story waits for something else.
    private func follow(_ message: Message, _ stage: Stage) async -> Stage? {
        // An outcome repeats the state of its command.
        switch (stage, ["outcome/1", "held/1"].contains(message.schema) ? message.schema : message.state) {
        case (.shadowed, "shadowed"):
            say("it recommends \(text(message.value)): every guard is asked, nothing is written (shadowed)")
            await pause(Self.pause)
            say("you trust it a little more: lane advise, each command waits for you")
            return order(
                #"{"order":"lane","issuer":"\#(Demo.optimiser)","point":"chiller1/chw_setpoint","lane":"advise"}"#)
                ? .held : nil
        case (.held, "held/1"):
            guard let id = message.id, let digest = message.digest else { return nil }
            say("it recommends \(text(message.command?.value)): held until you decide")
            await pause(Self.pause)
            say("you approve what you were shown, \(digest.prefix(15))…")
            approved.withLock { $0 = id }
            return decide(id, digest) ? .verified : nil
        case (.verified, "verified"):
            say("written and read back: the chiller has \(text(message.readback)), leased to the optimiser (verified)")
            return .outcome
        case (.outcome, "outcome/1") where message.id == approved.withLock { $0 }:
            for measure in message.measures ?? [] { say(text(measure)) }
            await pause(Self.pause)
            endOptimiser()
            say("the optimiser is killed; nobody renews its lease")
            return .reverted
        case (.reverted, "reverted"):
            say("the setpoint is back at its fallback, read back: \(text(message.readback)) (\(message.note ?? ""))")
            return .over
        case (_, "rejected"), (_, "failed"), (_, "expired"):
            say("\(message.state ?? ""): \(message.code ?? "") \(message.note ?? "")")
            return nil
        default: return nil
        }
    }

    private func text(_ measure: Message.Measure) -> String {
        func number(_ value: Double) -> String { String((value * 10).rounded() / 10) }
        let unit = measure.unit ?? ""
        guard let observed = measure.observed else { return "outcome: \(measure.point) was not seen well enough" }
        return
            "outcome: \(measure.point) changed by \(number(observed)) \(unit), foretold were \(number(measure.expected))"
    }

    private func text(_ value: Double?) -> String {
        "\(value?.plain ?? "?") °C"
    }

    // MARK: - Acting

    private func order(_ document: String) -> Bool {
        isDone(demo.ask("order \(Demo.person) \(document)"))
    }

    private func decide(_ id: String, _ digest: String) -> Bool {
        isDone(demo.approve(id, digest: digest))
    }

    private func isDone(_ answer: String?) -> Bool {
        let isDone = answer?.contains(#""done":true"#) == true
        if !isDone { say("the gateway says: \(answer ?? "nothing")") }
        return isDone
    }

    private func startOptimiser(_ program: String) throws {
        optimiser.executableURL = URL(fileURLWithPath: "/usr/bin/python3")
        optimiser.arguments = [
            program, "--broker", "mqtt://127.0.0.1:\(demo.brokerPort)", "--gateway", "demo", "--key", demo.keyPath,
            "--value", "9", "--step", "2", "--lease", "20", "--within", "20", "--pause", "2",
        ]
        optimiser.standardOutput = FileHandle.nullDevice
        optimiser.standardError = FileHandle.nullDevice
        try optimiser.run()
    }

    private func endOptimiser() {
        guard optimiser.isRunning else { return }
        kill(optimiser.processIdentifier, SIGKILL)
        optimiser.waitUntilExit()
    }

    private func pause(_ duration: Duration) async {
        try? await Task.sleep(for: duration)
    }

    private func say(_ line: String) {
        let seconds = start.duration(to: .now).components.seconds
        lines.withLock { $0.append("  \(seconds) s  \(line)") }
    }
}
