import Console
import Engine
import Foundation
import Model
import SQLiteJournal

/// Asks the running gateway to deliver a stretch of its journal to a publisher again (`headgate journal replay`).
package struct JournalReplay: Sendable {
    /// Why nothing is replayed, in words.
    package struct Refusal: Error, CustomStringConvertible {
        package var description: String
    }

    private struct Reply: Decodable {
        var rows: UInt64?
        var error: String?
    }

    private let folder: String

    /// - Parameter folder: the gateway's state folder.
    package init(folder: String) {
        self.folder = folder
    }

    /// - Returns: rows that the publisher will deliver again.
    package func run(publisher: String, _ range: JournalRange) throws -> UInt64 {
        let positions = try self.positions(range)
        guard !positions.isEmpty else { throw Refusal(description: "nothing is stored in that stretch") }
        guard !publisher.contains(where: \.isWhitespace) else {
            throw Refusal(description: "no publisher '\(publisher)'")
        }
        let ranges = positions.map { "\($0.lowerBound)-\($0.upperBound)" }.joined(separator: " ")
        guard let answer = ControlClient(stateFolder: folder).ask("replay \(publisher) \(ranges)") else {
            throw Refusal(description: "no gateway runs on \(folder); start it, then ask again")
        }
        let reply = try JSONDecoder().decode(Reply.self, from: Data(answer.utf8))
        guard let rows = reply.rows else { throw Refusal(description: reply.error ?? "unexpected answer \(answer)") }
        return rows
    }

    private func positions(_ range: JournalRange) throws -> [ClosedRange<Position>] {
        let inspection = try JournalInspection(folder: folder)
        let low = max(range.start, inspection.first)
        let high = min(range.end, inspection.next)
        guard low < high else { return [] }
        guard let recorded = range.recorded else { return [low...high - 1] }
        let stored = try JournalReader(path: folder).positions(recordedIn: recorded)
        return stored.filter { $0.overlaps(low...high - 1) }.map { $0.clamped(to: low...high - 1) }
    }
}
