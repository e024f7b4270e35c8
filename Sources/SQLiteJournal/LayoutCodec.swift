import Engine
import Model

extension DeviceLayout {
    /// The layout as the bytes that the journal stores.
    var encoded: [UInt8] {
        var writer = ByteWriter()
        writer.text(device)
        writer.varint(UInt64(labels.count))
        for label in labels {
            writer.text(label.key)
            writer.text(label.value)
        }
        writer.varint(UInt64(entries.count))
        for entry in entries {
            writer.text(entry.id)
            writer.text(entry.definition)
            writer.optional(entry.unit)
        }
        return writer.bytes
    }

    init(encoded: [UInt8]) throws(ByteReader.Malformed) {
        var reader = ByteReader(encoded)
        self.init(device: try reader.text(), labels: [], entries: [])
        for _ in 0..<(try reader.count(limit: reader.remaining)) {
            labels.append(Label(key: try reader.text(), value: try reader.text()))
        }
        for _ in 0..<(try reader.count(limit: reader.remaining)) {
            let (id, definition, unit) = (try reader.text(), try reader.text(), try reader.text())
            entries.append(Entry(id: id, definition: definition, unit: unit.isEmpty ? nil : unit))
        }
    }
}

extension [PositionInterval] {
    /// What a publisher still has to deliver, as bytes: pairs of low and length, length 0 for the open one.
    var encoded: [UInt8] {
        var writer = ByteWriter()
        writer.varint(UInt64(count))
        for interval in self {
            writer.varint(interval.low)
            writer.varint(interval.high.map { $0 - interval.low } ?? 0)
        }
        return writer.bytes
    }

    init(encoded: [UInt8]) throws(ByteReader.Malformed) {
        var reader = ByteReader(encoded)
        self = []
        for _ in 0..<(try reader.count(limit: reader.remaining)) {
            let low = try reader.varint()
            let length = try reader.varint()
            guard length <= UInt64.max - low else { throw ByteReader.Malformed() }
            append(PositionInterval(low: low, high: length == 0 ? nil : low + length))
        }
    }
}
