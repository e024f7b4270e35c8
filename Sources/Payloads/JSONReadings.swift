package import Engine
package import Model
import Synchronization

/// Journal rows as `reading/1` and `gap/1` documents. The hot path: what is the same in every reading of a point is made
/// once for each layout, a time is formatted once for each block.
package final class JSONReadings: PayloadEncoder {
    private let gateway: String
    private let topic: TopicTemplate
    private let qos: Int
    private let prepared = Mutex<[LayoutID: PreparedLayout]>([:])

    /// Layouts kept at once; beyond, all are made anew as they come.
    private static let layoutLimit = 4096

    package init(gateway: String, topic: TopicTemplate, qos: Int) {
        self.gateway = gateway
        self.topic = topic
        self.qos = qos
    }

    package func messages(
        for entry: JournalEntry, layout: DeviceLayout?, isReplay: Bool, sent: UnixTime, packetLimit: Int?
    ) -> [OutboundMessage] {
        let envelope = Envelope(entry: entry, isReplay: isReplay, sent: sent)
        switch entry.body {
        case .gap(let gap):
            let message = message(for: gap, envelope)
            return message.fits(packetLimit) ? [message] : []
        case .readings(let batch):
            let layout = preparation(of: batch.layout, layout)
            let message = message(for: batch, envelope, layout)
            if message.fits(packetLimit) { return [message] }
            return parts(of: batch, envelope, layout, wholeByteCount: message.packetByteCount, packetLimit ?? .max)
        }
    }

    /// The batch in as few equal parts as fit, none where a single reading is too large.
    private func parts(
        of batch: ReadingBatch, _ envelope: Envelope, _ layout: PreparedLayout, wholeByteCount: Int, _ packetLimit: Int
    ) -> [OutboundMessage] {
        var count = wholeByteCount / max(1, packetLimit) + 1
        while count <= batch.count {
            let messages = (0..<count).map { part in
                let range = batch.count * part / count..<batch.count * (part + 1) / count
                return message(for: batch.slice(range), envelope.part(part + 1, of: count), layout)
            }
            if messages.allSatisfy({ $0.fits(packetLimit) }) { return messages }
            count = count == batch.count ? count + 1 : min(batch.count, count + max(1, count / 4))
        }
        return []
    }

    // MARK: - Readings

    /// The constant bytes of one layout.
    private struct PreparedLayout: Sendable {
        var topic: String
        /// `"device":"…","readings":[`
        var device: [UInt8]
        /// `{"point":"…","def":"…","time":"`
        var heads: PackedTexts
        /// `,"unit":"…"`, empty where there is none.
        var units: PackedTexts
    }

    private func preparation(of id: LayoutID, _ layout: DeviceLayout?) -> PreparedLayout {
        if let known = prepared.withLock({ $0[id] }) { return known }
        let layout = layout ?? DeviceLayout(device: "unknown", labels: [], entries: [])
        let made = PreparedLayout(
            topic: topic.topic(gateway: gateway, device: layout.device, labels: layout.labels),
            device: Array(#""device":"\#(layout.device)","readings":["#.utf8),
            heads: PackedTexts(layout.entries.map { #"{"point":"\#($0.id)","def":"\#($0.definition)","time":""# }),
            units: PackedTexts(layout.entries.map { entry in entry.unit.map { #","unit":"\#($0)""# } ?? "" }))
        prepared.withLock { layouts in
            if layouts.count >= Self.layoutLimit { layouts = [:] }
            layouts[id] = made
        }
        return made
    }

    private func message(
        for batch: ReadingBatch, _ envelope: Envelope, _ layout: PreparedLayout
    ) -> OutboundMessage {
        var json = JSONWriter(capacity: 160 * batch.count + 256)
        json.object { json in
            json.envelope("reading/1", gateway: gateway, envelope)
            json.raw(layout.device)
            json.endHead()
            json.readings(batch, layout.heads, layout.units)
            json.endReadings()
        }
        return OutboundMessage(topic: layout.topic, payload: json.bytes, qos: qos)
    }

    // MARK: - Gaps

    private func message(for gap: GapRecord, _ envelope: Envelope) -> OutboundMessage {
        var json = JSONWriter()
        json.object { json in
            json.envelope("gap/1", gateway: gateway, envelope)
            json.optional("device", gap.device) { $0.string($1) }
            json.optional("point", gap.point) { $0.string($1) }
            json.optional("from_seq", gap.positions?.lowerBound) { $0.integer($1) }
            json.optional("to_seq", gap.positions?.upperBound) { $0.integer($1) }
            json.member("from") { $0.time(gap.from) }
            json.member("to") { $0.time(gap.to) }
            json.member("reason") { $0.string(gap.reason.code) }
            json.member("count") { $0.integer(gap.count) }
        }
        let topic = gap.device.map { "headgate/v1/\(gateway)/gap/\($0)" } ?? "headgate/v1/\(gateway)/gap"
        return OutboundMessage(topic: topic, payload: json.bytes, qos: qos)
    }
}

/// What every document of a row says besides its content.
private struct Envelope {
    var entry: JournalEntry
    var isReplay: Bool
    var sent: UnixTime
    /// Which part of how many, where a batch is larger than the broker takes; counted from 1.
    var part: (number: Int, count: Int)?

    func part(_ number: Int, of count: Int) -> Envelope {
        var copy = self
        copy.part = (number, count)
        return copy
    }
}

extension OutboundMessage {
    fileprivate func fits(_ packetLimit: Int?) -> Bool {
        packetLimit.map { packetByteCount <= $0 } ?? true
    }
}

extension JSONWriter {
    /// The fields that every row has.
    fileprivate mutating func envelope(_ schema: String, gateway: String, _ envelope: Envelope) {
        member("schema") { $0.string(schema) }
        member("gateway") { $0.string(gateway) }
        member("epoch") { $0.integer(envelope.entry.epoch) }
        member("seq") { $0.integer(envelope.entry.position) }
        if let part = envelope.part {
            member("part") { $0.integer(part.number) }
            member("parts") { $0.integer(part.count) }
        }
        member("sent") { $0.time(envelope.sent) }
        if envelope.isReplay { member("replay") { $0.bool(true) } }
        if envelope.entry.isVolatile { member("volatile") { $0.bool(true) } }
    }
}
