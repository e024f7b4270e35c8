import ArgumentParser
import Gateway
import Model

struct LockoutStatusCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Which lockouts are on, since when, by whom and why.",
        discussion: """
            Where no gateway runs only the file lockout of the state folder is looked at. Exit code 0 also when one is on, 1 when \
            the gateway does not answer.
            """)

    @OptionGroup var place: LockoutPlace

    @Flag(help: "Print one JSON document.")
    var json = false

    func run() throws {
        let folder = try place.folder()
        try orComplain {
            let overview: DeskOverview
            do {
                overview = try DeskClient(stateFolder: folder).overview()
            } catch DeskProblem.noGateway(let folder) {
                Console.talk("headgate: \(DeskProblem.noGateway(folder: folder)); this is what the file says")
                overview = DeskOverview(lockoutFile: LockoutFile(stateFolder: folder))
            }
            Console.data(json ? overview.lockoutsJSON : Array(overview.lockoutText.utf8))
        }
    }
}
