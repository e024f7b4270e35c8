import ArgumentParser
import Gateway
import Model

struct ApproveCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "approve",
        abstract: "Let a command go on that waits for a person.",
        discussion: """
            Prints what the command does, from what to what, what the guards say and the digest of the request, and asks. The \
            decision is about these bytes and no others. A script that has read them says so with --digest and is not asked.

              headgate command approve 0193a1c4-7d1e-7c3a-9a55-0b5f0f6f2a11
              headgate command approve 0193a1c4-7d1e-7c3a-9a55-0b5f0f6f2a11 --digest 9f2c41aa

            All guards run again before anything is written. Nobody approves what was asked for in the own name; a policy may ask \
            for two persons. headgate command list shows what waits and who may decide.
            Exit code 0 when the gateway took the decision, 1 when it refuses, you say no, or no gateway runs; 64 without a \
            terminal and without --digest.
            """)

    @Argument(help: "Id of the command.")
    var id: CommandID

    @Option(help: ArgumentHelp("Recorded with the decision.", valueName: "text"))
    var note: String?

    @OptionGroup var digest: DigestOption
    @OptionGroup var person: PersonOption
    @OptionGroup var state: StateOption

    func run() throws {
        guard digest.digest != nil || DigestOption.hasTerminal else {
            throw ValidationError(
                "without a terminal the question cannot be asked: --digest with at least 8 digits says which request is approved"
            )
        }
        try decide(Decision(id: id, isApproval: true, note: note), digest, as: person.resolved(), state) { held in
            Console.data(Array(held.text.utf8))
            guard digest.digest == nil else { return true }
            return Console.isConfirmed("Approve this as \(person.resolved())? [y/N] ")
        }
    }
}
