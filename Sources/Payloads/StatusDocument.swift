package import Engine
package import Model

/// `status/1`: whether the gateway lives, how its devices are, what waits in its buffer. Retained, and the will.
package struct StatusDocument: Sendable {
    package enum State: String, Sendable {
        case online, offline, stopping
    }

    package var gateway: String
    package var state: State
    package var epoch: UInt32
    package var version: String
    /// Nil in the will, which is written long before it is true.
    package var time: UnixTime?
    package var devices: [String: DeviceStatus]
    package var journal: JournalFigures?
    package var publishers: [String: PublisherFigures]
    /// Nil where nothing was ever commanded.
    package var commands: CommandsStatus?
    /// More members of `commands`: what became of them lately, and how watchdogs are fed; null where there is neither.
    package var commandFigures: JSONValue = .null
    /// What the local socket turned away; null where nothing was, and in what is published.
    package var localSocket: JSONValue = .null

    package init(
        gateway: String, state: State, epoch: UInt32, version: String, time: UnixTime?,
        devices: [String: DeviceStatus] = [:], journal: JournalFigures? = nil,
        publishers: [String: PublisherFigures] = [:]
    ) {
        self.gateway = gateway
        self.state = state
        self.epoch = epoch
        self.version = version
        self.time = time
        self.devices = devices
        self.journal = journal
        self.publishers = publishers
    }

    package var message: OutboundMessage {
        OutboundMessage(topic: "headgate/v1/\(gateway)/status", payload: json, isRetained: true)
    }

    package var json: [UInt8] {
        var json = JSONWriter(capacity: 1024)
        json.object { json in
            json.member("schema") { $0.string("status/1") }
            json.member("gateway") { $0.string(gateway) }
            json.member("state") { $0.string(state.rawValue) }
            json.member("epoch") { $0.integer(epoch) }
            json.member("version") { $0.string(version) }
            json.optional("time", time) { $0.time($1) }
            json.member("devices") {
                $0.object { list in
                    for (id, status) in devices.sorted(by: { $0.key < $1.key }) {
                        list.member(id) { $0.device(status) }
                    }
                }
            }
            json.member("buffer") { $0.buffer(journal, publishers) }
            json.optional("commands", commands) { $0.commands($1, commandFigures) }
            if localSocket != .null { json.member("local_socket") { $0.raw(localSocket.bytes) } }
        }
        return json.bytes
    }
}

extension JSONWriter {
    fileprivate mutating func device(_ status: DeviceStatus) {
        object { json in
            json.member("state") { $0.string(status.state.rawValue) }
            json.optional("since", status.since) { $0.time($1) }
            json.optional("last_good", status.lastGood) { $0.time($1) }
            json.member("polls") { $0.integer(status.polls) }
            json.member("failed_polls") { $0.integer(status.failedPolls) }
            json.member("missed_polls") { $0.integer(status.missedPolls) }
            json.optional("trouble", status.trouble) { $0.string($1) }
            if !status.learned.refused.isEmpty {
                json.member("refused") {
                    $0.array { list in status.learned.refused.forEach { list.string($0.description) } }
                }
            }
        }
    }

    fileprivate mutating func commands(_ status: CommandsStatus, _ figures: JSONValue) {
        object { json in
            json.member("state") { $0.string(status.state.rawValue) }
            json.optional("fault", status.fault) { $0.string($1) }
            if status.unrecorded > 0 { json.member("unrecorded") { $0.integer(status.unrecorded) } }
            if case .object(let members) = figures {
                for member in members { json.member(member.key) { $0.raw(member.value.bytes) } }
            }
            if !status.brokers.isEmpty {
                json.member("brokers") {
                    $0.object { list in
                        for (name, broker) in status.brokers.sorted(by: { $0.key < $1.key }) {
                            list.member(name) { $0.commandBroker(broker) }
                        }
                    }
                }
            }
            guard !status.alarms.isEmpty else { return }
            json.member("alarms") {
                $0.array { list in
                    for alarm in status.alarms {
                        list.object { json in
                            json.member("point") { $0.string(alarm.point) }
                            json.member("fallback") { $0.value(alarm.fallback) }
                            json.member("reason") { $0.string(alarm.reason) }
                            json.member("advice") { $0.string(alarm.advice) }
                        }
                    }
                }
            }
        }
    }

    private mutating func commandBroker(_ broker: CommandBroker) {
        object { json in
            json.member("connected") { $0.bool(broker.isConnected) }
            json.member("refused") { $0.integer(broker.refused) }
            json.optional("trouble", broker.trouble) { $0.string($1) }
            guard !broker.topics.isEmpty else { return }
            json.member("refused_topics") {
                $0.object { list in
                    for (topic, count) in broker.topics.sorted(by: { $0.key < $1.key }) {
                        list.member(topic) { $0.integer(count) }
                    }
                }
            }
        }
    }

    fileprivate mutating func buffer(_ journal: JournalFigures?, _ publishers: [String: PublisherFigures]) {
        object { json in
            if let journal {
                json.member("first_seq") { $0.integer(journal.first) }
                json.member("next_seq") { $0.integer(journal.next) }
                json.member("bytes") { $0.integer(journal.byteCount) }
                json.member("used_bytes") { $0.integer(journal.usedByteCount) }
                json.member("lost_readings") { $0.integer(journal.lostReadings) }
                json.member("volatile_rows") { $0.integer(journal.volatileRows) }
                json.optional("fault", journal.fault) { $0.string($1) }
            }
            json.member("publishers") {
                $0.object { list in
                    for (name, figures) in publishers.sorted(by: { $0.key < $1.key }) {
                        list.member(name) { $0.publisher(figures) }
                    }
                }
            }
        }
    }

    private mutating func publisher(_ figures: PublisherFigures) {
        object { json in
            json.member("connected") { $0.bool(figures.isConnected) }
            json.member("state") { $0.string(figures.state.rawValue) }
            json.member("pending") { $0.integer(figures.pending) }
            json.member("set_aside") { $0.integer(figures.setAside) }
            json.optional("drain_s", figures.drainSeconds) { $0.number($1) }
            json.member("acknowledged") { $0.integer(figures.acknowledged) }
            json.member("refused") { $0.integer(figures.refused) }
            json.optional("trouble", figures.trouble) { $0.string($1) }
        }
    }
}
