import ArgumentParser
import Gateway
import Model

struct RenewCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "renew",
        abstract: "Hold a point for longer: begin the lease of your command anew.",
        discussion: """
            For a command of yours that is verified, or preempted by somebody with more authority. The new lease begins now; the \
            policy's maximum counts. A hold without an end stays without one.
            Exit code 0 when the lease is renewed, 1 when the gateway refuses, the command does not hold its point any more, or no \
            gateway runs.
            """)

    @Argument(help: "Id of the command.")
    var id: CommandID

    @Option(
        name: .customLong("for"), parsing: .unconditional,
        help: ArgumentHelp("How long from now on. Default: as long as the command asked for.", valueName: "duration"))
    var lease: DurationArgument?

    @OptionGroup var why: ReasonOptions
    @OptionGroup var person: PersonOption
    @OptionGroup var site: SiteOption

    @Flag(help: "Print one JSON document.")
    var json = false

    func run() throws {
        let site = try self.site.site()
        try orComplain {
            let target = try DeskClient(stateFolder: site.gateway.stateFolder).point(of: id)
            let draft = CommandDraft(
                target: target, action: .renew, lease: lease?.duration, reason: why.reason, note: why.note, subject: id)
            try send(draft, as: person.resolved(), site: site, json: json)
        }
    }
}
