import ArgumentParser
import Gateway
import Model

struct ReleaseCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "release",
        abstract: "Give a point back before its lease ends.",
        discussion: """
            A person releases whoever holds the point with the same or less authority, also a change that somebody made at the \
            device itself: --reason tells whoever loses it why. The point goes to whoever is next, or to its fallback; headgate command list shows it on its way. \
            Exit code 0 when the gateway takes it back, 1 when it refuses or no gateway runs.
            """)

    @Argument(help: ArgumentHelp("The point.", valueName: "device/point"))
    var target: String

    @OptionGroup var why: ReasonOptions

    @OptionGroup var person: PersonOption
    @OptionGroup var site: SiteOption

    @Flag(help: "Print one JSON document.")
    var json = false

    func run() throws {
        let draft = CommandDraft(target: target, action: .release, reason: why.reason, note: why.note)
        try send(draft, as: person.resolved(), site: site.site(), json: json)
    }
}
