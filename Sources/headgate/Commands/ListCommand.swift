import ArgumentParser
import Gateway

struct ListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "Commands under way, decisions that are waited for, who holds which point, lockouts.",
        discussion: "Exit code 1 when no gateway runs.")

    @OptionGroup var state: StateOption

    @Flag(help: "Print one JSON document.")
    var json = false

    func run() throws {
        let folder = try state.folder().path
        try orComplain {
            let overview = try DeskClient(stateFolder: folder).overview()
            Console.data(json ? overview.json : Array(overview.text.utf8))
        }
    }
}
