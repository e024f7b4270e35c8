import ArgumentParser
import Gateway

struct AcknowledgeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "acknowledge",
        abstract: "End the alarm of a point that only a person could set.",
        discussion: """
            For a point that was leased and that the gateway cannot take back: the site file no longer has it, or lets nobody \
            write. Set it at the device by hand first. Recorded with your name and reason. The alarm of a point that the gateway \
            can write ends by itself, once the point is at its fallback or somebody set it.
            Exit code 0 when the alarm has ended, 1 when there is none, the gateway refuses or no gateway runs.
            """)

    @Argument(help: ArgumentHelp("The point.", valueName: "device/point"))
    var point: String

    @Option(help: ArgumentHelp("What was done; recorded with it.", valueName: "text"))
    var reason: String

    @OptionGroup var person: PersonOption
    @OptionGroup var state: StateOption

    func validate() throws { try checkReason(reason) }

    func run() throws {
        let folder = try state.folder().path
        try orComplain {
            try DeskClient(stateFolder: folder).give(
                .acknowledge(point: point, reason: reason), as: person.resolved())
            Console.talk("\(point) is no longer an alarm")
        }
    }
}
