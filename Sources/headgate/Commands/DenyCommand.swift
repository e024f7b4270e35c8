import ArgumentParser
import Gateway
import Model

struct DenyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "deny",
        abstract: "Refuse a command that waits for a person.",
        discussion: """
            The reason is what the sender learns from: pick the one that fits best, and say more with --note. It is about the \
            request that waits now; with --digest only about the one with that digest.
            Exit code 0 when the gateway took the decision, 1 when it refuses or no gateway runs.
            """)

    @Argument(help: "Id of the command.")
    var id: CommandID

    @Option(
        help: ArgumentHelp(
            "One of \(HumanReason.allCases.map(\.rawValue).joined(separator: ", ")).", valueName: "reason"))
    var reason: HumanReason

    @Option(help: ArgumentHelp("Recorded with the decision.", valueName: "text"))
    var note: String?

    @OptionGroup var digest: DigestOption
    @OptionGroup var person: PersonOption
    @OptionGroup var state: StateOption

    func run() throws {
        let decision = Decision(id: id, isApproval: false, reason: reason, note: note)
        try decide(decision, digest, as: person.resolved(), state) { _ in true }
    }
}
