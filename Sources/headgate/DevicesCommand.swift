import ArgumentParser
import Gateway

struct DevicesCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "devices",
        abstract: "Which assets are connected, since when, how well they answer, what they refuse.",
        discussion: """
            Asks the running gateway. Columns: age of the last usable value, share of polls that gave none (since the \
            start, and of the last 64), polls that the bus was too busy for.
            Exit code 1 when no gateway runs.
            """)

    @OptionGroup var state: StateOption

    @Flag(help: "Print one JSON document.")
    var json = false

    @Flag(help: "Print what the devices refuse as YAML for their profiles: limits to paste, points to take out.")
    var refused = false

    func validate() throws {
        if json, refused { throw ValidationError("give either --json or --refused") }
    }

    func run() throws {
        let folder = try state.folder().path
        try orComplain {
            let overview = try DeviceOverview.ask(stateFolder: folder)
            let text = Array((refused ? overview.refusedText : overview.text).utf8)
            Console.data(json ? overview.json : text)
        }
    }
}
