package import Engine
import Model
import Payloads
import SQLiteJournal

/// Rows of a journal as text, also while a gateway runs on it (`headgate journal export`).
package struct JournalExport {
    package enum Format: String, CaseIterable, Sendable {
        /// One line a reading; a gap is a line with quality `gap` and without point and value.
        case csv
        /// `reading/1` and `gap/1` documents, one a line, as they are published, marked as replay.
        case jsonl
    }

    private let reader: JournalReader
    private let range: JournalRange
    private let format: Format
    private let devices: Set<String>
    /// `device/point`.
    private let points: Set<String>
    private let encoder: JSONReadings
    private let sent: UnixTime

    static let csvHeader = "time,device,point,value,unit,quality,reasons,epoch,seq,n"
    /// Names of codes, as a further column of CSV; nil for none.
    private let labels: PointLabels?

    /// - Parameters:
    ///   - gateway: its id, for the documents.
    ///   - devices: only these; all where empty, and where ``points`` name the devices.
    ///   - points: only these, as `device/point`; all where empty.
    ///   - labels: for a column with the names of codes, in CSV.
    /// - Throws: when there is no journal or it cannot be read, in words.
    package init(
        path: String, gateway: String, range: JournalRange, format: Format, devices: Set<String>, points: Set<String>,
        labels: PointLabels? = nil
    ) throws {
        reader = try JournalReader(path: path)
        self.range = range
        self.format = format
        self.devices = devices
        self.points = points
        self.labels = labels
        sent = SystemClock().utc
        encoder = JSONReadings(gateway: gateway, topic: try TopicTemplate("export"), qos: 0)
    }

    /// Hands over line after line.
    ///
    /// - Returns: rows that could not be decoded, and were left out.
    package func run(_ line: ([UInt8]) throws -> Void) throws -> [Position] {
        var damaged: [Position] = []
        if format == .csv { try line(Array((Self.csvHeader + (labels == nil ? "" : ",label")).utf8)) }
        try reader.forEach(from: range.start, before: range.end, recordedIn: range.recorded) { row in
            switch row.body {
            case nil: damaged.append(row.position)
            case .gap(let gap)?: if isWanted(gap) { try line(text(gap, row)) }
            case .readings(let batch)?:
                let layout = try reader.layout(batch.layout)
                let wanted = self.wanted(batch, layout)
                guard !wanted.isEmpty else { return }
                for text in texts(wanted, layout, row) { try line(text) }
            }
        }
        return damaged
    }

    // MARK: - What is wanted

    private func isWanted(_ gap: GapRecord) -> Bool {
        let device = gap.device.map { id in
            (devices.isEmpty || devices.contains(id)) && (points.isEmpty || points.contains { $0.hasPrefix(id + "/") })
        }
        return (device ?? true) && (range.contains(gap.from) || range.contains(gap.to))
    }

    private func wanted(_ batch: ReadingBatch, _ layout: DeviceLayout) -> ReadingBatch {
        guard devices.isEmpty || devices.contains(layout.device) else { return ReadingBatch(layout: batch.layout) }
        let isWanted = batch.points.indices.map { index in
            let point = Int(batch.points[index])
            return range.contains(batch.times[index]) && point < layout.entries.count
                && (points.isEmpty || points.contains(layout.entries[point].id))
        }
        if isWanted.allSatisfy({ $0 }) { return batch }
        var part = ReadingBatch(layout: batch.layout)
        for index in batch.points.indices where isWanted[index] {
            for raw in batch.raw where raw.reading == index {
                part.raw.append(RawWords(reading: part.count, words: raw.words))
            }
            part.append(
                point: batch.points[index], time: batch.times[index], value: batch.values[index],
                reasons: batch.reasons[index], number: batch.numbers[index])
        }
        return part
    }

    // MARK: - Text

    private func texts(_ batch: ReadingBatch, _ layout: DeviceLayout, _ row: JournalReader.StoredEntry) -> [[UInt8]] {
        switch format {
        case .jsonl: [document(.readings(batch), layout, row)]
        case .csv:
            batch.points.indices.map { index in
                let entry = layout.entries[Int(batch.points[index])]
                let reasons = batch.reasons[index]
                let label = labels.map { [$0.label(batch.values[index], of: entry.id)] } ?? []
                let cells = [
                    batch.times[index].rfc3339, layout.device, entry.id, Self.csvText(batch.values[index]),
                    entry.unit ?? "", reasons.quality.name, reasons.reasons.map(\.code).joined(separator: " "),
                    "\(row.epoch)", "\(row.position)", "\(batch.numbers[index])",
                ]
                return Self.csv(cells + label)
            }
        }
    }

    private func text(_ gap: GapRecord, _ row: JournalReader.StoredEntry) -> [UInt8] {
        switch format {
        case .jsonl: document(.gap(gap), nil, row)
        case .csv:
            Self.csv(
                [
                    gap.from.rfc3339, gap.device ?? "", gap.point ?? "", "", "", "gap", gap.reason.code, "\(row.epoch)",
                    "\(row.position)", "",
                ] + (labels == nil ? [] : [""]))
        }
    }

    private func document(
        _ body: JournalEntry.Body, _ layout: DeviceLayout?, _ row: JournalReader.StoredEntry
    ) -> [UInt8] {
        let entry = JournalEntry(position: row.position, epoch: row.epoch, body: body)
        return encoder.messages(for: entry, layout: layout, isReplay: true, sent: sent, packetLimit: nil)
            .first?.payload ?? []
    }

    /// A value as in `reading/1`, without the quotes that JSON needs and CSV does not.
    private static func csvText(_ value: PointValue) -> String {
        switch value {
        case .null: return ""
        case .string(let text): return text
        case .uint(let number): return String(number)
        case .int(let number): return String(number)
        case .bool, .float, .double, .decimal:
            var json = JSONWriter()
            json.value(value)
            return String(decoding: json.bytes, as: UTF8.self)
        }
    }

    /// One line (RFC 4180), without its end. A text that a spreadsheet would run as a formula is what the device said, and
    /// stays so.
    static func csv(_ fields: [String]) -> [UInt8] {
        let line = fields.map { field in
            guard field.contains(where: { ",\"\n\r".contains($0) }) else { return field }
            return "\"" + field.replacing("\"", with: "\"\"") + "\""
        }
        return Array(line.joined(separator: ",").utf8)
    }
}
