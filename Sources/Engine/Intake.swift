package import Model

/// Names one delivery of one message: given back when it is settled.
package typealias Receipt = UInt64

/// A message that a broker delivered.
package struct InboundMessage: Hashable, Sendable {
    package var topic: String
    /// Empty for a message above ``IntakeSettings/largestPayload``.
    package var payload: [UInt8]
    /// Bytes of the payload as it came.
    package var payloadByteCount: Int
    /// 0 or 1. One of QoS 0 is delivered once at the most, whatever is said about it.
    package var qos: Int
    /// The broker had it in store, or (MQTT 5) it was published to be stored: nobody may be waiting for it any more.
    package var isRetained: Bool
    /// MQTT 5: where an answer is expected, and what it must carry.
    package var responseTopic: String?
    package var correlationData: [UInt8]?
    /// MQTT 5: what is left of the message's life.
    package var expiry: Duration?
    package var receipt: Receipt

    package init(
        topic: String, payload: [UInt8], payloadByteCount: Int? = nil, qos: Int = 1, isRetained: Bool = false,
        responseTopic: String? = nil, correlationData: [UInt8]? = nil, expiry: Duration? = nil, receipt: Receipt
    ) {
        self.topic = topic
        self.payload = payload
        self.payloadByteCount = payloadByteCount ?? payload.count
        self.qos = qos
        self.isRetained = isRetained
        self.responseTopic = responseTopic
        self.correlationData = correlationData
        self.expiry = expiry
        self.receipt = receipt
    }

    /// Whether the payload was left out because it is too large.
    package var isOversized: Bool { payloadByteCount > payload.count }
}

/// What an intake takes, and how long it holds it.
package struct IntakeSettings: Hashable, Sendable {
    /// Messages that may be unsettled at once, 1 to 1000. The broker keeps those that follow.
    package var window: Int
    /// Bytes of a payload above which a message is delivered without it.
    package var largestPayload: Int
    /// Bytes of a packet above which a broker of MQTT 5 is told not to deliver it at all.
    package var largestPacket: Int
    /// How long a message may stay unsettled before its session is ended, so that the broker delivers it again.
    package var holdTime: Duration
    /// How long a broker of MQTT 5 keeps messages for a gateway that is away.
    package var sessionExpiry: Duration

    package init(
        window: Int = 20, largestPayload: Int = 64 << 10, largestPacket: Int = 8 << 20,
        holdTime: Duration = .seconds(5), sessionExpiry: Duration = .seconds(3600)
    ) {
        self.window = window
        self.largestPayload = largestPayload
        self.largestPacket = largestPacket
        self.holdTime = holdTime
        self.sessionExpiry = sessionExpiry
    }
}

/// What came in since the start.
package struct IntakeFigures: Hashable, Sendable {
    package var received: UInt64 = 0
    package var acknowledged: UInt64 = 0
    /// Given back to the broker, to be delivered again.
    package var returned: UInt64 = 0
    /// Sessions ended because a message was not settled in time.
    package var overdue: UInt64 = 0
    package var oversized: UInt64 = 0
    /// The most messages that were unsettled at once.
    package var mostUnsettled: Int = 0
    /// Filters that the broker does not let us subscribe to, since the last session began.
    package var refusedFilters: [String] = []

    package init() {}
}

/// Messages from a broker, each of which the broker keeps until somebody here has answered for it.
package protocol Intake: Sendable {
    /// From now on exactly these filters are subscribed to at QoS 1, also after every reconnect.
    func subscribe(_ filters: [String])

    /// Takes what was delivered since the last call, in order; waits while there is nothing. Nil once it is closed. One
    /// reader at a time. Nothing more is delivered before all of it is settled.
    func nextMessages() async -> [InboundMessage]?

    /// The message is in safe hands, or needs none: the broker may forget it. A receipt of an ended session is ignored.
    func acknowledge(_ receipt: Receipt)

    /// The message cannot be taken now. Its session is ended, and the broker delivers it and whatever is unsettled again.
    func giveBack(_ receipt: Receipt)

    var intakeFigures: IntakeFigures { get }
}

extension PublisherSettings {
    /// The same broker over a session of its own, for requests: a flood of them holds up neither readings nor persons.
    package var forCommands: PublisherSettings { session("commands") }

    /// The same broker over a session of its own, for decisions, orders and all that goes out about commands.
    package var forSite: PublisherSettings { session("site") }

    private func session(_ suffix: String) -> PublisherSettings {
        var settings = self
        settings.name = "\(name)-\(suffix)"
        settings.clientID = "\(clientID)-\(suffix)"
        return settings
    }
}
