import ArgumentParser
import Gateway
import Model

struct ShowCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Everything that happened to one command.",
        discussion: "Exit code 1 when the gateway does not know it, or no gateway runs.")

    @Argument(help: "Id of the command.")
    var id: CommandID

    @OptionGroup var state: StateOption

    @Flag(help: "Print one JSON document.")
    var json = false

    func run() throws {
        let folder = try state.folder().path
        try orComplain {
            let report = try DeskClient(stateFolder: folder).history(of: id)
            Console.data(json ? report.json : Array((report.text + "\n" + report.verdict).utf8))
        }
    }
}
