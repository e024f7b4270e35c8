import CMosquitto
package import Engine
import Files
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
    private let connectTime: Duration
    private let lookup: BrokerName.Lookup

    /// How long a goodbye may take.
    private static let closingTime = Duration.seconds(1)
    /// MQTT 5, 3.14.2.1: another client connected with our client id.
    private static let takenOver: Int32 = 0x8E
    /// A session that another client took over is not fought for at once.
    private static let takenOverPause = 30.0

    /// - Parameters:
    ///   - will: what the broker publishes when this client disappears; nil for nothing.
    ///   - intake: for a connection that also takes messages in, see ``Intake``. Its session outlives the connection.
    ///   - reconnect: shortest and longest pause between attempts, in seconds; it doubles in between.
    ///   - connectTime: how long a broker may take to accept a connection, and then to answer: the next one of the list may
    ///     be well.
    package init(
        settings: PublisherSettings, will: OutboundMessage?, intake: IntakeSettings? = nil,
        reconnect: ClosedRange<Double> = 1...15, connectTime: Duration = .seconds(10),
        lookup: @escaping BrokerName.Lookup = BrokerName.system
    ) throws(UplinkError) {
        guard let client = MosquittoClient(settings: settings, will: will, intake: intake) else {
            throw .invalid("the MQTT client cannot be made for client id '\(settings.clientID)'")
        }
        self.settings = settings
        self.intake = intake
        self.client = client
        bounds = reconnect
        self.connectTime = connectTime
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
        client.inlet?.wake()
    }

    package func reset(_ reason: String) {
        client.requestReset(reason)
    }

    package func close() async {
        let deadline = ContinuousClock.now + Self.closingTime
        while client.isConnected, client.unacknowledgedCount > 0, ContinuousClock.now < deadline {
            try? await Task.sleep(for: .milliseconds(10))
        }
        isStopping.store(true, ordering: .relaxed)
        mosquitto_disconnect_v5(client.pointer, 0, nil)
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
        while ended.wait(timeout: .now() + .milliseconds(20)) == .timedOut {
            if DispatchTime.now() > deadline { return }
            client.abandonConnecting()
        }
        // Whoever else closes need not wait.
        ended.signal()
    }

    // MARK: - Network thread

    private func run() {
        defer { ended.signal() }
        var broker = 0
        var pause = bounds.lowerBound
        while !isStopping.load(ordering: .relaxed) {
            let endpoint = settings.brokers[broker % settings.brokers.count]
            let wasConnected = runSession(endpoint)
            broker += 1
            if wasConnected.lasted { pause = bounds.lowerBound }
            if wasConnected.takenOver { pause = max(pause, Self.takenOverPause) }
            sleepInterruptibly(pause * Double.random(in: 1...1.25))
            pause = min(pause * 2, bounds.upperBound)
        }
    }

    /// One attempt at one broker, and the session that comes of it.
    private func runSession(_ endpoint: Endpoint) -> (lasted: Bool, takenOver: Bool) {
        if let problem = prepare() {
            client.disconnected(problem)
            return (false, false)
        }
        if let problem = lookup(endpoint.host) {
            client.disconnected("cannot connect to \(endpoint): \(problem)")
            return (false, false)
        }
        var properties = sessionProperties()
        defer { mosquitto_property_free_all(&properties) }
        let begun = ContinuousClock.now
        let code = client.connect(
            to: endpoint, pingInterval: Self.pingInterval(settings.keepAlive), properties: properties,
            within: connectTime)
        guard code == MOSQ_ERR_SUCCESS.rawValue else {
            let isLate = ContinuousClock.now - begun >= connectTime
            let words = isLate ? "no answer within \(connectTime)" : Self.words(code)
            client.disconnected("cannot connect to \(endpoint): \(words)")
            return (false, false)
        }
        return follow(endpoint, answerBy: ContinuousClock.now + connectTime)
    }

    /// The session of a connection that stands, until it ends.
    private func follow(_ endpoint: Endpoint, answerBy deadline: ContinuousClock.Instant) -> (
        lasted: Bool, takenOver: Bool
    ) {
        var lasted = false
        while true {
            // Before the first word to the broker, too: a close does not wait for a name server, and whoever came after it
            // has this client id by now.
            if isStopping.load(ordering: .relaxed), !lasted {
                client.disconnected("closed")
                return (false, false)
            }
            let (code, ownReason) = turn()
            lasted = lasted || client.isConnected
            if code != MOSQ_ERR_SUCCESS.rawValue {
                let reason = client.takeReason()
                if code == MOSQ_ERR_KEEPALIVE.rawValue, let inlet = client.inlet {
                    client.inbox.post(.silent(inlet.silence))
                }
                client.disconnected("\(endpoint): \(ownReason ?? reason?.words ?? Self.words(code))")
                return (lasted, reason?.code == Self.takenOver)
            }
            if let reason = client.resetReason {
                mosquitto_disconnect_v5(client.pointer, 0, nil)
                client.disconnected("\(endpoint): \(reason)")
                return (lasted, false)
            }
            if !lasted, ContinuousClock.now > deadline {
                client.disconnected("\(endpoint): accepts connections, but does not answer as a broker")
                return (false, false)
            }
            if isStopping.load(ordering: .relaxed), !mosquitto_want_write(client.pointer) {
                client.disconnected("closed")
                return (lasted, false)
            }
        }
    }

    /// One turn of the network loop.
    private func turn() -> (code: Int32, reason: String?) {
        guard let inlet = client.inlet else { return (mosquitto_loop(client.pointer, 100, 1), nil) }
        return client.turn(inlet) { isStopping.load(ordering: .relaxed) }
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

    /// Password and certificates are read again at each attempt, so that new ones need no restart.
    ///
    /// - Returns: what is wrong, in words.
    private func prepare() -> String? {
        if let username = settings.username {
            var password: String?
            if let file = settings.passwordFile {
                do {
                    let content = try RegularFile(file, limit: RegularFile.passwordLimit)
                    guard let text = content.text else { return "the password file \(file) is no text in UTF-8" }
                    password = text.hasSuffix("\n") ? String(text.dropLast()) : text
                } catch {
                    return "the password file \(file) cannot be read: \(error)"
                }
            }
            mosquitto_username_pw_set(client.pointer, username, password)
        }
        guard let tls = settings.tls else { return nil }
        if tls.authorityFile == nil { mosquitto_int_option(client.pointer, MOSQ_OPT_TLS_USE_OS_CERTS, 1) }
        for file in [tls.authorityFile, tls.certificateFile, tls.keyFile].compactMap({ $0 }) {
            // The library opens it by its path again, and would wait for a FIFO.
            do { _ = try RegularFile(file, limit: RegularFile.certificateLimit) } catch {
                return "the TLS file \(file) cannot be read: \(error)"
            }
        }
        let code = mosquitto_tls_set(
            client.pointer, tls.authorityFile, tls.authorityFile == nil ? "/etc/ssl/certs" : nil, tls.certificateFile,
            tls.keyFile, nil)
        mosquitto_tls_opts_set(client.pointer, 1, nil, nil)
        return code == MOSQ_ERR_SUCCESS.rawValue ? nil : "the TLS files are not usable: \(Self.words(code))"
    }

    /// By a clock that nobody sets: a wall clock set back by an hour would make this pause an hour longer.
    private func sleepInterruptibly(_ seconds: Double) {
        let deadline = ContinuousClock.now + .seconds(seconds)
        while ContinuousClock.now < deadline, !isStopping.load(ordering: .relaxed) { usleep(20_000) }
    }

    /// The library asks after one interval and gives up after a second one: together they are one and a half times what the
    /// site file says. It takes no less than 5 s.
    private static func pingInterval(_ keepAlive: Duration) -> Int32 {
        Int32(clamping: max(5, keepAlive.milliseconds * 3 / 4 / 1000))
    }

    private static func words(_ code: Int32) -> String {
        code == MOSQ_ERR_ERRNO.rawValue ? String(cString: strerror(errno)) : String(cString: mosquitto_strerror(code))
    }
}
