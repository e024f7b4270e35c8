import ArgumentParser
import Gateway
import Model

struct CancelCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cancel",
        abstract: "Call off a command that is not written yet.",
        discussion: """
            A person calls off anybody's command that waits: for an approval, or for its turn. One that is in effect is ended with \
            headgate command release.
            Exit code 0 when it is called off, 1 when the gateway refuses, the command does not wait any more, or no gateway runs.
            """)

    @Argument(help: "Id of the command.")
    var id: CommandID

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
                target: target, action: .cancel, reason: why.reason, note: why.note, subject: id)
            try send(draft, as: person.resolved(), site: site, json: json)
        }
    }
}
