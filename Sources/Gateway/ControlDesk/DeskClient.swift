import Console
package import Model
package import Payloads

/// Asks the desk of the running gateway over its local socket, in somebody's name.
package struct DeskClient: Sendable {
    private let control: ControlClient
    private let folder: String

    /// How long the gateway waits for what becomes of a command, and some more.
    private static let patience: Duration = .seconds(20)
    /// For everything else: a kill switch that is not answered needs another way soon.
    private static let promptness: Duration = .seconds(5)

    /// - Parameter stateFolder: of the gateway.
    package init(stateFolder: String) {
        control = ControlClient(stateFolder: stateFolder)
        folder = stateFolder
    }

    /// Sends a command, and waits until it is finished, held, shadowed or verified, but not for ever.
    ///
    /// - Parameter name: of an issuer.
    package func send(_ command: Command, as name: String) throws(DeskProblem) -> CommandReport {
        let reply = try ask("command \(name)", command.document, within: Self.patience)
        guard let events = reply["events"] else { throw .unexpected(reply.shown) }
        return CommandReport(id: command.id, events: events.elements)
    }

    /// What the guards would say to the command now.
    package func rehearse(_ command: Command, as name: String) throws(DeskProblem) -> Rehearsal {
        let reply = try ask("rehearse \(name)", command.document)
        guard let guards = reply["guards"] else { throw .unexpected(reply.shown) }
        return Rehearsal(id: command.id, guards: guards.elements)
    }

    /// A command that waits for a person. What the guards said is taken from the audit log where the gateway was started since.
    package func held(_ id: CommandID) throws(DeskProblem) -> HeldReview {
        let waiting = try ask("commands")["held"]?.elements ?? []
        guard var held = waiting.first(where: { $0["id"]?.text == id.description }) else {
            throw .refused(
                .expired, "no command \(id) waits for a decision; headgate command show \(id) tells what became of it")
        }
        if held["guards"]?.elements.isEmpty ?? true {
            let events = try history(of: id).events.compactMap { $0["event"] }
            let guards = events.last { $0["state"]?.text == CommandState.held.rawValue }?["guards"]
            let others = held.members.filter { $0.key != "guards" }
            held = .object(others + [.init("guards", guards ?? .array([]))])
        }
        return try HeldReview(held: held)
    }

    package func decide(_ decision: DecisionDocument, as name: String) throws(DeskProblem) {
        try expectDone(try ask("decide \(name)", decision.document))
    }

    package func give(_ order: DeskOrder, as name: String) throws(DeskProblem) {
        try expectDone(try ask("order \(name)", order.document))
    }

    /// Everything that is not finished.
    package func overview() throws(DeskProblem) -> DeskOverview {
        DeskOverview(document: try ask("commands"))
    }

    /// Figures of what became of commands.
    package func metrics(_ query: MetricsQuery) throws(DeskProblem) -> MetricsOverview {
        MetricsOverview(document: try ask("metrics", query.document))
    }

    /// The point of a command that is not finished.
    package func point(of id: CommandID) throws(DeskProblem) -> String {
        let commands = try ask("commands")["commands"]?.elements ?? []
        guard let point = commands.first(where: { $0["id"]?.text == id.description })?["point"]?.text else {
            throw .refused(
                .expired, "no command \(id) is under way; headgate command show \(id) tells what became of it")
        }
        return point
    }

    /// Everything that happened to a command.
    package func history(of id: CommandID) throws(DeskProblem) -> CommandReport {
        let reply = try ask("commands \(id)")
        guard let events = reply["events"] else { throw .unexpected(reply.shown) }
        return CommandReport(id: id, events: events.elements)
    }

    // MARK: - One line out, one line in

    private func expectDone(_ reply: JSONValue) throws(DeskProblem) {
        guard reply["done"] == .bool(true) else { throw .unexpected(reply.shown) }
    }

    private func ask(
        _ words: String, _ document: JSONValue? = nil, within limit: Duration = promptness
    ) throws(DeskProblem) -> JSONValue {
        let line = document.map { "\(words) \($0.shown)" } ?? words
        guard line.utf8.count <= ControlProtocol.requestLimit else {
            throw .tooLong(byteCount: line.utf8.count, limit: ControlProtocol.requestLimit)
        }
        // Asked first, so that silence afterwards means that the fate of the request is not known.
        guard control.ask("status", timeout: Self.promptness) != nil else { throw .noGateway(folder: folder) }
        guard let answer = control.ask(line, timeout: limit) else { throw .unanswered }
        guard let reply = try? JSONValue(parsing: Array(answer.utf8)), case .object = reply else {
            throw .unexpected(answer)
        }
        if let message = reply["error"] { throw .refused(code: reply["code"]?.text, message: message.shown) }
        return reply
    }
}
