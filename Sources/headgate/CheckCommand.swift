import ArgumentParser
import Gateway
import Profiles

struct CheckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract:
            "Say everything that is wrong with a site file; show what will be polled and how busy each bus will be.",
        discussion: "Exit code 0 when the gateway would start, 1 when not.")

    @OptionGroup var site: SiteOption

    @Flag(help: "Print one JSON document.")
    var json = false

    func run() throws {
        var loaded = site.loaded()
        if let site = loaded.value { loaded.problems += NamedFiles(site, in: self.site.config).problems }
        let report = SiteReport(loaded)
        if json {
            Console.data(report.json)
        } else {
            Console.complain(loaded.problems)
            if loaded.isClean { Console.data(Array(report.text.utf8)) }
        }
        if !loaded.isClean { throw ExitCode(1) }
    }
}
