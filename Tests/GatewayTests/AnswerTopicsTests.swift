import Model
import Testing

@testable import Gateway

/// What a sender may name as the topic of his answers (MQTT 5).
@Suite struct AnswerTopicsTests {
    private static let topics = AnswerTopics(
        gateway: "gw",
        publishers: [
            PublisherSettings(name: "a", brokers: [], clientID: "a"),
            PublisherSettings(name: "b", brokers: [], clientID: "b", topic: "acme/{labels.site}/{gateway}/{device}"),
        ])

    @Test(arguments: [
        "headgate/v1/gw/c/req/d0/sp00", "headgate/v1/gw/c/slot/d0/sp00", "headgate/v1/other/c/ctl", "headgate",
        "$SYS/broker/uptime", "$share/group/answers", "spBv1.0/plant/NCMD/node", "answers/+", "answers/#", "",
        "answers/\0", "answers/\n", "acme/dresden/gw/chiller1", "acme/a/b/gw/hall/chiller1",
        String(repeating: "a", count: 257),
    ])
    func noAnswerGoesToWhatTheGatewayOrTheBrokerSays(topic: String) {
        #expect(!Self.topics.allows(topic))
    }

    @Test(arguments: ["answers/opt", "acme/dresden/answers", "acme/dresden/other/chiller1", "/headgate", "Headgate/x"])
    func anAnswerGoesAnywhereElse(topic: String) {
        #expect(Self.topics.allows(topic))
    }
}
