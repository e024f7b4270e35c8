import Engine
import Model
import MosquittoUplink
import Synchronization

/// The connection over which one broker's commands come and their events go: apart from the readings', so that a flood of
/// the ones does not hold up the others.
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
    }

    let name: String
    private let uplink: MosquittoUplink
    fileprivate let outbox = Mutex(Outbox())

    /// - Parameter settings: of the publisher whose broker it is.
    /// - Throws: when the connection cannot be set up, in words.
    init(_ settings: PublisherSettings, subscriptions: [String]) throws {
        name = settings.name
        uplink = try MosquittoUplink(settings: settings.forCommands, will: nil, intake: IntakeSettings())
        uplink.subscribe(subscriptions)
    }

    /// Messages dropped because the broker was away for too long.
    var dropped: UInt64 { outbox.withLock { $0.dropped } }

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
                case .connected:
                    outbox.withLock { $0.isConnected = true }
                    silence = .zero
                    await changed(true, .zero)
                case .silent(let time): silence = time
                case .disconnected:
                    let was = outbox.withLock { $0.loseSession() }
                    if was { await changed(false, silence) }
                case .outcome(let token, _):
                    // A refused event cannot be helped by sending it again; the audit has it.
                    outbox.withLock { outbox in outbox.inFlight[token] = nil }
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
        while let (token, message) = outbox.withLock({ $0.take(Self.window) }) {
            do throws(UplinkError) {
                try uplink.publish(message, token: token)
            } catch {
                let again = error == .notConnected
                outbox.withLock { $0.failed(token, again: again) }
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

    /// The next message to hand over; with nil the pumping ends.
    fileprivate mutating func take(_ window: Int) -> (PublishToken, OutboundMessage)? {
        guard isConnected, !waiting.isEmpty, inFlight.count < window else {
            isPumping = false
            return nil
        }
        let token = nextToken
        nextToken += 1
        let message = waiting.removeFirst()
        inFlight[token] = message
        return (token, message)
    }

    fileprivate mutating func failed(_ token: PublishToken, again: Bool) {
        guard let message = inFlight.removeValue(forKey: token) else { return }
        if again { waiting.insert(message, at: 0) } else { dropped += 1 }
    }

    /// - Returns: whether there was a session.
    fileprivate mutating func loseSession() -> Bool {
        defer { isConnected = false }
        waiting.insert(contentsOf: inFlight.sorted { $0.key < $1.key }.map(\.value), at: 0)
        inFlight = [:]
        return isConnected
    }
}
