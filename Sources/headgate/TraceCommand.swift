import ArgumentParser
import Foundation
import Gateway
import Model

struct TraceCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "trace",
        abstract: "Show what is said on a connection of the running gateway, in words and in bytes.",
        discussion: """
            A line each: time, > for what is sent, < for what is answered and ! for what is not as it should be, unit, \
            transaction id, function with address and values or the exception, and the bytes. It changes nothing; Ctrl-C \
            ends it. Lines that a slow reader misses are counted.
            Exit code 1 when no gateway runs, or it does not poll the connection.
            """)

    @OptionGroup var site: SiteOption

    @Argument(help: "Name of the connection in the site file.")
    var connection: String

    @Option(help: "How long, in seconds.")
    var seconds = 30

    func validate() throws {
        guard ToolRequest.traceSeconds.contains(seconds) else { throw ValidationError("--seconds is 1 to 86400") }
    }

    func run() throws {
        let folder = try site.site().gateway.stateFolder
        let request = ToolRequest(.trace(seconds: seconds), connection: connection)
        let outcome = ToolClient(stateFolder: folder).run(request) {
            if case .trace(let line) = $0 { Console.data(Array(line.utf8)) }
        }
        switch outcome {
        case .result: break
        case .failure(let reason):
            Console.talk("headgate: \(reason)")
            throw ExitCode(1)
        case .elsewhere:
            Console.talk("headgate: no running gateway polls '\(connection)'; without one: headgate scan --trace")
            throw ExitCode(1)
        }
    }
}

/// `--trace` of the tools that talk to devices.
struct TraceOption: ParsableArguments {
    @Flag(name: .customLong("trace"), help: "Show every request and answer, on stderr.")
    var isOn = false

    /// Runs `body` with a bus that tells on stderr what is said.
    func shown<Value: Sendable>(_ body: (TraceShow?) async throws -> Value) async throws -> Value {
        guard isOn else { return try await body(nil) }
        let show = TraceShow { Console.talk($0) }
        async let shown: Void = show.run()
        do {
            let value = try await body(show)
            show.end()
            await shown
            return value
        } catch {
            show.end()
            await shown
            throw error
        }
    }
}
