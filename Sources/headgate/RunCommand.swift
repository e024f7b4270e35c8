import ArgumentParser
import Gateway
import Logging
import Model
import Profiles
import ServiceLifecycle
import UnixSignals

struct RunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Run the gateway until SIGTERM or Ctrl-C.",
        discussion: """
            SIGHUP reads the site file again and restarts only what changed; a file with an error changes nothing.
            """)

    @OptionGroup var site: SiteOption

    @Option(help: "Least severe log messages shown: trace, debug, info, notice, warning, error, critical.")
    var logLevel = "notice"

    @Option(
        help: ArgumentHelp(
            "Show every request and answer on these connections, on stderr.", valueName: "connection[,…]"))
    var trace: String?

    func run() async throws {
        // Before anything else: by default the signal ends the process, also one that is still starting.
        let hangups = await UnixSignalsSequence(trapping: .sighup)
        let first = try site.site()
        let traced = trace?.split(separator: ",").map(String.init) ?? []
        let known = first.connections.map(\.name)
        if let unknown = traced.first(where: { !known.contains($0) }) {
            throw ValidationError("no connection '\(unknown)'; there are: \(known.joined(separator: ", "))")
        }
        guard let level = Logger.Level(rawValue: logLevel) else {
            throw ValidationError(
                "no log level '\(logLevel)'; allowed: trace, debug, info, notice, warning, error, critical")
        }
        var logger = Logger(label: "headgate", factory: { StreamLogHandler.standardError(label: $0) })
        logger.logLevel = level
        let (changes, sender) = AsyncStream.makeStream(of: Site.self, bufferingPolicy: .bufferingNewest(1))
        let gateway = GatewayService(
            site: first, changes: changes, logger: logger, traced: traced, showTrace: { Console.talk($0) })
        let reloader = ReloadService(option: site, hangups: hangups, sender: sender, logger: logger)
        let group = ServiceGroup(
            configuration: .init(
                services: [
                    .init(service: gateway, successTerminationBehavior: .gracefullyShutdownGroup),
                    .init(service: reloader),
                ],
                gracefulShutdownSignals: [.sigterm, .sigint], logger: logger))
        do {
            try await group.run()
        } catch {
            Console.talk("headgate: \(error)")
            throw ExitCode(1)
        }
    }
}

/// Reads the site file again at each SIGHUP.
private struct ReloadService: Service {
    let option: SiteOption
    let hangups: UnixSignalsSequence
    let sender: AsyncStream<Site>.Continuation
    let logger: Logger

    func run() async throws {
        for await _ in hangups.cancelOnGracefulShutdown() {
            let loaded = option.loaded()
            Console.complain(loaded.problems)
            if loaded.isClean, let site = loaded.value {
                sender.yield(site)
            } else {
                logger.error("site file has errors; nothing was changed", metadata: ["file": "\(option.config)"])
            }
        }
    }
}
