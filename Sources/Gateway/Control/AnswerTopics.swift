import Engine
import Model

/// Where answers may go. A sender chooses the topic of his answers (MQTT 5, response topic), and this gateway publishes
/// there with its own rights at the broker, which reach further than the sender's: an answer must become neither a command
/// nor anything that others take for the gateway's word. A topic that is not allowed is ignored: the request counts, and
/// its events go where they always go.
struct AnswerTopics: Hashable, Sendable {
    static let byteLimit = 256

    /// First levels under which nobody gets an answer: what gateways of this kind, Sparkplug nodes and brokers say.
    private static let reservedRoots: Set<String> = ["headgate", "spBv1.0", "spAv1.0"]

    /// Topics under which this gateway publishes readings, by their levels; nil stands for a level that depends on the device.
    private let readings: [[String?]]

    init(gateway: String, publishers: [PublisherSettings]) {
        readings = publishers.map { settings in
            let topic = settings.topic.split(separator: "{gateway}", omittingEmptySubsequences: false)
            return topic.joined(separator: gateway).split(separator: "/", omittingEmptySubsequences: false).map {
                $0.contains("{") ? nil : String($0)
            }
        }
    }

    func reply(to message: InboundMessage, from broker: String) -> ReplyAddress? {
        guard let topic = message.responseTopic, allows(topic) else { return nil }
        return ReplyAddress(broker: broker, topic: topic, correlation: message.correlationData ?? [])
    }

    func allows(_ topic: String) -> Bool {
        let levels = topic.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard !topic.isEmpty, topic.utf8.count <= Self.byteLimit, !topic.hasPrefix("$"),
            !topic.unicodeScalars.contains(where: { "+#".unicodeScalars.contains($0) || $0.value < 0x20 }),
            let root = levels.first, !Self.reservedRoots.contains(root)
        else { return false }
        return !readings.contains { Self.covers($0[...], levels[...]) }
    }

    /// Whether a topic is one of the pattern. What stands for a level may hold more than one once it is filled in: a device
    /// may be `hall/chiller`.
    private static func covers(_ pattern: ArraySlice<String?>, _ levels: ArraySlice<String>) -> Bool {
        guard let first = pattern.first else { return levels.isEmpty }
        if let text = first {
            return levels.first == text && covers(pattern.dropFirst(), levels.dropFirst())
        }
        return levels.indices.contains { covers(pattern.dropFirst(), levels[($0 + 1)...]) }
    }
}
