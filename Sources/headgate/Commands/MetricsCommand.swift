import ArgumentParser
import Gateway
import Model

struct MetricsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "metrics",
        abstract: "How issuers do at points: accepted, denied, overridden, how fast, exceptions, outcomes.",
        discussion: """
            Of the set commands received in the time that is asked for, from the audit log: of the running gateway, or of the \
            file when none runs.
              accepted, denied   of those that a person decided about
              overridden         of those that were in effect
              exceptions         failed, not known, or not brought back; open until it is resolved
              with outcome       of those that were in effect, shadowed or denied, and whose time is over
            Exit code 1 when there is neither a gateway nor a ledger.
            """)

    @Option(help: ArgumentHelp("Only of this issuer.", valueName: "name"))
    var issuer: String?

    @Option(help: ArgumentHelp("Only of this point.", valueName: "device/point"))
    var point: String?

    @Option(help: ArgumentHelp("How far back: 12h, 30d (the most). Default: 7d.", valueName: "duration"))
    var since: DurationArgument?

    @OptionGroup var state: StateOption

    @Flag(help: "Print one JSON document (metrics/1).")
    var json = false

    func run() throws {
        let folder = try state.folder().path
        let query = MetricsQuery(time: since?.duration ?? .seconds(7 * 86_400), issuer: issuer, point: point)
        let overview: MetricsOverview
        do {
            overview = try DeskClient(stateFolder: folder).metrics(query)
        } catch DeskProblem.noGateway {
            do {
                overview = try MetricsOverview(path: folder, query, at: SystemClock().utc)
            } catch {
                Console.talk("headgate: \(AuditReport.words(error))")
                throw ExitCode(1)
            }
        } catch {
            Console.talk("headgate: \(error)")
            throw ExitCode(1)
        }
        Console.data(json ? overview.json : Array(overview.text.utf8))
    }
}
