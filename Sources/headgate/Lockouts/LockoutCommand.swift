import ArgumentParser
import Gateway
import Model

/// `headgate lockout`: the kill switch.
struct LockoutCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lockout",
        abstract: "The kill switch: stop all commands, of the site, a device or a point.",
        discussion: """
            A lockout refuses every command, takes back what is held, and stays until somebody turns it off. A file named lockout \
            in the state folder does the same for the whole site without network and gateway: touch STATE/lockout. \
            This is not a safety function; safety stays in the plant's safety system.
            """,
        subcommands: [LockoutOnCommand.self, LockoutOffCommand.self, LockoutStatusCommand.self])
}

/// Where a lockout is turned on or off.
struct LockoutPlace: ParsableArguments {
    @OptionGroup var site: SiteOption

    @Option(help: "State folder, when there is no site file to name it.")
    var state: String?

    /// A kill switch has no time for a site file with errors elsewhere.
    func folder() throws -> String {
        if let state { return state }
        return try site.runningGateway().identity.stateFolder
    }
}
