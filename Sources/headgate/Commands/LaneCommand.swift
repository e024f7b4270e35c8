import ArgumentParser
import Gateway
import Model

struct LaneCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lane",
        abstract: "Trust a machine with a point more, or less.",
        discussion: """
            shadow      every request is judged and recorded, none is written
            advise      a person approves each
            supervised  writes small steps; larger ones wait for a person
            autonomous  writes whatever the policy allows

            Up goes one step at a time, and only when the point is ready; down goes any way, also by itself after a write that was \
            refused or cannot be verified. Each change is recorded with your name and reason.
            Exit code 0 when it is changed, 1 when the gateway refuses or no gateway runs.
            """)

    @Argument(help: "The machine: an issuer of the site file with category ai or schedule.")
    var issuer: String

    @Argument(help: ArgumentHelp("The point.", valueName: "device/point"))
    var point: String

    @Argument(help: "shadow, advise, supervised or autonomous.")
    var lane: Lane

    @Option(help: ArgumentHelp("Why; recorded with it.", valueName: "text"))
    var reason: String

    @OptionGroup var person: PersonOption
    @OptionGroup var state: StateOption

    func validate() throws { try checkReason(reason) }

    func run() throws {
        let folder = try state.folder().path
        try orComplain {
            let order = DeskOrder.lane(issuer: issuer, point: point, lane, reason: reason)
            try DeskClient(stateFolder: folder).give(order, as: person.resolved())
            Console.talk("\(issuer) is in lane \(lane.rawValue) at \(point)")
        }
    }
}
