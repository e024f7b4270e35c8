import ArgumentParser
import Gateway
import Model

struct SetCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "set",
        abstract: "Write a value to a point, verify it, and hold it for a while.",
        discussion: """
            Waits up to 15 seconds for the read-back and prints every step. The point is yours until --for is over or you release \
            it; then it goes to whoever is next, or to its fallback.

              headgate command set chiller1/chw_setpoint 7.5 --for 30m --reason "low load"
              headgate command set chiller1/chw_setpoint 7.5 --reason wrong_data --note "sensor T4 is off"
              headgate command set --as alice pump1/offset -- -2.5

            Exit code 0 when the value is verified, shadowed, or held until a person approves; 1 when it is refused or failed, with \
            code and reason, or when no gateway runs.
            """)

    @OptionGroup var setpoint: SetpointOptions
    @OptionGroup var person: PersonOption
    @OptionGroup var site: SiteOption

    @Flag(help: "Print one JSON document.")
    var json = false

    func run() throws {
        try send(setpoint.draft, as: person.resolved(), site: site.site(), json: json)
    }
}

/// Sends a command, and tells what became of it.
func send(_ draft: CommandDraft, as name: String, site: Site, json: Bool) throws {
    try orComplain {
        let command = try draft.command(site, as: name)
        let report: CommandReport
        do {
            report = try DeskClient(stateFolder: site.gateway.stateFolder).send(command, as: name)
        } catch DeskProblem.unanswered {
            Console.talk("headgate: \(DeskProblem.unanswered); see headgate command show \(command.id)")
            throw ExitCode(1)
        }
        Console.data(json ? report.json : Array(report.text.utf8))
        let isDone = report.isDone(command.action)
        Console.talk(isDone ? report.verdict : "headgate: \(report.verdict)")
        if !isDone { throw ExitCode(1) }
    }
}
