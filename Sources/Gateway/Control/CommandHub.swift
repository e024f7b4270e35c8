import Engine
import Logging
import Model
import Payloads

/// Between the command desk and those who send commands: brokers, and the people at the local socket. Knows which message
/// a token of the desk stands for.
actor CommandHub: ControlUplink {
    /// What a delivery token stands for.
    private enum Delivery {
        case broker(CommandConnection, Receipt)
        /// Somebody who waits for what the desk says; nil: done.
        case local(@Sendable (DeskRefusal?) -> Void)
    }

    /// What a person is told of a command.
    fileprivate enum Told {
        case event(CommandEvent)
        case refusal(DeskRefusal)
    }

    private let topics: CommandTopics
    private let inbound: InboundCommands
    private let clock: any Timekeeper
    private let logger: Logger
    private var room: ControlRoom?
    private var connections: [CommandConnection] = []
    private var connected: Set<String> = []
    /// Uptime of the last sign of life of any broker whose session has ended.
    private var lastSign: Duration?
    private var deliveries: [DeliveryToken: Delivery] = [:]
    private var nextToken: DeliveryToken = 1
    /// Who waits for the events of a command: several may ask for the same one.
    private var listeners: [CommandID: [DeliveryToken: AsyncStream<Told>.Continuation]] = [:]
    /// Newest retained documents, for brokers that forgot them and for people who ask.
    private(set) var held: [CommandID: HeldCommand] = [:]
    private var slots: [String: SlotReport] = [:]
    /// What brokers that were away may still have, and must not: commands that are decided, points that nobody commands.
    private var decided: [CommandID] = []
    private var unclaimed: Set<String> = []
    /// Messages on topics of ours that mean nothing.
    private(set) var strays: UInt64 = 0

    private static let decidedLimit = 256
    /// Events are of no use to a consumer that comes much later: the audit log has them.
    private static let eventExpiry = Duration.seconds(3600)
    /// How long a person waits for the desk.
    private static let answerTime = Duration.seconds(10)
    /// How long a person waits for a command to come to a rest.
    private static let commandTime = Duration.seconds(14)

    init(gateway: String, inbound: InboundCommands, clock: any Timekeeper, logger: Logger) {
        self.logger = logger
        topics = CommandTopics(gateway: gateway)
        self.inbound = inbound
        self.clock = clock
    }

    func attach(_ room: ControlRoom, _ connections: [CommandConnection]) async {
        self.room = room
        self.connections = connections
        // Until one is there they are away: a broker that is dead at the start is as good as lost.
        if !connections.isEmpty { await room.submit(.broker(isConnected: false)) }
    }

    /// Lets go of those who wait for the desk, which has ended: what it has not begun it will never begin. Brokers deliver
    /// again what was not acknowledged, to the desk that comes.
    func close() {
        room = nil
        for case .local(let answer) in deliveries.values { answer(Self.notReady) }
        deliveries = [:]
    }

    /// Before the desk runs, and after it has ended.
    private static let notReady = DeskRefusal(
        code: .notReady, message: "the command desk is being set up anew; ask again in a moment")

    // MARK: - From brokers

    func take(_ message: InboundMessage, from connection: CommandConnection) async {
        let token = token(.broker(connection, message.receipt))
        guard let room, let event = inbound.event(message, from: connection.name, token: token, now: clock.utc) else {
            strays += 1
            return acknowledge(token)
        }
        // The broker keeps what there is no room for, and delivers it again.
        if !(await room.submit(event)) {
            deliveries[token] = nil
            connection.giveBack(message.receipt)
        }
    }

    /// - Parameter silence: how long the broker had said nothing when the session ended.
    func session(of connection: CommandConnection, isConnected: Bool, silence: Duration) async {
        let was = !connected.isEmpty
        if !isConnected { lastSign = max(lastSign ?? .zero, clock.uptime - silence) }
        if isConnected { connected.insert(connection.name) } else { connected.remove(connection.name) }
        if isConnected { sendRetained(to: connection) }
        guard was == connected.isEmpty else { return }
        let silent = lastSign.map { max(.zero, clock.uptime - $0) } ?? .zero
        await room?.submit(.broker(isConnected: !connected.isEmpty, silentFor: silent))
    }

    private func sendRetained(to connection: CommandConnection) {
        let gone = unclaimed.map { DeskMessage.unclaimed(point: $0) } + decided.map { DeskMessage.decided($0) }
        let documents = gone + slots.values.map { .slot($0) } + held.values.map { .held($0) }
        for outbound in documents.compactMap(message) { connection.send(outbound) }
    }

    // MARK: - ControlUplink

    func publish(_ message: DeskMessage) {
        let message = completed(message)
        switch message {
        case .event(let event):
            for listener in event.id.flatMap({ listeners[$0]?.values }) ?? [:].values { listener.yield(.event(event)) }
        case .held(let command): held[command.command.id] = command
        case .decided(let id): forgetHeld(id)
        case .slot(let report):
            slots[report.point] = report
            unclaimed.remove(report.point)
        case .unclaimed(let point):
            slots[point] = nil
            unclaimed.insert(point)
        case .outcome: break
        }
        if let outbound = self.message(message) {
            for connection in connections { connection.send(outbound) }
        }
        if case .event(let event) = message, let reply = event.reply {
            let answer = OutboundMessage(
                topic: reply.topic, payload: event.document.bytes, correlationData: reply.correlation,
                expiry: Self.eventExpiry)
            for connection in connections where connection.name == reply.broker { connection.send(answer) }
        }
    }

    /// Who decides second, or after an escalation, needs to see what the guards said, which the desk tells once.
    private func completed(_ message: DeskMessage) -> DeskMessage {
        guard case .held(var command) = message, command.guards.isEmpty, let known = held[command.command.id] else {
            return message
        }
        command.guards = known.guards
        return .held(command)
    }

    private func forgetHeld(_ id: CommandID) {
        held[id] = nil
        decided.removeAll { $0 == id }
        decided = (decided + [id]).suffix(Self.decidedLimit)
    }

    func publish(checkpoint note: [UInt8]) {
        for connection in connections { connection.send(topics.checkpoint(note)) }
    }

    func acknowledge(_ token: DeliveryToken) {
        // People wait for the answer, not for the acknowledgement.
        guard case .broker(let connection, let receipt)? = deliveries[token] else { return }
        deliveries[token] = nil
        connection.acknowledge(receipt)
    }

    func answer(_ token: DeliveryToken, refusal: DeskRefusal?) {
        guard case .local(let answer)? = deliveries[token] else { return }
        deliveries[token] = nil
        answer(refusal)
    }

    /// The log is the only trace of such a write until the ledger is back.
    func willWriteUnrecorded(_ write: SetpointWrite) {
        logger.error(
            "fallback written without an audit entry: the ledger cannot be written",
            metadata: [
                "point": "\(write.point)", "id": "\(write.tag.command)", "write": "\(write.tag.number)",
                "value": "\(String(decoding: JSONValue(write.value).bytes, as: UTF8.self))",
            ])
    }

    /// Nil for what has no topic: junk that was about no point.
    private func message(_ message: DeskMessage) -> OutboundMessage? {
        switch message {
        case .event(let event):
            event.point.map { point in
                OutboundMessage(
                    topic: topics.event(point: point), payload: event.document.bytes, expiry: Self.eventExpiry)
            }
        case .held(let command):
            OutboundMessage(
                topic: topics.held(command.command.id), payload: command.document.bytes, isRetained: true)
        case .decided(let id): OutboundMessage(topic: topics.held(id), payload: [], isRetained: true)
        case .unclaimed(let point):
            OutboundMessage(topic: topics.slot(point: point), payload: [], isRetained: true)
        case .slot(let report):
            OutboundMessage(topic: topics.slot(point: report.point), payload: report.document.bytes, isRetained: true)
        case .outcome(let outcome):
            OutboundMessage(topic: topics.outcome(outcome.plan.command.id), payload: outcome.document.bytes)
        }
    }

    private func token(_ delivery: Delivery) -> DeliveryToken {
        defer { nextToken += 1 }
        deliveries[nextToken] = delivery
        return nextToken
    }

    // MARK: - From people

    /// Hands over a decision or an order and waits for what the desk says; nil: done.
    func ask(_ event: (DeliveryToken) -> DeskEvent) async -> DeskRefusal? {
        let silence = DeskRefusal(code: .auditUnavailable, message: "no answer; the ledger may be away, see the log")
        guard let room else { return Self.notReady }
        let (answers, continuation) = AsyncStream.makeStream(of: DeskRefusal?.self)
        let token = token(
            .local { refusal in
                continuation.yield(refusal)
                continuation.finish()
            })
        defer { deliveries[token] = nil }
        guard await room.submit(event(token)) else {
            return Self.overloaded
        }
        return await first(of: answers, within: Self.answerTime) { _ in true }.last ?? silence
    }

    /// Hands over a command and gathers its events until it comes to a rest, or the desk has ended.
    ///
    /// - Throws: why the desk has not even begun with it.
    func run(_ command: Command, digest: [UInt8], sender: Sender) async throws(DeskRefusal) -> [CommandEvent] {
        guard let room else { throw Self.notReady }
        let (answers, continuation) = AsyncStream.makeStream(of: Told.self)
        let token = token(
            .local { refusal in
                if let refusal { continuation.yield(.refusal(refusal)) }
                continuation.finish()
            })
        listeners[command.id, default: [:]][token] = continuation
        defer { forget(token, of: command.id) }
        let request = IncomingRequest(command: command, digest: digest, sender: sender, token: token)
        guard await room.submit(.request(request)) else { throw Self.overloaded }
        let told = await first(of: answers, within: Self.commandTime) { $0.isLast(for: command.action) }
        var events: [CommandEvent] = []
        var refusal = DeskRefusal(code: .auditUnavailable, message: "no answer; see the log of the gateway")
        for answer in told {
            switch answer {
            case .event(let event): events.append(event)
            case .refusal(let why): refusal = why
            }
        }
        guard events.isEmpty else { return events }
        throw refusal
    }

    private static let overloaded = DeskRefusal(
        code: .rateLimit, message: "too much waits already; later again")

    private func forget(_ token: DeliveryToken, of id: CommandID) {
        deliveries[token] = nil
        listeners[id]?[token] = nil
        if listeners[id]?.isEmpty ?? false { listeners[id] = nil }
    }

    /// Elements until one is the last, or time is over.
    private func first<Element: Sendable>(
        of stream: AsyncStream<Element>, within limit: Duration, until isLast: @Sendable @escaping (Element) -> Bool
    ) async -> [Element] {
        let deadline = clock.uptime + limit
        return await withTaskGroup(of: [Element].self) { [clock] group in
            group.addTask {
                var elements: [Element] = []
                for await element in stream {
                    elements.append(element)
                    if isLast(element) { break }
                }
                return elements
            }
            group.addTask {
                try? await clock.sleep(until: deadline)
                return []
            }
            // The stream ends with its task: what came until then counts.
            let elements = await group.next() ?? []
            group.cancelAll()
            return elements.isEmpty ? await group.next() ?? [] : elements
        }
    }
}

extension CommandHub.Told {
    /// Whether a person need not wait for more: the command has come to a rest, or is not begun with.
    fileprivate func isLast(for action: Command.Action) -> Bool {
        guard case .event(let event) = self else { return true }
        return switch event.state {
        case .received, .executing, .indeterminate, .reverting: false
        case .written: event.code == .unverified
        case .approved: action != .set
        default: true
        }
    }
}
