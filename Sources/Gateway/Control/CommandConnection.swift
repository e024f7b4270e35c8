import Engine
import Model
import MosquittoUplink
import Synchronization

/// A session with one broker for commands, apart from that of the readings. Each broker has two: one takes requests, the
/// other takes decisions and orders and publishes everything, so that a flood of requests does not hold up a person.
final class CommandConnection: Sendable {
    /// Messages kept for a broker that is away; beyond, the oldest go, and retained ones are made anew at the next session.
    static let outboxLimit = 1000
    /// Publishes without an acknowledgement.
    private static let window = 50

    fileprivate struct Outbox {
        var isConnected = false
        /// Somebody hands messages to the library; whoever comes meanwhile leaves that to them, so that none is overtaken.
        var isPumping = false
        var waiting: [OutboundMessage] = []
        var inFlight: [PublishToken: OutboundMessage] = [:]
        var nextToken: PublishToken = 1
        var dropped: UInt64 = 0
        var refused = RefusedTopics<OutboundMessage>()
        var limit = PacketLimit()
        var reason: String?
    }

    let name: String
    private let uplink: MosquittoUplink
    private let clock: any Timekeeper
    fileprivate let outbox = Mutex(Outbox())

    /// - Parameters:
    ///   - name: of the publisher whose broker it is.
    ///   - settings: of the session.
    /// - Throws: when the connection cannot be set up, in words.
    init(_ name: String, _ settings: PublisherSettings, subscriptions: [String], clock: any Timekeeper) throws {
        self.name = name
        self.clock = clock
        uplink = try MosquittoUplink(settings: settings, will: nil, intake: IntakeSettings())
        uplink.subscribe(subscriptions)
    }

    /// How the broker treats what it is sent and asked for.
    var state: CommandBroker {
        let filters = uplink.intakeFigures.refusedFilters
        return outbox.withLock { outbox in
            var state = CommandBroker()
            state.isConnected = outbox.isConnected
            state.refused = outbox.refused.total
            state.topics = outbox.refused.counts.merging(filters.map { ($0, 1) }) { one, _ in one }
            let unsubscribed =
                filters.isEmpty
                ? nil : "the broker does not let this gateway subscribe to \(filters.joined(separator: ", "))"
            let lost = outbox.dropped > 0 ? "\(outbox.dropped) events were dropped while the broker was away" : nil
            let words =
                outbox.isConnected ? [unsubscribed, outbox.refused.words, outbox.limit.words] : [outbox.reason, lost]
            state.trouble = words.joinedWords
            return state
        }
    }

    /// Publishes what was refused and is retained again, after a pause.
    func retry() {
        let now = clock.uptime
        let isAny = outbox.withLock { outbox in
            guard outbox.isConnected else { return false }
            // What is newer than the refused message takes its place.
            let newer = Set((outbox.waiting + outbox.inFlight.values).map(\.topic))
            let due = outbox.refused.takeDue(at: now).filter { !newer.contains($0.topic) }
            outbox.waiting += due
            return !due.isEmpty
        }
        if isAny { pump() }
    }

    /// Queues a message; never waits.
    func send(_ message: OutboundMessage) {
        outbox.withLock { outbox in
            outbox.waiting.append(message)
            if outbox.waiting.count > Self.outboxLimit {
                outbox.waiting.removeFirst()
                outbox.dropped += 1
            }
        }
        pump()
    }

    func acknowledge(_ receipt: Receipt) {
        uplink.acknowledge(receipt)
    }

    func giveBack(_ receipt: Receipt) {
        uplink.giveBack(receipt)
    }

    /// Follows the session until the task is cancelled or the line is closed. With its end comes how long the broker had said
    /// nothing by then.
    func followSession(_ changed: @Sendable (_ isConnected: Bool, _ silence: Duration) async -> Void) async {
        var silence = Duration.zero
        while !Task.isCancelled, let events = await uplink.nextEvents() {
            for event in events {
                switch event {
                case .connected(let limit, _):
                    outbox.withLock { $0.beginSession(packetLimit: limit, at: clock.uptime) }
                    silence = .zero
                    await changed(true, .zero)
                case .silent(let time): silence = time
                case .disconnected(let reason):
                    let was = outbox.withLock { $0.loseSession(reason, at: clock.uptime) }
                    if was { await changed(false, silence) }
                case .outcome(let token, let outcome):
                    outbox.withLock { $0.take(outcome, of: token, at: clock.uptime) }
                }
            }
            pump()
        }
    }

    /// Hands on what comes in, until the task is cancelled or the line is closed.
    func followMessages(_ take: @Sendable (InboundMessage) async -> Void) async {
        while !Task.isCancelled, let messages = await uplink.nextMessages() {
            for message in messages { await take(message) }
        }
    }

    func close() async {
        await uplink.close()
    }

    private func pump() {
        guard outbox.withLock({ $0.beginPumping() }) else { return }
        while let (token, message) = outbox.withLock({ $0.take(Self.window, at: clock.uptime) }) {
            do throws(UplinkError) {
                try uplink.publish(message, token: token)
            } catch {
                let again = error == .notConnected
                outbox.withLock { $0.failed(token, again: again, at: clock.uptime) }
                guard !again else { return outbox.withLock { $0.isPumping = false } }
            }
        }
    }
}

extension CommandConnection.Outbox {
    fileprivate mutating func beginPumping() -> Bool {
        defer { isPumping = true }
        return !isPumping
    }

    fileprivate mutating func beginSession(packetLimit: Int?, at now: Duration) {
        isConnected = true
        reason = nil
        limit.connected(announced: packetLimit, at: now)
        refused.removeAll()
    }

    /// The next message to hand over; with nil the pumping ends.
    fileprivate mutating func take(_ window: Int, at now: Duration) -> (PublishToken, OutboundMessage)? {
        while isConnected, !waiting.isEmpty, inFlight.count < window {
            let message = waiting.removeFirst()
            if let objection = limit.objection(to: message) {
                refuse(message, objection, at: now)
                continue
            }
            let token = nextToken
            nextToken += 1
            inFlight[token] = message
            limit.sent(token, message)
            return (token, message)
        }
        isPumping = false
        return nil
    }

    fileprivate mutating func failed(_ token: PublishToken, again: Bool, at now: Duration) {
        guard let message = inFlight.removeValue(forKey: token) else { return }
        if again {
            // The session may have ended at this packet: its size stays a suspect.
            waiting.insert(message, at: 0)
        } else {
            limit.forget(token)
            refuse(message, "the MQTT library does not take it", at: now)
        }
    }

    /// A refused event is of no use later, and the audit has it; what is retained is tried again.
    private mutating func refuse(_ message: OutboundMessage, _ reason: String, at now: Duration) {
        refused.refused(message.topic, reason, retry: message.isRetained ? message : nil, at: now)
    }

    fileprivate mutating func take(_ outcome: PublishOutcome, of token: PublishToken, at now: Duration) {
        guard let message = inFlight.removeValue(forKey: token) else { return }
        switch outcome {
        case .acknowledged:
            limit.acknowledged(token, at: now)
            refused.accepted(message.topic)
        case .refused(let code):
            _ = limit.refused(token, code: code)
            refuse(message, PublishRefusal.words(code), at: now)
        }
    }

    /// - Returns: whether there was a session.
    fileprivate mutating func loseSession(_ reason: String, at now: Duration) -> Bool {
        defer { isConnected = false }
        let isLearned = limit.disconnected(at: now)
        self.reason = reason + (isLearned ? limit.words.map { "; \($0)" } ?? "" : "")
        waiting.insert(contentsOf: inFlight.sorted { $0.key < $1.key }.map(\.value), at: 0)
        inFlight = [:]
        return isConnected
    }
}
