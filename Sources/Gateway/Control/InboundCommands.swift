import Engine
import Model
import Payloads

/// Turns what comes in on the command topics into events of the command desk. Nothing here decides whether it is done.
struct InboundCommands: Sendable {
    private let topics: CommandTopics
    private let verifier: JWSVerifier
    /// How far a sender's clock may be ahead.
    private let skew: Duration
    private let answers: AnswerTopics
    private let takingPlain: Set<String>

    /// Plain JSON of a request that no policy takes is read up to this size only, for the id that the refusal names.
    private static let attributedByteCount = 4096

    /// - Parameter takingPlain: points whose policy takes requests in plain JSON.
    init(
        gateway: String, keys: [String: IssuerKey], skew: Duration, publishers: [PublisherSettings] = [],
        takingPlain: Set<String> = []
    ) {
        self.takingPlain = takingPlain
        topics = CommandTopics(gateway: gateway)
        verifier = JWSVerifier(keys: keys)
        self.skew = skew
        answers = AnswerTopics(gateway: gateway, publishers: publishers)
    }

    /// Nil for a topic that is none of ours.
    func event(
        _ message: InboundMessage, from broker: String, token: DeliveryToken, now: UnixTime
    ) -> DeskEvent? {
        guard let inbound = topics.inbound(message.topic) else { return nil }
        var reply: ReplyAddress?
        let place: String? = if case .request(let point) = inbound { point } else { nil }
        do throws(IntakeProblem) {
            try checkUnread(message, inbound)
            let document = try SignedDocument(message.payload, verifier: verifier)
            // Who proves nothing does not choose what this gateway publishes where.
            if document.keyID != nil { reply = answers.reply(to: message, from: broker) }
            switch inbound {
            case .request(let point): return try request(point, document, message, reply, token)
            case .decision(let id): return try decision(id, document, message, token, now)
            case .control: return try order(document, message, reply, token, now)
            }
        } catch {
            return .junk(IncomingJunk(point: place, code: error.code, reply: reply, token: token))
        }
    }

    /// What need not be read to be refused: a flood of it must not delay others.
    private func checkUnread(
        _ message: InboundMessage, _ inbound: CommandTopics.Inbound
    ) throws(IntakeProblem) {
        guard !message.isOversized else { throw .tooLarge(limit: SignedDocument.byteLimit) }
        guard message.payload.first == UInt8(ascii: "{") else { return }
        guard case .request(let point) = inbound else { throw .format(.badSignature, "it must be signed") }
        guard takingPlain.contains(point) || message.payload.count <= Self.attributedByteCount else {
            throw .format(.badSignature, "the policy takes no plain JSON")
        }
    }

    private func request(
        _ point: String, _ document: SignedDocument, _ message: InboundMessage, _ reply: ReplyAddress?,
        _ token: DeliveryToken
    ) throws(IntakeProblem) -> DeskEvent {
        let command: Command
        do throws(IntakeProblem) { command = try document.command() } catch {
            guard document.keyID != nil, case .format(let code, let why) = error else { throw error }
            let id = document.value["id"]?.text.flatMap(CommandID.init)
            return .junk(
                IncomingJunk(
                    id: id, point: point, signer: document.keyID, code: code, note: why, reply: reply, token: token))
        }
        guard command.point == point else {
            throw .format(.badFormat, "the topic is of \(point), the command of \(command.point)")
        }
        let sender = document.keyID.map { Sender(name: $0) } ?? Sender(name: command.origin.actor, isProven: false)
        return .request(
            IncomingRequest(
                command: command, digest: document.digest, sender: sender, isRetained: message.isRetained, reply: reply,
                token: token))
    }

    private func decision(
        _ id: CommandID, _ document: SignedDocument, _ message: InboundMessage, _ token: DeliveryToken, _ now: UnixTime
    ) throws(IntakeProblem) -> DeskEvent {
        let decision: DecisionDocument
        let sender: Sender
        do throws(IntakeProblem) {
            decision = try document.decision()
            guard decision.id == id else {
                throw .format(.badFormat, "the topic is of \(id), the decision of \(decision.id)")
            }
            sender = try self.sender(document, message, issued: decision.issued, expires: decision.expires, now)
        } catch {
            // Who signed it hears why, where everything about the command is told.
            guard let name = document.keyID, case .format(let code, let why) = error else { throw error }
            return .junk(
                IncomingJunk(point: nil, decision: id, signer: name, code: code, note: why, token: token))
        }
        return .decision(
            IncomingDecision(
                id: id, gateway: decision.gateway, digest: decision.digest, expires: decision.expires,
                isApproval: decision.isApproval, reason: decision.reason, note: decision.note, sender: sender,
                token: token))
    }

    private func order(
        _ document: SignedDocument, _ message: InboundMessage, _ reply: ReplyAddress?, _ token: DeliveryToken,
        _ now: UnixTime
    ) throws(IntakeProblem) -> DeskEvent {
        let order = try ControlDocument(document.value)
        let sender = try self.sender(document, message, issued: order.issued, expires: order.expires, now)
        let copy = IncomingOrder.Copy(digest: document.digest, issued: order.issued, expires: order.expires)
        return .order(
            IncomingOrder(
                order.order, gateway: order.gateway, reason: order.reason, sender: sender, copy: copy, reply: reply,
                token: token))
    }

    /// Who signed it, if it is meant now.
    private func sender(
        _ document: SignedDocument, _ message: InboundMessage, issued: UnixTime, expires: UnixTime, _ now: UnixTime
    ) throws(IntakeProblem) -> Sender {
        guard let name = document.keyID else { throw .format(.badSignature, "it must be signed") }
        guard !message.isRetained else { throw .format(.badFormat, "a retained message is meant by nobody") }
        guard expires > now else { throw .format(.expired, "its time is over") }
        guard issued - now <= skew else { throw .format(.timeSkew, "it is issued in the future") }
        return Sender(name: name)
    }
}
