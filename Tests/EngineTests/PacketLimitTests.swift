import Engine
import Testing

@Suite struct PacketLimitTests {
    private static func message(_ byteCount: Int) -> OutboundMessage {
        OutboundMessage(topic: "t", payload: [UInt8](repeating: 0, count: byteCount - 49))
    }

    /// What gets through by a broker with this limit, after how many refusals.
    private static func search(_ limit: Int, whole: Int, smallest: Int, endsSessions: Bool) -> (Int?, Int) {
        var search = PacketLimit()
        search.connected(announced: nil, at: .zero)
        for attempt in 0..<30 {
            let tries = search.tries.isEmpty ? [whole] : search.tries
            guard let bytes = tries.first(where: { $0 >= smallest }) else { return (nil, attempt) }
            let message = message(bytes)
            search.sent(1, message)
            if message.packetByteCount <= limit { return (bytes, attempt) }
            if endsSessions {
                _ = search.disconnected(at: .seconds(1))
                search.connected(announced: nil, at: .zero)
            } else {
                let isTooLarge = search.refused(1, code: 0x95)
                #expect(isTooLarge)
            }
        }
        return (nil, 30)
    }

    @Test(arguments: [400, 1000, 2599], [true, false])
    func theLimitIsFoundInAFewSteps(limit: Int, endsSessions: Bool) {
        let (found, refusals) = Self.search(limit, whole: 2600, smallest: 100, endsSessions: endsSessions)
        #expect(found.map { $0 <= limit } == true)
        #expect(refusals <= 4)
    }

    @Test func aLimitThatLeavesLittleRoomAboveTheSmallestPartIsFound() {
        #expect(Self.search(400, whole: 2600, smallest: 380, endsSessions: true).0 != nil)
    }

    @Test func aNetworkThatFailsOnceTeachesNothing() {
        var limit = PacketLimit()
        limit.connected(announced: nil, at: .zero)
        limit.sent(1, Self.message(500))
        let isLearned1 = limit.disconnected(at: .seconds(3))
        #expect(!isLearned1)
        limit.connected(announced: nil, at: .seconds(4))
        limit.sent(2, Self.message(500))
        limit.acknowledged(2, at: .seconds(4))
        limit.sent(3, Self.message(500))
        let isLearned2 = limit.disconnected(at: .seconds(5))
        #expect(!isLearned2)
        #expect(limit.current == nil && limit.words == nil)
    }

    @Test func aBrokerThatRestartsDoesNotShrinkWhatItTookBefore() {
        var limit = PacketLimit()
        func take(_ byteCount: Int) {
            limit.connected(announced: nil, at: .zero)
            limit.sent(1, Self.message(byteCount))
            limit.acknowledged(1, at: .zero)
            _ = limit.disconnected(at: .seconds(60))
        }
        func end(_ byteCount: Int) -> Bool {
            limit.connected(announced: nil, at: .zero)
            limit.sent(1, Self.message(byteCount))
            return limit.disconnected(at: .seconds(1))
        }
        take(2000)
        let unlimited = (0..<3).map { _ in end(2000) }
        #expect(unlimited == [false, false, false] && limit.current == nil)
        take(2000)
        _ = (end(8000), end(8000))
        take(1000)
        let learned = limit.current
        let limited = (0..<3).map { _ in end(1000) }
        #expect(learned == 1000 && limited == [false, false, false] && limit.current == learned)
        let isLowered = end(1000)
        #expect(isLowered, "the broker takes less than before")
    }

    /// A limit learned from two sessions that ended at a packet of 300 bytes to one topic.
    private static func suspicious() -> PacketLimit {
        var limit = PacketLimit()
        for _ in 0..<2 {
            limit.connected(announced: nil, at: .zero)
            limit.sent(1, message(300))
            _ = limit.disconnected(at: .seconds(1))
        }
        limit.connected(announced: nil, at: .seconds(2))
        return limit
    }

    private static func elsewhere(_ byteCount: Int) -> OutboundMessage {
        var message = message(byteCount)
        message.topic = "u"
        return message
    }

    @Test func aForbiddenTopicIsNotTakenForALimitOnceALargerPacketGoesElsewhere() {
        var limit = Self.suspicious()
        #expect(limit.objection(to: Self.message(400)) != nil && limit.objection(to: Self.elsewhere(400)) == nil)
        limit.sent(2, Self.elsewhere(400))
        limit.acknowledged(2, at: .seconds(3))
        #expect(limit.current == nil && limit.objection(to: Self.message(100)) != nil)
        #expect(limit.words == "the broker ends the session at packets to t, whatever their size")
        limit.connected(announced: nil, at: .seconds(3700))
        #expect(limit.objection(to: Self.message(100)) == nil && limit.words == nil)
    }

    @Test func aLimitIsBelievedForAllTopicsOnceASecondOneShowsIt() {
        var limit = Self.suspicious()
        limit.sent(2, Self.elsewhere(400))
        let isLearned = limit.disconnected(at: .seconds(3))
        #expect(isLearned && limit.objection(to: Self.elsewhere(400)) != nil)
    }

    @Test func aLimitLearnedFromEndsOfSessionsIsTriedAgainAfterAnHour() {
        var limit = Self.suspicious()
        limit.sent(2, Self.elsewhere(100))
        limit.acknowledged(2, at: .seconds(3599))
        #expect(limit.current != nil)
        limit.sent(3, Self.elsewhere(100))
        limit.acknowledged(3, at: .seconds(3602))
        #expect(limit.current == nil)
    }
}

@Suite struct RefusedTopicsTests {
    @Test func eachTopicIsNamedCountedAndOnlyRetainedOnesAreTriedAgain() {
        var topics = RefusedTopics<Int>()
        for second in 0..<3 { topics.refused("a", "not authorised", retry: 7, at: .seconds(second)) }
        topics.refused("b", "not authorised", retry: nil, at: .zero)
        #expect(topics.counts == ["a": 3, "b": 1] && topics.total == 4)
        #expect(topics.words?.contains("2 topics: a (not authorised), b") == true)
        let due3 = topics.takeDue(at: .seconds(30))
        #expect(due3 == [])
        let due4 = topics.takeDue(at: .seconds(42))
        #expect(due4 == [7])
        let due5 = topics.takeDue(at: .seconds(43))
        #expect(due5 == [])
        topics.accepted("a")
        #expect(topics.counts == ["b": 1])
        let due6 = topics.takeDue(at: .seconds(3600))
        #expect(due6 == [] && topics.isEmpty)
    }

    @Test func aThousandTopicsTakeBoundedRoom() {
        var topics = RefusedTopics<Int>()
        for number in 0..<1000 { topics.refused("t\(number)", "quota exceeded", retry: number, at: .seconds(number)) }
        #expect(topics.counts.count == 256 && topics.total == 1000)
    }
}
