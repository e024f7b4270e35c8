import ArgumentParser
import Gateway
import Model

struct DryRunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dry-run",
        abstract: "Ask every guard what it would say, with what it looks at; write and record nothing.",
        discussion: """
            Takes the same arguments as set. All guards answer, also behind the first one that refuses. \
            Exit code 0 when the command would be executed, shadowed or held, 1 when it would be rejected or no gateway runs.
            """)

    @OptionGroup var setpoint: SetpointOptions
    @OptionGroup var person: PersonOption
    @OptionGroup var site: SiteOption

    @Flag(help: "Print one JSON document.")
    var json = false

    func run() throws {
        let site = try self.site.site()
        try orComplain {
            let name = person.resolved()
            let command = try setpoint.draft.command(site, as: name)
            let client = DeskClient(stateFolder: site.gateway.stateFolder)
            let rehearsal = try client.rehearse(command, as: name)
            Console.data(json ? rehearsal.json : Array(rehearsal.text(command.mode).utf8))
            if rehearsal.isRefused { throw ExitCode(1) }
        }
    }
}
