import ArgumentParser
import Gateway
import Model

struct LockoutOffCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "off",
        abstract: "Let commands go on.",
        discussion: """
            Only a person that the site file names may do so. Off for the site also removes the file lockout of the state folder, \
            and does only that when no gateway runs: a lockout that a gateway has recorded stays until it runs and is asked. \
            Nothing that was taken back comes back by itself.
            Exit code 0 when it is off, 1 when not.
            """)

    @Option(help: "site, DEVICE or DEVICE/POINT: as it was turned on.")
    var scope = DeskOrder.Scope.site

    @Option(help: ArgumentHelp("Why; recorded with it.", valueName: "text"))
    var reason: String

    @OptionGroup var person: PersonOption
    @OptionGroup var place: LockoutPlace

    func validate() throws { try checkReason(reason) }

    func run() throws {
        let folder = try place.folder()
        try orComplain {
            do {
                try turnOff(folder)
                Console.talk("no lockout any more: \(scope.name)")
            } catch DeskProblem.noGateway where scope == .site {
                try removeFile(folder)
            }
        }
    }

    private func turnOff(_ folder: String) throws {
        let order = DeskOrder.lockout(scope, isOn: false, reason: reason)
        // The gateway decides who may: only then the file goes.
        try DeskClient(stateFolder: folder).give(order, as: person.resolved())
        if scope == .site { _ = try LockoutFile(stateFolder: folder).remove() }
    }

    private func removeFile(_ folder: String) throws {
        let problem = DeskProblem.noGateway(folder: folder)
        let file = LockoutFile(stateFolder: folder)
        guard try file.remove() else {
            throw ValidationFailure("\(problem), and there is no file \(file.path)")
        }
        Console.talk("\(problem); removed \(file.path); what a gateway has recorded stays until it runs and is asked")
    }
}
