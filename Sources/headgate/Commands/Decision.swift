import ArgumentParser
import Foundation
import Gateway
import Model
import Payloads

/// What a person says to a command that waits.
struct Decision {
    var id: CommandID
    var isApproval: Bool
    var reason: HumanReason?
    var note: String?

    /// How long the gateway may take to read it.
    private static let patience: Duration = .seconds(60)

    /// About the command as it was shown.
    func document(about held: HeldReview, at now: UnixTime) -> DecisionDocument {
        DecisionDocument(
            gateway: held.gateway, id: id, digest: held.digest, isApproval: isApproval, reason: reason, note: note,
            issued: now, expires: now + Self.patience)
    }
}

/// Which request a decision is about, for scripts: a person at a terminal sees it and is asked.
struct DigestOption: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "First digits of the digest of the request, at least 8, as command list shows it; for scripts.",
            valueName: "prefix"))
    var digest: DigestPrefix?

    /// Whether a person can be asked.
    static var hasTerminal: Bool { isatty(STDIN_FILENO) == 1 && isatty(STDERR_FILENO) == 1 }
}

extension DigestPrefix: ExpressibleByArgument {
    public init?(argument: String) { self.init(argument) }
}

/// Hands a decision to the gateway, and tells that it was taken.
///
/// - Parameter isAgreed: whether the person wants it, having been shown the command.
func decide(
    _ decision: Decision, _ option: DigestOption, as name: String, _ state: StateOption,
    isAgreed: (HeldReview) -> Bool
) throws {
    let folder = try state.folder().path
    try orComplain {
        let client = DeskClient(stateFolder: folder)
        let held = try client.held(decision.id)
        if let prefix = option.digest, !held.matches(prefix) {
            throw ValidationFailure(
                "not decided: what waits has the digest \(DocumentDigest.text(held.digest)), not \(prefix.digits)…")
        }
        guard isAgreed(held) else { throw ValidationFailure("not decided: \(decision.id) goes on waiting") }
        try client.decide(decision.document(about: held, at: SystemClock().utc), as: name)
        let word = decision.isApproval ? "approved" : "denied"
        Console.talk("\(word) as \(name); headgate command show \(decision.id) tells what became of it")
    }
}
