import ArgumentParser
import Model

/// Why somebody does something: recorded with it, and what the model's makers learn from.
struct ReasonOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Why: one of \(HumanReason.allCases.map(\.rawValue).joined(separator: ", ")), from which a model's makers learn most; or your own words.",
            valueName: "reason"))
    var reason: String?

    @Option(help: ArgumentHelp("More about it, in your own words.", valueName: "text"))
    var note: String?

    func validate() throws {
        try checkReason(reason)
        guard let note, note.allSatisfy(\.isWhitespace) else { return }
        throw ValidationError("--note is empty")
    }
}
