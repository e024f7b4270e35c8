import ArgumentParser
import Gateway
import Model

struct LockoutOnCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "on",
        abstract: "Stop all commands now.",
        discussion: """
            Where no gateway takes the order (none runs, it does not answer, or it does not know you) a lockout of the site is \
            made as a file in the state folder, which a gateway that runs or starts there obeys: for that you only need the right \
            to write the folder.
            Exit code 0 when the lockout is on, 1 when not.
            """)

    @Option(help: "site, DEVICE or DEVICE/POINT.")
    var scope = DeskOrder.Scope.site

    @Option(help: ArgumentHelp("Why; recorded with it.", valueName: "text"))
    var reason: String

    @OptionGroup var person: PersonOption
    @OptionGroup var place: LockoutPlace

    func validate() throws { try checkReason(reason) }

    func run() throws {
        let folder = try place.folder()
        let name = person.resolved()
        try orComplain {
            do {
                let order = DeskOrder.lockout(scope, isOn: true, reason: reason)
                try DeskClient(stateFolder: folder).give(order, as: name)
                Console.talk("locked out: \(scope.name), by \(name)")
            } catch {
                guard scope == .site else { throw error }
                Console.talk("headgate: \(error)")
                try makeFile(folder, name)
            }
        }
    }

    private func makeFile(_ folder: String, _ name: String) throws {
        let file = LockoutFile(stateFolder: folder)
        let isNew = try file.make(by: name, at: SystemClock().utc, reason: reason)
        Console.talk("locked out: site, by the file \(file.path)\(isNew ? "" : ", which was there already")")
    }
}
