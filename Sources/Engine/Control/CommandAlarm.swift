package import Model

/// A point that could not be taken back to its fallback: somebody must look.
package struct CommandAlarm: Hashable, Sendable {
    package var point: String
    package var fallback: PointValue
    /// What went wrong, in words.
    package var reason: String
    /// The site file no longer has the point: nothing but a person at the device can help.
    package var isOrphaned: Bool

    package init(point: String, fallback: PointValue, reason: String, isOrphaned: Bool) {
        self.point = point
        self.fallback = fallback
        self.reason = reason
        self.isOrphaned = isOrphaned
    }

    package var advice: String {
        isOrphaned
            ? "set it at the device by hand and acknowledge it, or put the device back into the site file"
            : "look at the device; the gateway goes on trying"
    }
}

/// How governed commands are (`status/1`, field `commands`).
package struct CommandsStatus: Hashable, Sendable {
    package enum State: String, Sendable {
        /// Requests are taken.
        case taken
        /// The site file has no commands (any more): what an earlier one let be commanded is taken back.
        case ending
        /// The ledger cannot be written: nothing is taken.
        case refused
    }

    package var state: State
    package var fault: String?
    /// Entries that wait in memory for a ledger that is away.
    package var unrecorded: Int
    package var alarms: [CommandAlarm]
    /// By the name of the publisher whose broker it is.
    package var brokers: [String: CommandBroker] = [:]

    package init(state: State, fault: String? = nil, unrecorded: Int = 0, alarms: [CommandAlarm] = []) {
        self.state = state
        self.fault = fault
        self.unrecorded = unrecorded
        self.alarms = alarms
    }
}

/// How a broker treats what the command desk publishes and asks for.
package struct CommandBroker: Hashable, Sendable {
    package var isConnected = false
    /// What stands in the way, in words; nil while all is well.
    package var trouble: String?
    /// Messages that it refused since the start.
    package var refused: UInt64 = 0
    /// Refused messages by topic, as far as that still holds; filters that may not be subscribed to count as 1.
    package var topics: [String: UInt64] = [:]

    package init() {}

    /// Two sessions with the same broker as one.
    package func merging(_ other: CommandBroker) -> CommandBroker {
        var both = self
        both.isConnected = isConnected && other.isConnected
        both.refused += other.refused
        both.topics.merge(other.topics) { $0 + $1 }
        let words = trouble == other.trouble ? [trouble] : [trouble, other.trouble]
        both.trouble = words.joinedWords
        return both
    }
}
