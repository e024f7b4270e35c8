import Model
import Payloads
import SQLiteJournal

/// What `headgate journal status` tells.
package struct JournalReport: Sendable {
    private let inspection: JournalInspection

    /// - Throws: when there is no journal or it cannot be read, in words.
    package init(folder: String) throws {
        inspection = try JournalInspection(folder: folder)
    }

    /// For people.
    package var text: String {
        let rows = inspection.next - inspection.first
        var lines = [
            "epoch      \(inspection.epoch)",
            "positions  \(inspection.first) to \(inspection.next - 1) (\(rows) rows)",
            "on disk    \(inspection.byteCount) bytes\(rows > 0 ? ", \(inspection.byteCount / Int64(rows)) a row" : "")",
        ]
        if let oldest = inspection.oldest, let newest = inspection.newest {
            lines.append("time       \(oldest.rfc3339) to \(newest.rfc3339)")
        }
        for (name, depth) in inspection.publishers.sorted(by: { $0.key < $1.key }) {
            lines.append("publisher  \(name): \(depth) rows to deliver")
        }
        return lines.joined(separator: "\n")
    }

    /// For programs.
    package var json: [UInt8] {
        var json = JSONWriter()
        json.object { json in
            json.member("epoch") { $0.integer(inspection.epoch) }
            json.member("first_seq") { $0.integer(inspection.first) }
            json.member("next_seq") { $0.integer(inspection.next) }
            json.member("bytes") { $0.integer(inspection.byteCount) }
            json.optional("oldest", inspection.oldest) { $0.time($1) }
            json.optional("newest", inspection.newest) { $0.time($1) }
            json.member("publishers") {
                $0.object { list in
                    for (name, depth) in inspection.publishers.sorted(by: { $0.key < $1.key }) {
                        list.member(name) { $0.object { $0.member("depth") { $0.integer(depth) } } }
                    }
                }
            }
        }
        return json.bytes
    }
}
