import ArgumentParser
import Gateway
import Model

struct ApproveCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "approve",
        abstract: "Let a command go on that waits for a person.",
        discussion: """
            All guards run again before anything is written. Nobody approves what was asked for in the own name; a policy may ask \
            for two persons. headgate command list shows what waits and who may decide.
            Exit code 0 when the gateway took the decision, 1 when it refuses or no gateway runs.
            """)

    @Argument(help: "Id of the command.")
    var id: CommandID

    @Option(help: ArgumentHelp("Recorded with the decision.", valueName: "text"))
    var note: String?

    @OptionGroup var person: PersonOption
    @OptionGroup var state: StateOption

    func run() throws {
        try decide(Decision(id: id, isApproval: true, note: note), as: person.resolved(), state)
    }
}
