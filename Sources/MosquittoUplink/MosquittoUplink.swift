import CMosquitto
package import Engine
import Foundation
package import Model
import Synchronization

/// The uplink over libmosquitto, with a network thread of its own: the library's thread ends for good on errors from which
/// this one recovers.
package final class MosquittoUplink: Uplink {
    private let settings: PublisherSettings
    let client: MosquittoClient
    private let intake: IntakeSettings?
    private let isStopping = Atomic<Bool>(false)
    private let ended = DispatchSemaphore(value: 0)
    private let bounds: ClosedRange<Double>
    private let answerTime: Duration
    private let lookup: BrokerName.Lookup

    /// How long a goodbye may take.
    private static let closingTime = Duration.seconds(1)
    /// MQTT 5, 3.14.2.1: another client connected with our client id.
    private static let takenOver: Int32 = 0x8E

    /// - Parameters:
    ///   - will: what the broker publishes when this client disappears; nil for nothing.
    ///   - intake: for a connection that also takes messages in, see ``Intake``. Its session outlives the connection.
    ///   - reconnect: shortest and longest pause between attempts, in seconds, see ``ReconnectPause``.
    ///   - answerTime: how long a broker may take to accept a connection and to answer the CONNECT. One of a list may take as
    ///     long to answer anything else: the next one of the list may be well.
    package init(
        settings: PublisherSettings, will: OutboundMessage?, intake: IntakeSettings? = nil,
        reconnect: ClosedRange<Double> = 1...60, answerTime: Duration = .seconds(20),
        lookup: @escaping BrokerName.Lookup = BrokerName.system
    ) throws(UplinkError) {
        guard let client = MosquittoClient(settings: settings, will: will, intake: intake) else {
            throw .invalid("the MQTT client cannot be made for client id '\(settings.clientID)'")
        }
        self.settings = settings
        self.intake = intake
        self.client = client
        bounds = reconnect
        self.answerTime = answerTime
        self.lookup = lookup
        let thread = Thread { [self] in run() }
        thread.name = "mqtt \(settings.name)"
        thread.start()
    }

    package func nextEvents() async -> [UplinkEvent]? {
        await client.inbox.take()
    }

    package func publish(_ message: OutboundMessage, token: PublishToken) throws(UplinkError) {
        try client.publish(message, token: token)
        client.bell.ring()
    }

    package func reset(_ reason: String) {
        client.requestReset(reason)
    }

    package func close() async {
        let deadline = ContinuousClock.now + Self.closingTime
        while client.isConnected, client.unacknowledgedCount > 0, ContinuousClock.now < deadline {
            try? await Task.sleep(for: .milliseconds(10))
        }
        client.disconnect()
        isStopping.store(true, ordering: .releasing)
        client.bell.ring()
        await withCheckedContinuation { continuation in
            DispatchQueue.global().async { [self] in
                waitUntilEnded()
                continuation.resume()
            }
        }
        client.inbox.close()
        client.inlet?.inbox.close()
    }

    /// A thread that is still looking up a name is left alone: it ends by itself, and sends nothing more.
    private func waitUntilEnded() {
        let deadline = DispatchTime.now() + .milliseconds(Int(Self.closingTime.milliseconds))
        guard ended.wait(timeout: deadline) == .success else { return }
        // Whoever else closes need not wait.
        ended.signal()
    }

    // MARK: - Network thread

    /// How one attempt at a broker ended.
    private struct Ending {
        var reason: String
        /// How long the session stood; nil where none came about.
        var lasted: Duration?
        var isTakenOver = false
    }

    private func run() {
        defer { ended.signal() }
        let begun = ContinuousClock.now
        var attempt = 0
        var failuresInARow = 0
        var pause = ReconnectPause(bounds: bounds)
        while !isStopping.load(ordering: .acquiring) {
            let endpoint = settings.brokers[attempt % settings.brokers.count]
            let ending = runSession(endpoint)
            attempt += 1
            let now = ContinuousClock.now - begun
            var seconds: Double
            if let lasted = ending.lasted {
                failuresInARow = 0
                seconds = pause.ended(lasted: lasted, isTakenOver: ending.isTakenOver, at: now)
            } else {
                failuresInARow += 1
                seconds = pause.failed(at: now)
                // The next one of the list may be well.
                if failuresInARow % settings.brokers.count != 0 { seconds = 0 }
            }
            let hint = pause.hint(clientID: settings.clientID, isTakenOver: ending.isTakenOver)
            client.disconnected(ending.lasted == nil ? ending.reason : ending.reason + (hint.map { "; \($0)" } ?? ""))
            sleepInterruptibly(seconds * Double.random(in: 0.75...1))
        }
    }

    private var isStoppingNow: Bool { isStopping.load(ordering: .acquiring) }

    /// One attempt at one broker, and the session that comes of it.
    private func runSession(_ endpoint: Endpoint) -> Ending {
        if let problem = client.renew() ?? prepare() { return Ending(reason: problem) }
        if let problem = lookup(endpoint.host) { return Ending(reason: "cannot connect to \(endpoint): \(problem)") }
        var properties = sessionProperties()
        defer { mosquitto_property_free_all(&properties) }
        do throws(ConnectFault) {
            let socket = try BrokerSocket.connect(
                to: endpoint, tls: settings.tls, within: answerTime
            ) { isStoppingNow }
            // Before the first word to the broker: a close does not wait for a name server, and another client may have
            // this client id by now.
            guard !isStoppingNow else { return Ending(reason: "closed") }
            let end = try client.connect(pingInterval: pingInterval, properties: properties)
            let line = BrokerLine(
                socket, end: end,
                frames: BrokerFrames(version: settings.version, payloadLimit: intake?.largestPayload ?? 0))
            return follow(line, endpoint)
        } catch {
            return Ending(reason: "cannot connect to \(endpoint): \(error.reason)")
        }
    }

    /// The session of a connection that stands, until it ends.
    private func follow(_ line: BrokerLine, _ endpoint: Endpoint) -> Ending {
        let deadline = ContinuousClock.now + answerTime
        var accepted: ContinuousClock.Instant?
        func ending(_ reason: String, isTakenOver: Bool = false) -> Ending {
            Ending(reason: "\(endpoint): \(reason)", lasted: accepted.map { .now - $0 }, isTakenOver: isTakenOver)
        }
        while true {
            if isStoppingNow, accepted == nil { return ending("closed") }
            let end = client.turn(line) { isStoppingNow }
            if accepted == nil, client.isConnected { accepted = .now }
            if let end {
                let told = client.takeReason()
                if end.code == MOSQ_ERR_KEEPALIVE.rawValue, let inlet = client.inlet {
                    client.inbox.post(.silent(inlet.silence))
                }
                if end.isOurs { line.sayGoodbye() }
                let words = end.isOurs ? end.reason : told?.words ?? end.reason
                return ending(words ?? Self.words(end.code), isTakenOver: told?.code == Self.takenOver)
            }
            if isStoppingNow, !line.isBlocked, !mosquitto_want_write(client.pointer) {
                line.sayGoodbye()
                return ending("closed")
            }
            if let reason = client.resetReason ?? silence() { return ending(reason) }
            if accepted == nil, ContinuousClock.now > deadline {
                return ending("it accepts connections, but does not answer as a broker")
            }
        }
    }

    /// What one broker of a list owes for too long; nil while it does not, and for a broker that is the only one.
    private func silence() -> String? {
        guard settings.brokers.count > 1, client.isConnected else { return nil }
        let isAsking = client.inlet.map { $0.isAsking && $0.silence > answerTime } ?? false
        guard client.owedFor > answerTime || isAsking else { return nil }
        return "no answer within \(answerTime); trying the next broker of the list"
    }

    /// MQTT 5: how long the broker keeps the session, and the largest packet that it may send.
    private func sessionProperties() -> OpaquePointer? {
        guard let intake, client.isVersion5 else { return nil }
        var properties: OpaquePointer?
        let expiry = UInt32(clamping: intake.sessionExpiry.milliseconds / 1000)
        mosquitto_property_add_int32(&properties, Int32(MQTT_PROP_SESSION_EXPIRY_INTERVAL.rawValue), expiry)
        mosquitto_property_add_int32(
            &properties, Int32(MQTT_PROP_MAXIMUM_PACKET_SIZE.rawValue), UInt32(clamping: intake.largestPacket))
        return properties
    }

    /// The password is read again at each attempt, as certificates are, so that new ones need no restart.
    ///
    /// - Returns: what is wrong, in words.
    private func prepare() -> String? {
        guard let username = settings.username else { return nil }
        var password: String?
        do { password = try settings.passwordFile.map(CredentialFile.password) } catch {
            return "the password file cannot be read: \(error.reason)"
        }
        mosquitto_username_pw_set(client.pointer, username, password)
        return nil
    }

    /// By a clock that nobody sets: a wall clock set back by an hour would make this pause an hour longer.
    private func sleepInterruptibly(_ seconds: Double) {
        let deadline = ContinuousClock.now + .seconds(seconds)
        while ContinuousClock.now < deadline, !isStoppingNow { usleep(20_000) }
    }

    /// The library asks after one interval and gives up after a second one: together they are one and a half times what the
    /// site file says. It takes no less than 5 s. One of a list has 20 s for an answer.
    private var pingInterval: Int32 {
        let seconds = Int32(clamping: max(5, settings.keepAlive.milliseconds * 3 / 4 / 1000))
        return settings.brokers.count > 1 ? min(seconds, 20) : seconds
    }

    private static func words(_ code: Int32) -> String {
        code == MOSQ_ERR_ERRNO.rawValue ? String(cString: strerror(errno)) : String(cString: mosquitto_strerror(code))
    }
}
