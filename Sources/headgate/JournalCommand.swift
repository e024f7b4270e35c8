import ArgumentParser
import Foundation
import Gateway
import Model

struct JournalCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "journal", abstract: "The buffer on disk.", subcommands: [Status.self])

    struct Status: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "What is stored, and what each publisher still has to deliver.",
            discussion: "Works on the file, also while a gateway runs. Exit code 1 when there is no journal.")

        @OptionGroup var journal: JournalOption

        @Flag(help: "Print one JSON document.")
        var json = false

        func run() throws {
            let (folder, settings) = try journal.folder()
            do {
                let report = try JournalReport(folder: folder, settings: settings)
                Console.data(json ? report.json : Array(report.text.utf8))
            } catch {
                Console.talk("headgate: \(error)")
                throw ExitCode(1)
            }
        }
    }
}

/// Whose journal: the one of a site file, or of a state folder.
struct JournalOption: ParsableArguments {
    @OptionGroup var site: SiteOption

    @Option(help: "State folder, when there is no site file to name it.")
    var state: String?

    /// The state folder, and the limits of the buffer where a site file says them.
    func folder() throws -> (path: String, settings: BufferSettings?) {
        if let state { return (state, nil) }
        let site = try site.site()
        return (site.gateway.stateFolder, site.buffer)
    }
}
