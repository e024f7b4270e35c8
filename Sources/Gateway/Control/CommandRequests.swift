import Console
import Dispatch
import Engine
import Foundation
import Model
import Payloads
import SQLiteJournal

/// Requests of the local socket that concern commands. Who may open the socket is a person at this machine: a request names
/// the person of the site file that it comes from, and machines cannot be named. The name is a claim; what is recorded beside
/// it is the account that the kernel tells, and that nothing was signed.
struct CommandRequests {
    let assembly: Assembly
    let peer: Peer

    /// Verbs that only tell: also of a desk that takes nothing any more.
    private static let reading: Set<String> = ["commands", "metrics"]
    private static let verbs: Set<String> = ["command", "rehearse", "decide", "order", "commands", "metrics"]

    /// Nil for a request that is about something else.
    func answer(_ request: String) async -> [UInt8]? {
        let words = request.split(separator: " ", maxSplits: 2).map(String.init)
        guard let verb = words.first, Self.verbs.contains(verb) else { return nil }
        let isOpen = await assembly.takesCommands
        guard let center = await assembly.commandCenter, isOpen || Self.reading.contains(verb) else {
            let isExpected = await assembly.site.map(CommandCenter.isNeeded) ?? true
            return Self.problem(
                isExpected
                    ? DeskRefusal(code: .notReady, message: "the command desk is being set up; ask again in a moment")
                    : DeskRefusal(
                        code: .notWritable, message: "the site file has no commands section: nothing can be written"))
        }
        switch (verb, words.count) {
        case ("commands", 1): return await list(center)
        case ("metrics", 2...): return await metrics(words.dropFirst().joined(separator: " "), center)
        case ("commands", 2): return await history(of: words[1])
        case ("command", 3), ("rehearse", 3), ("decide", 3), ("order", 3):
            return await act(verb, as: words[1], words[2], center)
        default: return Self.problem(DeskRefusal(code: .badFormat, message: "\(verb) needs a name and a document"))
        }
    }

    private func act(_ verb: String, as name: String, _ document: String, _ center: CommandCenter) async -> [UInt8] {
        guard let issuer = center.site.issuers[name], issuer.category.isPerson else {
            let persons = center.site.issuers.values.filter(\.category.isPerson).map(\.name).sorted()
            return Self.problem(
                DeskRefusal(
                    code: .notAuthorised,
                    message: "\(name) is no person of the site file; there are: \(persons.joined(separator: ", "))"))
        }
        let account = LocalAccount(userID: peer.userID, userName: peer.userName)
        if let objection = SocketRule.objection(to: account, speakingFor: issuer, ownUserID: geteuid()) {
            return Self.problem(DeskRefusal(code: .notAuthorised, message: objection))
        }
        let sender = Sender(name: name, account: account)
        let bytes = Array(document.utf8)
        do {
            let value = try JSONValue(parsing: bytes)
            switch verb {
            case "decide": return await decide(try DecisionDocument(value), sender, center)
            case "order": return await order(try ControlDocument.order(value), sender, center)
            case "rehearse": return await rehearse(try Command(document: value), sender, center)
            default: return await run(try Command(document: value), sender, center)
            }
        } catch let problem as CommandFormatError {
            return Self.problem(DeskRefusal(code: problem.code, message: problem.message))
        } catch IntakeProblem.format(let code, let message) {
            return Self.problem(DeskRefusal(code: code, message: message))
        } catch {
            return Self.problem(DeskRefusal(code: .badFormat, message: "\(error)"))
        }
    }

    // MARK: - Acting

    /// What came over the socket is known by the digest of the bytes that the gateway itself makes of it.
    private func run(_ command: Command, _ sender: Sender, _ center: CommandCenter) async -> [UInt8] {
        let digest = SignedDocument.digest(command.document.bytes)
        do throws(DeskRefusal) {
            let events = try await center.hub.run(command, digest: digest, sender: sender)
            return JSONValue.compact([("events", .array(events.map(\.document)))]).bytes
        } catch {
            return Self.problem(error)
        }
    }

    private func rehearse(
        _ command: Command, _ sender: Sender, _ center: CommandCenter
    ) async -> [UInt8] {
        let request = IncomingRequest(
            command: command, digest: SignedDocument.digest(command.document.bytes), sender: sender)
        guard let verdicts = await center.room.rehearse(request) else {
            return Self.problem(DeskRefusal(code: .auditUnavailable, message: "the ledger cannot be written"))
        }
        return JSONValue.compact([("guards", .array(verdicts.map(\.document)))]).bytes
    }

    private func decide(_ decision: DecisionDocument, _ sender: Sender, _ center: CommandCenter) async -> [UInt8] {
        await Self.done(
            center.hub.ask { token in
                .decision(
                    IncomingDecision(
                        id: decision.id, gateway: decision.gateway, digest: decision.digest, expires: decision.expires,
                        isApproval: decision.isApproval, reason: decision.reason, note: decision.note, sender: sender,
                        token: token))
            })
    }

    private func order(
        _ order: (order: IncomingOrder.Order, gateway: String?, reason: String?), _ sender: Sender,
        _ center: CommandCenter
    ) async -> [UInt8] {
        await Self.done(
            center.hub.ask { token in
                .order(
                    IncomingOrder(
                        order.order, gateway: order.gateway, reason: order.reason, sender: sender, token: token))
            })
    }

    // MARK: - Telling

    private func list(_ center: CommandCenter) async -> [UInt8] {
        guard let view = await center.room.view else {
            return Self.problem(DeskRefusal(code: .auditUnavailable, message: "the ledger cannot be written"))
        }
        let held = await center.hub.held.values.sorted { $0.command.id < $1.command.id }
        return JSONValue.compact([
            ("commands", .array(view.commands.map(\.summary))), ("held", .array(held.map(\.document))),
            ("slots", .array(view.slots.map(\.document))), ("lockouts", .array(view.lockouts.map(\.summary))),
            ("figures", view.figures.document),
        ]).bytes
    }

    private func metrics(_ query: String, _ center: CommandCenter) async -> [UInt8] {
        guard let document = try? JSONValue(parsing: Array(query.utf8)), let query = MetricsQuery(document) else {
            return Self.problem(
                DeskRefusal(code: .badFormat, message: "metrics needs {\"seconds\":1 to 2592000,\"issuer\",\"point\"}"))
        }
        do {
            return try await center.metrics.report(query).document.bytes
        } catch {
            return Self.problem(DeskRefusal(code: .auditUnavailable, message: "the ledger cannot be read: \(error)"))
        }
    }

    /// What the audit log has of one command, in order.
    private func history(of id: String) async -> [UInt8] {
        guard let folder = await assembly.site?.gateway.stateFolder, let id = CommandID(id) else {
            return Self.problem(DeskRefusal(code: .badFormat, message: "'\(id)' is no id"))
        }
        let events = await withCheckedContinuation { continuation in
            DispatchQueue.global().async { continuation.resume(returning: Self.entries(folder, about: id)) }
        }
        guard !events.isEmpty else {
            return Self.problem(DeskRefusal(code: .badFormat, message: "no command \(id) in the audit log"))
        }
        return JSONValue.compact([("id", .string(id.description)), ("events", .array(events))]).bytes
    }

    private static func entries(_ folder: String, about id: CommandID) -> [JSONValue] {
        let name = Array(id.description.utf8)
        var entries: [JSONValue] = []
        guard let ledger = try? LedgerInspection(path: folder), let size = try? ledger.size() else { return [] }
        try? ledger.leaves(0..<size) { _, leaf in
            guard Data(leaf).range(of: Data(name)) != nil, let value = try? JSONValue(parsing: leaf) else { return }
            entries.append(value)
        }
        return entries
    }

    private static func done(_ refusal: DeskRefusal?) -> [UInt8] {
        refusal.map(problem) ?? JSONValue.compact([("done", .bool(true))]).bytes
    }

    private static func problem(_ refusal: DeskRefusal) -> [UInt8] {
        JSONValue.compact([("error", .string(refusal.message)), ("code", .string(refusal.code.rawValue))]).bytes
    }
}

extension ActiveCommand {
    /// A line of `headgate command list`.
    fileprivate var summary: JSONValue {
        .compact([
            ("id", .string(id.description)), ("point", .string(point)), ("state", .string(state.rawValue)),
            ("issuer", .string(issuer)), ("value", .value(value)), ("asked", .value(asked)),
            ("readback", .value(readback)),
            ("received", .time(received)), ("until", .time(end)), ("digest", .string(DocumentDigest.text(digest))),
        ])
    }
}

extension Lockouts.Entry {
    fileprivate var summary: JSONValue {
        .compact([
            ("scope", .string(scope.name)), ("since", .time(since)), ("by", .string(by)),
            ("reason", .optional(reason)),
        ])
    }
}

extension DeskFigures {
    fileprivate var document: JSONValue {
        func counts(_ counts: some Sequence<(String, UInt64)>) -> JSONValue {
            .object(counts.sorted { $0.0 < $1.0 }.map { .init($0.0, .integer($0.1)) })
        }
        return .compact([
            ("requests", .integer(requests)), ("duplicates", .integer(duplicates)), ("junk", .integer(junk)),
            ("unrecorded", .integer(unrecorded)), ("writes", .integer(writes)),
            ("outcomes_dropped", .integer(outcomesDropped)),
            ("states", counts(states.map { ($0.key.rawValue, $0.value) })),
            ("refusals", counts(refusals.map { ($0.key.rawValue, $0.value) })),
        ])
    }
}
