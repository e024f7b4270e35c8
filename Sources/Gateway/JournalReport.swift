import Console
import Engine
import Foundation
package import Model
import Payloads
import SQLiteJournal

/// What `headgate journal status` tells: what is in the file, and where a gateway runs on it, what it does.
package struct JournalReport: Sendable {
    private let inspection: JournalInspection
    private let settings: BufferSettings?
    private let live: Live?

    /// What a running gateway answers to `journal`, see ``ControlRequests``.
    struct Live: Decodable, Sendable {
        struct Publisher: Decodable, Sendable {
            var state: String
            var trouble: String?
            var pending: UInt64
            var setAside: UInt64
            var oldestSeq: UInt64
            var drainS: Double?
        }

        var windowS: Double
        var readingsPerS: Double?
        var rowsPerS: Double?
        var commitsPerS: Double?
        var fsyncsPerS: Double?
        var bytesWrittenPerDay: Double?
        var lostReadings: UInt64
        var volatileRows: UInt64
        var fault: String?
        var publishers: [String: Publisher]
    }

    /// - Parameter settings: the limits of the buffer, nil where no site file says them.
    /// - Throws: when there is no journal or it cannot be read, in words.
    package init(folder: String, settings: BufferSettings?) throws {
        inspection = try JournalInspection(folder: folder)
        self.settings = settings
        let reply = ControlClient(stateFolder: folder).ask("journal", timeout: .seconds(5))
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        live = reply.flatMap { try? decoder.decode(Live.self, from: Data($0.utf8)) }
    }

    // MARK: - What follows

    private var rows: UInt64 { inspection.next - inspection.first }

    private var bytesPerRow: Double? { rows > 0 ? Double(inspection.usedByteCount) / Double(rows) : nil }

    private var bytesPerReading: Double? {
        guard let bytesPerRow, let readings = inspection.readingsPerRow, readings > 0 else { return nil }
        return bytesPerRow / readings
    }

    private var rowsPerSecond: Double {
        live?.rowsPerS ?? Double(inspection.recentRows) / (JournalInspection.recentSpan / .seconds(1))
    }

    /// Hours until the first row that `publisher` still has to deliver is evicted, if none is delivered from now on.
    private func hoursLeft(oldest: Position?) -> Double? {
        guard let settings, let bytesPerRow, rowsPerSecond > 0 else { return nil }
        let owed = Double(inspection.next - min(oldest ?? inspection.next, inspection.next)) * bytesPerRow
        let bySize = max(0, Double(settings.maxByteCount) - owed) / (rowsPerSecond * bytesPerRow)
        let byAge = max(0, settings.maxAge / .seconds(1) - owed / bytesPerRow / rowsPerSecond)
        return min(bySize, byAge) / 3600
    }

    private struct PublisherLine {
        var name: String
        var depth: UInt64
        var oldest: Position?
        var live: Live.Publisher?
    }

    private var publishers: [PublisherLine] {
        inspection.publishers.sorted { $0.key < $1.key }.map { name, stored in
            guard let live = live?.publishers[name] else {
                return PublisherLine(name: name, depth: stored.rows, oldest: stored.oldest)
            }
            return PublisherLine(
                name: name, depth: live.pending, oldest: live.pending > 0 ? live.oldestSeq : nil, live: live)
        }
    }

    // MARK: - For people

    package var text: String {
        var lines = [
            "epoch      \(inspection.epoch)",
            "positions  \(rows > 0 ? "\(inspection.first) to \(inspection.next - 1)" : "none") (\(rows) rows)",
            "on disk    \(Self.bytes(Double(inspection.byteCount)))\(limit)\(perReading)",
        ]
        if let oldest = inspection.oldest, let newest = inspection.newest {
            lines.append("time       \(oldest.rfc3339) to \(newest.rfc3339)")
        }
        lines += liveLines
        for publisher in publishers { lines.append("publisher  \(line(of: publisher))") }
        return lines.joined(separator: "\n")
    }

    private var limit: String { settings.map { " of \(Self.bytes(Double($0.maxByteCount)))" } ?? "" }

    private var perReading: String { bytesPerReading.map { ", \(Self.rounded($0)) bytes a reading" } ?? "" }

    private var liveLines: [String] {
        guard let live else { return ["gateway    not running on this folder"] }
        var lines = ["gateway    running; rates of the last \(Int(clamping: live.windowS)) s:"]
        func add(_ rate: Double?, _ what: String) {
            if let rate { lines.append("           \(Self.rounded(rate)) \(what)") }
        }
        add(live.readingsPerS, "readings a second")
        add(live.commitsPerS, "commits a second")
        add(live.fsyncsPerS, "fsyncs a second")
        if let bytes = live.bytesWrittenPerDay { lines.append("           \(Self.bytes(bytes)) written a day") }
        if let fault = live.fault { lines.append("fault      \(fault); \(live.volatileRows) rows wait in memory") }
        if live.lostReadings > 0 { lines.append("lost       \(live.lostReadings) readings since the start") }
        return lines
    }

    private func line(of publisher: PublisherLine) -> String {
        var words = ["\(publisher.name): \(publisher.depth) rows to deliver"]
        if let live = publisher.live {
            words.append(live.state)
            if live.setAside > 0 { words.append("\(live.setAside) of them refused for now") }
            if publisher.depth > 0, live.state == PublisherState.draining.rawValue {
                words.append(live.drainS.map { "done in \(Self.time($0))" } ?? "not catching up")
            }
        }
        if let hours = hoursLeft(oldest: publisher.oldest) {
            words.append("buffer left for \(Self.rounded(hours)) hours of outage")
        }
        if let trouble = publisher.live?.trouble { words.append(trouble) }
        return words.joined(separator: ", ")
    }

    private static func rounded(_ number: Double) -> String {
        String((number * 10).rounded() / 10)
    }

    private static func bytes(_ count: Double) -> String {
        let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")]
        for (size, name) in units where count >= Double(size) { return "\(rounded(count / Double(size))) \(name)" }
        return "\(Int(clamping: count)) bytes"
    }

    private static func time(_ seconds: Double) -> String {
        seconds < 120 ? "\(Int(clamping: seconds.rounded(.up))) s" : "\(Int(clamping: (seconds / 60).rounded(.up))) min"
    }

    // MARK: - For programs

    package var json: [UInt8] {
        var json = JSONWriter()
        json.object { json in
            json.member("epoch") { $0.integer(inspection.epoch) }
            json.member("first_seq") { $0.integer(inspection.first) }
            json.member("next_seq") { $0.integer(inspection.next) }
            json.member("bytes") { $0.integer(inspection.byteCount) }
            json.member("used_bytes") { $0.integer(inspection.usedByteCount) }
            json.optional("max_bytes", settings?.maxByteCount) { $0.integer($1) }
            json.optional("bytes_per_reading", bytesPerReading) { $0.number($1) }
            json.optional("oldest", inspection.oldest) { $0.time($1) }
            json.optional("newest", inspection.newest) { $0.time($1) }
            json.member("running") { $0.bool(live != nil) }
            if let live { json.rates(live) }
            json.member("publishers") {
                $0.object { list in for publisher in publishers { self.publisher(publisher, &list) } }
            }
        }
        return json.bytes
    }

    private func publisher(_ publisher: PublisherLine, _ json: inout JSONWriter) {
        json.member(publisher.name) {
            $0.object { json in
                json.member("depth") { $0.integer(publisher.depth) }
                json.optional("oldest_seq", publisher.oldest) { $0.integer($1) }
                json.optional("hours_left", hoursLeft(oldest: publisher.oldest)) { $0.number($1) }
                if let live = publisher.live {
                    json.member("state") { $0.string(live.state) }
                    json.member("set_aside") { $0.integer(live.setAside) }
                    json.optional("drain_s", live.drainS) { $0.number($1) }
                    json.optional("trouble", live.trouble) { $0.string($1) }
                }
            }
        }
    }
}

extension JSONWriter {
    fileprivate mutating func rates(_ live: JournalReport.Live) {
        member("window_s") { $0.number(live.windowS) }
        optional("readings_per_s", live.readingsPerS) { $0.number($1) }
        optional("rows_per_s", live.rowsPerS) { $0.number($1) }
        optional("commits_per_s", live.commitsPerS) { $0.number($1) }
        optional("fsyncs_per_s", live.fsyncsPerS) { $0.number($1) }
        optional("bytes_written_per_day", live.bytesWrittenPerDay) { $0.number($1) }
        member("lost_readings") { $0.integer(live.lostReadings) }
        member("volatile_rows") { $0.integer(live.volatileRows) }
        optional("fault", live.fault) { $0.string($1) }
    }
}
