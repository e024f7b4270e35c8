import ArgumentParser
import Gateway

struct DevicesCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "devices",
        abstract: "Which assets are connected, since when, how well they answer, what they refuse.",
        subcommands: [DeviceList.self, ForgetDevice.self], defaultSubcommand: DeviceList.self)
}

struct DeviceList: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
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

struct ForgetDevice: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "forget",
        abstract: "Forget what was learned of a device: refused addresses, limits.",
        discussion: """
            Tells the running gateway, which asks the device for everything again as its profile says: after a repair, a
            new firmware, or an exchange for the same model. SunSpec models are kept: they are checked at each connect.
            Exit code 1 when no gateway runs or it has no such device.
            """)

    @OptionGroup var state: StateOption

    @Argument(help: "Id of the device in the site file.")
    var device: String

    @Flag(help: "Print one JSON document.")
    var json = false

    func run() throws {
        let folder = try state.folder().path
        try orComplain {
            let reset = try LearnedReset.ask(of: device, stateFolder: folder)
            Console.data(json ? reset.json : Array(reset.text.utf8))
        }
    }
}
