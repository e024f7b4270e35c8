import ArgumentParser
import Gateway

struct ExportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export",
        abstract: "Print each command of the ledger with what was known, recommended, decided, done and observed.",
        discussion: """
            For whoever trains or judges a model. Works on the file, also while a gateway runs.

            jsonl: one document a command, {"schema":"command_row/1",…}, with
              state           when it came, its evidence, what every guard looked at
              recommendation  the request as it was sent (command/1)
              decision        the first verdict: by whom, why, after how long
              action          what was written and read back, how it stands now
              outcome         expected against observed, usable for training?
            Parts that have not happened are left out.
            csv: the same flat, a line for each expected change.

            Exit code 1 when there is no ledger, or entries cannot be read (the rest is printed).
            """)

    @Option(help: "jsonl or csv.")
    var format = CommandExport.Format.jsonl

    @Option(
        help: ArgumentHelp("Only commands received then or later: 2026-11-20T23:40:00Z or a day.", valueName: "time"))
    var from: MomentArgument?

    @Option(help: ArgumentHelp("Only commands received earlier.", valueName: "time"))
    var to: MomentArgument?

    @Flag(
        help: "Two further columns with the names of codes, value_label and readback_label (csv; from the site file).")
    var labels = false

    @OptionGroup var state: StateOption

    func validate() throws {
        if labels, format != .csv { throw ValidationError("--labels is for csv: command_row/1 has codes only") }
    }

    func run() throws {
        let names = try labels ? state.labels() : nil
        let folder = try state.folder().path
        let output = LineOutput()
        let damaged: [UInt64]
        do {
            damaged = try CommandExport(path: folder, format: format, from: from?.time, to: to?.time, labels: names)
                .run(output.line)
            try output.flush()
        } catch {
            Console.talk("headgate: \(AuditReport.words(error))")
            throw ExitCode(1)
        }
        guard damaged.isEmpty else {
            Console.talk("headgate: \(damaged.count) entries cannot be read and are left out: \(damaged.prefix(20))")
            throw ExitCode(1)
        }
    }
}
