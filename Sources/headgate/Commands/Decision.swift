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

    func document(at now: UnixTime) -> DecisionDocument {
        DecisionDocument(
            id: id, isApproval: isApproval, reason: reason, note: note, issued: now, expires: now + Self.patience)
    }
}

/// Hands a decision to the gateway, and tells that it was taken.
func decide(_ decision: Decision, as name: String, _ state: StateOption) throws {
    let folder = try state.folder().path
    try orComplain {
        try DeskClient(stateFolder: folder).decide(decision.document(at: SystemClock().utc), as: name)
        let word = decision.isApproval ? "approved" : "denied"
        Console.talk("\(word) as \(name); headgate command show \(decision.id) tells what became of it")
    }
}
