import ArgumentParser
import Gateway
import Model

struct ExplainCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain",
        abstract: "Say why a value was changed at the device.",
        discussion: """
            A change at the device itself (overridden) comes without a reason, and a model learns most from reasons. It goes into \
            the audit log and the export, and into the outcome if that is still to come; the last word counts. While the point is \
            not released, headgate command release --reason does the same. The id is in headgate command show and in the events.
            Exit code 0 when it is recorded, 1 when the command was not changed at the device, the gateway refuses or none runs.
            """)

    @Argument(help: "Id of the command whose value was changed.")
    var id: CommandID

    @OptionGroup var why: ReasonOptions
    @OptionGroup var person: PersonOption
    @OptionGroup var state: StateOption

    func validate() throws {
        if why.reason == nil, why.note == nil { throw ValidationError("say why: --reason or --note") }
    }

    func run() throws {
        let folder = try state.folder().path
        try orComplain {
            try DeskClient(stateFolder: folder).give(
                .explain(id, reason: why.reason, note: why.note), as: person.resolved())
            Console.talk("recorded; headgate command show \(id) tells it")
        }
    }
}
