package import Engine
package import Model

/// The answer to an ad-hoc read, as the shell and the local socket give it.
package struct ReadDocument: Sendable {
    fileprivate struct Row: Hashable, Sendable {
        var point: String
        var value: PointValue
        var unit: String?
        /// The name of the value (`enum`).
        var label: String?
        var reasons: QualityReasons

        init(point: Point, value: PointValue, reasons: QualityReasons) {
            self.point = point.name
            self.value = value
            self.reasons = reasons
            label = point.label(of: value)
            unit = point.datatype.isNumeric ? point.unit : nil
        }
    }

    private let device: String
    private let rows: [Row]
    private let fault: DeviceFault?

    /// - Parameters:
    ///   - readings: see ``Poller/readNow(_:)``.
    ///   - fault: the last one of the device; given where a value is bad for it.
    package init(
        device: String, readings: [(point: Point, value: PointValue, reasons: QualityReasons)],
        fault: DeviceFault? = nil
    ) {
        let rows = readings.map { Row(point: $0.point, value: $0.value, reasons: $0.reasons) }
        self.device = device
        self.rows = rows
        self.fault = fault.flatMap { fault in
            rows.contains { $0.reasons.quality == .bad && $0.reasons.contains(fault.reason) } ? fault : nil
        }
    }

    /// `{"device":…,"last_fault":…,"readings":[{"point","value","label","unit","quality","reasons"}]}`; `last_fault` is
    /// there where the device did not give a value, and gives the cause in words.
    package var json: [UInt8] {
        var json = JSONWriter(capacity: 1024)
        json.object { json in
            json.member("device") { $0.string(device) }
            json.optional("last_fault", fault?.words) { $0.string($1) }
            json.member("readings") { $0.array { list in rows.forEach { list.reading($0, device) } } }
        }
        return json.bytes
    }

    /// `{"error":…}`
    package static func problem(_ text: String) -> [UInt8] {
        var json = JSONWriter()
        json.object { $0.member("error") { $0.string(text) } }
        return json.bytes
    }
}

extension JSONWriter {
    fileprivate mutating func reading(_ row: ReadDocument.Row, _ device: String) {
        object { json in
            json.member("point") { $0.string("\(device)/\(row.point)") }
            json.member("value") { $0.value(row.value) }
            json.optional("label", row.label) { $0.string($1) }
            json.optional("unit", row.unit) { $0.string($1) }
            json.member("quality") { $0.string(row.reasons.quality.name) }
            if !row.reasons.isEmpty {
                json.member("reasons") { $0.array { list in row.reasons.reasons.forEach { list.string($0.code) } } }
            }
        }
    }
}
