import ArgumentParser
import Foundation
import Gateway
import Model

struct JournalCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "journal", abstract: "The buffer on disk.",
        subcommands: [Status.self, Export.self, Replay.self, Verify.self])

    struct Status: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "What is stored, and what each publisher still has to deliver.",
            discussion: "Works on the file, also while a gateway runs. Exit code 1 when there is no journal.")

        @OptionGroup var journal: StateOption

        @Flag(help: "Print one JSON document.")
        var json = false

        func run() throws {
            let folder = try journal.folder()
            try orComplain {
                let report = try JournalReport(folder: folder.path, settings: folder.settings)
                Console.data(json ? report.json : Array(report.text.utf8))
            }
        }
    }

    struct Export: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Print what is stored, as CSV or as the documents that are published.",
            discussion: """
                Works on the file, also while a gateway runs. --from is included, --to is not where it is a time.
                A document of which --device, --point or a time keeps only some readings is a part of the one that
                was published under its seq.
                Exit code 1 when there is no journal or a row cannot be read.
                """)

        @OptionGroup var journal: StateOption
        @OptionGroup var range: RangeOption

        @Option(help: "csv or jsonl.")
        var format = JournalExport.Format.csv

        @Option(help: "Only this device; may be repeated.")
        var device: [String] = []

        @Option(help: ArgumentHelp("Only this point; may be repeated.", valueName: "device/point"))
        var point: [String] = []

        @Flag(help: "A further column with the names of codes (csv; from the site file).")
        var labels = false

        @Option(help: "Id of the gateway in the documents, when there is no site file to name it.")
        var gateway: String?

        func validate() throws {
            if labels, format != .csv { throw ValidationError("--labels is for csv: reading/1 has codes only") }
        }

        func run() throws {
            let folder = try journal.folder()
            let names = try labels ? journal.labels() : nil
            let output = LineOutput()
            try orComplain {
                let export = try JournalExport(
                    path: folder.path, gateway: gateway ?? folder.gateway ?? "unknown", range: range.range(),
                    format: format, devices: Set(device), points: Set(point), labels: names)
                let damaged = try export.run(output.line)
                try output.flush()
                guard damaged.isEmpty else {
                    throw ValidationFailure(
                        "\(damaged.count) rows cannot be decoded and are left out: \(damaged.prefix(20))")
                }
            }
        }
    }

    struct Replay: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Let the running gateway deliver a stretch again, marked as replay.",
            discussion: "Live data goes first. Exit code 1 when no gateway runs or there is nothing to deliver.")

        @OptionGroup var journal: StateOption
        @OptionGroup var range: RangeOption

        @Option(help: "Name of the publisher in the site file.")
        var publisher: String

        func run() throws {
            let folder = try journal.folder()
            try orComplain {
                let rows = try JournalReplay(folder: folder.path).run(publisher: publisher, range.range())
                Console.talk("\(publisher) delivers \(rows) rows again")
            }
        }
    }

    struct Verify: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Prove that nothing is missing in a journal, or in what a consumer received.",
            discussion: """
                FILE is a journal's file, a state folder, or JSON lines of reading/1 and gap/1 as a consumer received
                them (with or without the topic before each; - for the standard input). Without FILE: the site's journal.
                Exit code 1 when there are unexplained holes, changed or incomplete rows, broken lines, or duplicates,
                and when a capture holds no row at all: that proves nothing.
                Brokers deliver at least once: --allow-duplicates accepts rows that came again with the same content.
                """)

        @OptionGroup var journal: StateOption

        @Argument(help: "What to verify.")
        var file: String?

        @Flag(help: "Accept rows that came again with the same content.")
        var allowDuplicates = false

        @Flag(help: "Print one JSON document.")
        var json = false

        func run() throws {
            let path = try file ?? journal.folder().path
            try orComplain {
                let verification = try JournalVerification(path: path)
                Console.data(json ? verification.json : Array(verification.text.utf8))
                guard verification.isProven, allowDuplicates || verification.redeliveries == 0 else {
                    throw ExitCode(1)
                }
            }
        }
    }
}

extension JournalExport.Format: ExpressibleByArgument {}

/// A stretch of the journal.
struct RangeOption: ParsableArguments {
    private static let ends = "2026-11-20T23:41:07Z, 2026-11-20 (midnight UTC) or a seq"

    @Option(help: ArgumentHelp("Begin: \(ends). Default: the oldest.", valueName: "time"))
    var from: JournalEnd?

    @Option(help: ArgumentHelp("End: the same. Default: the newest.", valueName: "time"))
    var to: JournalEnd?

    func range() -> JournalRange {
        JournalRange(from: from, to: to)
    }
}

extension JournalEnd: ExpressibleByArgument {
    public init?(argument: String) {
        self.init(argument)
    }
}
