import CMosquitto
import Engine
import Foundation
import Model
import Synchronization

/// The C client and everything that its callbacks touch. The network thread owns the loop; publishing is allowed from any
/// thread (`mosquitto_threaded_set`).
final class MosquittoClient: Sendable {
    /// libmosquitto's client: its own locks guard it once it is in threaded mode.
    private struct Handle: @unchecked Sendable {
        let pointer: OpaquePointer
    }

    private struct State {
        var isConnected = false
        /// Message ids that the library gave, and our names for them.
        var tokens: [Int32: PublishToken] = [:]
        /// Acknowledgements that came before the publish call had returned its message id; nil while there is no such
        /// call.
        var early: [Int32: PublishOutcome]?
        var packetLimit: Int?
        /// Why the broker refused or ended the session: its code, and in words.
        var reason: (code: Int32, words: String)?
        var resetReason: String?
        /// Since when the broker owes an acknowledgement; nil while it owes none.
        var owesSince: ContinuousClock.Instant?
    }

    /// Wakes the network thread.
    let bell: Bell
    let isVersion5: Bool
    let inbox = Inbox<UplinkEvent>()
    /// Where messages come in; nil for a connection that only publishes.
    let inlet: Inlet?
    private let handle: Handle
    private let state = Mutex(State())
    /// Held by calls of other threads into the library, and while the network thread makes the library's client new. Callbacks
    /// never take it.
    private let calls = Mutex(())
    private let settings: PublisherSettings
    private let will: OutboundMessage?

    var pointer: OpaquePointer { handle.pointer }

    init?(settings: PublisherSettings, will: OutboundMessage?, intake: IntakeSettings?) {
        _ = MosquittoLibrary.isReady
        // What comes in while nobody is here is kept by the broker.
        guard let bell = Bell(), let pointer = mosquitto_new(settings.clientID, intake == nil, nil) else { return nil }
        self.bell = bell
        self.settings = settings
        self.will = will
        inlet = intake.map { Inlet($0, bell: bell) }
        handle = Handle(pointer: pointer)
        isVersion5 = settings.version == .v5
        configure()
    }

    private func configure() {
        mosquitto_int_option(pointer, MOSQ_OPT_PROTOCOL_VERSION, Int32(settings.version.rawValue))
        mosquitto_int_option(pointer, MOSQ_OPT_SEND_MAXIMUM, Int32(settings.window))
        mosquitto_int_option(pointer, MOSQ_OPT_TCP_NODELAY, 1)
        mosquitto_threaded_set(pointer, true)
        if let inlet { mosquitto_int_option(pointer, MOSQ_OPT_RECEIVE_MAXIMUM, Int32(inlet.settings.window)) }
        will?.payload.withUnsafeBytes { bytes in
            guard let will else { return }
            _ = mosquitto_will_set_v5(
                pointer, will.topic, Int32(bytes.count), bytes.baseAddress, Int32(will.qos), will.isRetained, nil)
        }
        installCallbacks()
        if inlet != nil { installIntakeCallbacks() }
    }

    /// Makes the library's client new, between two sessions. It would send again what the last session left without an
    /// acknowledgement, as the journal does: a packet that the broker does not take would end each session for ever.
    ///
    /// - Returns: what is wrong, in words.
    func renew() -> String? {
        let code = calls.withLock { _ in
            let code = mosquitto_reinitialise(pointer, settings.clientID, inlet == nil, nil)
            if code == MOSQ_ERR_SUCCESS.rawValue { configure() }
            return code
        }
        guard code != MOSQ_ERR_SUCCESS.rawValue else { return nil }
        return "the MQTT library cannot open a session: \(String(cString: mosquitto_strerror(code)))"
    }

    /// Tells the broker goodbye, for another thread than the network's.
    func disconnect() {
        calls.withLock { _ in _ = mosquitto_disconnect_v5(pointer, 0, nil) }
    }

    deinit {
        mosquitto_destroy(handle.pointer)
    }

    var isConnected: Bool { state.withLock { $0.isConnected } }

    /// Asks the network thread to end this session, for a reason in words.
    func requestReset(_ reason: String) {
        state.withLock { $0.resetReason = reason }
        bell.ring()
    }

    /// Why the session shall end; nil where nobody asked.
    var resetReason: String? { state.withLock { $0.resetReason } }

    var unacknowledgedCount: Int { state.withLock { $0.tokens.count } }

    /// How long the broker has owed an acknowledgement without giving any.
    var owedFor: Duration { state.withLock { $0.owesSince.map { ContinuousClock.now - $0 } ?? .zero } }

    // MARK: - Connecting

    /// Gives the library its end of a line to the broker; nothing of MQTT is sent yet.
    ///
    /// - Parameter pingInterval: seconds, see MQTT 5, 3.1.2.10.
    /// - Returns: our end of the line.
    func connect(pingInterval: Int32, properties: OpaquePointer?) throws(ConnectFault) -> Int32 {
        guard let exchange = BrokerLine.Exchange() else { throw ConnectFault(reason: "no socket on 127.0.0.1") }
        defer { exchange.end() }
        let code = mosquitto_connect_bind_v5(pointer, "127.0.0.1", exchange.port, pingInterval, nil, properties)
        guard code == MOSQ_ERR_SUCCESS.rawValue, let end = exchange.finish(mosquitto_socket(pointer)) else {
            throw ConnectFault(
                reason: "the MQTT library cannot open a session: \(String(cString: mosquitto_strerror(code)))")
        }
        return end
    }

    // MARK: - Publishing

    func publish(_ message: OutboundMessage, token: PublishToken) throws(UplinkError) {
        let result = calls.withLock { _ in
            Result<Void, UplinkError> { () throws(UplinkError) in try hand(message, token: token) }
        }
        try result.get()
    }

    private func hand(_ message: OutboundMessage, token: PublishToken) throws(UplinkError) {
        let (isConnected, limit) = state.withLock { state in
            state.early = [:]
            return (state.isConnected, state.packetLimit)
        }
        defer { state.withLock { $0.early = nil } }
        guard isConnected else { throw .notConnected }
        if let limit, message.packetByteCount > limit { throw .tooLarge(limit: limit) }
        var messageID: Int32 = 0
        let code = send(message, &messageID)
        guard code == MOSQ_ERR_SUCCESS.rawValue else { throw error(code) }
        let early = state.withLock { state -> PublishOutcome? in
            if let outcome = state.early?.removeValue(forKey: messageID) { return outcome }
            state.tokens[messageID] = token
            state.owesSince = state.owesSince ?? .now
            return nil
        }
        if let early { inbox.post(.outcome(token, early)) }
    }

    private func send(_ message: OutboundMessage, _ messageID: inout Int32) -> Int32 {
        var properties: OpaquePointer?
        if isVersion5, !message.payload.isEmpty {
            mosquitto_property_add_string(&properties, Int32(MQTT_PROP_CONTENT_TYPE.rawValue), message.contentType)
        }
        if isVersion5, let data = message.correlationData, data.count <= Int(UInt16.max) {
            mosquitto_property_add_binary(
                &properties, Int32(MQTT_PROP_CORRELATION_DATA.rawValue), data, UInt16(data.count))
        }
        if isVersion5, let expiry = message.expiry {
            let seconds = UInt32(clamping: max(1, expiry.milliseconds / 1000))
            mosquitto_property_add_int32(&properties, Int32(MQTT_PROP_MESSAGE_EXPIRY_INTERVAL.rawValue), seconds)
        }
        defer { mosquitto_property_free_all(&properties) }
        return message.payload.withUnsafeBytes { bytes in
            mosquitto_publish_v5(
                handle.pointer, &messageID, message.topic, Int32(bytes.count), bytes.baseAddress, Int32(message.qos),
                message.isRetained, properties)
        }
    }

    private func error(_ code: Int32) -> UplinkError {
        switch code {
        case MOSQ_ERR_NO_CONN.rawValue: .notConnected
        case MOSQ_ERR_OVERSIZE_PACKET.rawValue, MOSQ_ERR_PAYLOAD_SIZE.rawValue:
            .tooLarge(limit: state.withLock { $0.packetLimit } ?? 268_435_455)
        default: .invalid(String(cString: mosquitto_strerror(code)))
        }
    }

    // MARK: - Events

    fileprivate func connected(code: Int32, properties: OpaquePointer?) {
        guard code == 0 else {
            state.withLock { $0.reason = (code, refusal(code)) }
            return
        }
        var packetLimit: UInt32 = 0
        var receiveMaximum: UInt16 = 0
        mosquitto_property_read_int32(properties, Int32(MQTT_PROP_MAXIMUM_PACKET_SIZE.rawValue), &packetLimit, false)
        mosquitto_property_read_int16(properties, Int32(MQTT_PROP_RECEIVE_MAXIMUM.rawValue), &receiveMaximum, false)
        let limit = packetLimit == 0 ? nil : Int(packetLimit)
        inlet?.sessionChanged()
        state.withLock { $0 = State(isConnected: true, early: $0.early, packetLimit: limit) }
        inbox.post(.connected(packetLimit: limit, receiveMaximum: receiveMaximum == 0 ? nil : Int(receiveMaximum)))
    }

    /// The session is gone, or never came about.
    func disconnected(_ reason: String) {
        inlet?.sessionChanged()
        state.withLock { $0 = State() }
        inbox.post(.disconnected(reason))
    }

    /// What the broker said when it refused or ended the session, told once.
    func takeReason() -> (code: Int32, words: String)? {
        state.withLock { state in
            defer { state.reason = nil }
            return state.reason
        }
    }

    fileprivate func ended(code: Int32) {
        guard code != 0 else { return }
        let words =
            code >= 0x80 ? String(cString: mosquitto_reason_string(code)) : String(cString: mosquitto_strerror(code))
        // What the broker said when it refused the session says more than that it ended.
        state.withLock { $0.reason = $0.reason ?? (code, words) }
    }

    private func refusal(_ code: Int32) -> String {
        String(cString: isVersion5 ? mosquitto_reason_string(code) : mosquitto_connack_string(code))
    }

    fileprivate func published(_ messageID: Int32, reason: Int32) {
        // MQTT 5, 3.4.2.1: 0x10 "no matching subscribers" and everything below 0x80 is success.
        let outcome: PublishOutcome = reason < 0x80 ? .acknowledged : .refused(UInt8(truncatingIfNeeded: reason))
        let token = state.withLock { state -> PublishToken? in
            if let token = state.tokens.removeValue(forKey: messageID) {
                state.owesSince = state.tokens.isEmpty ? nil : .now
                return token
            }
            state.early?[messageID] = outcome
            return nil
        }
        if let token { inbox.post(.outcome(token, outcome)) }
    }

    private func installCallbacks() {
        mosquitto_user_data_set(handle.pointer, Unmanaged.passUnretained(self).toOpaque())
        mosquitto_connect_v5_callback_set(handle.pointer) { _, owner, code, _, properties in
            MosquittoClient.owner(owner)?.connected(code: code, properties: properties)
        }
        mosquitto_disconnect_v5_callback_set(handle.pointer) { _, owner, code, _ in
            MosquittoClient.owner(owner)?.ended(code: code)
        }
        mosquitto_publish_v5_callback_set(handle.pointer) { _, owner, messageID, reason, _ in
            MosquittoClient.owner(owner)?.published(messageID, reason: reason)
        }
    }

    static func owner(_ pointer: UnsafeMutableRawPointer?) -> MosquittoClient? {
        pointer.map { Unmanaged<MosquittoClient>.fromOpaque($0).takeUnretainedValue() }
    }
}

/// The library's one-time set-up.
private enum MosquittoLibrary {
    static let isReady: Bool = {
        signal(SIGPIPE, SIG_IGN)
        return mosquitto_lib_init() == MOSQ_ERR_SUCCESS.rawValue
    }()
}
