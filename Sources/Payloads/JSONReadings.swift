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

    package func message(
        for entry: JournalEntry, layout: DeviceLayout?, isReplay: Bool, sent: UnixTime
    ) -> OutboundMessage {
        switch entry.body {
        case .gap(let gap): message(for: gap, entry, isReplay: isReplay, sent: sent)
        case .readings(let batch):
            message(for: batch, entry, preparation(of: batch.layout, layout), isReplay: isReplay, sent: sent)
        }
    }

    // MARK: - Readings

    /// The constant bytes of one layout.
    private struct PreparedLayout: Sendable {
        var topic: String
        /// `"device":"…","readings":[`
        var device: [UInt8]
        /// `{"point":"…","def":"…","time":"`
        var heads: [[UInt8]]
        /// `,"unit":"…"`, empty where there is none.
        var units: [[UInt8]]
    }

    private func preparation(of id: LayoutID, _ layout: DeviceLayout?) -> PreparedLayout {
        if let known = prepared.withLock({ $0[id] }) { return known }
        let layout = layout ?? DeviceLayout(device: "unknown", labels: [], entries: [])
        let made = PreparedLayout(
            topic: topic.topic(gateway: gateway, device: layout.device, labels: layout.labels),
            device: Array(#""device":"\#(layout.device)","readings":["#.utf8),
            heads: layout.entries.map { Array(#"{"point":"\#($0.id)","def":"\#($0.definition)","time":""#.utf8) },
            units: layout.entries.map { entry in entry.unit.map { Array(#","unit":"\#($0)""#.utf8) } ?? [] })
        prepared.withLock { layouts in
            if layouts.count >= Self.layoutLimit { layouts = [:] }
            layouts[id] = made
        }
        return made
    }

    private func message(
        for batch: ReadingBatch, _ entry: JournalEntry, _ layout: PreparedLayout, isReplay: Bool, sent: UnixTime
    ) -> OutboundMessage {
        var json = JSONWriter(capacity: 160 * batch.count + 256)
        json.object { json in
            json.envelope("reading/1", gateway: gateway, entry, sent: sent, isReplay: isReplay)
            json.raw(layout.device)
            json.endHead()
            json.readings(batch, layout.heads, layout.units)
            json.endReadings()
        }
        return OutboundMessage(topic: layout.topic, payload: json.bytes, qos: qos)
    }

    // MARK: - Gaps

    private func message(
        for gap: GapRecord, _ entry: JournalEntry, isReplay: Bool, sent: UnixTime
    ) -> OutboundMessage {
        var json = JSONWriter()
        json.object { json in
            json.envelope("gap/1", gateway: gateway, entry, sent: sent, isReplay: isReplay)
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

extension JSONWriter {
    /// The fields that every row has.
    fileprivate mutating func envelope(
        _ schema: String, gateway: String, _ entry: JournalEntry, sent: UnixTime, isReplay: Bool
    ) {
        member("schema") { $0.string(schema) }
        member("gateway") { $0.string(gateway) }
        member("epoch") { $0.integer(entry.epoch) }
        member("seq") { $0.integer(entry.position) }
        member("sent") { $0.time(sent) }
        if isReplay { member("replay") { $0.bool(true) } }
    }
}
