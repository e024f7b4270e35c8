import Audit
package import Model
import SQLiteJournal

/// `headgate command export`: each command of a ledger with what was known, recommended, decided, done and observed, as one
/// row. Works on the file, also while a gateway writes on it.
package struct CommandExport: Sendable {
    package enum Format: String, CaseIterable, Sendable {
        /// `command_row/1` documents, one a line.
        case jsonl
        /// One line for each command and expected change.
        case csv
    }

    private let ledger: LedgerInspection
    private let format: Format
    private let from: UnixTime?
    private let to: UnixTime?
    private let labels: PointLabels?

    /// - Parameters:
    ///   - path: of a state folder or a ledger.
    ///   - from: only commands received then or later.
    ///   - to: only commands received earlier.
    ///   - labels: for two columns with the names of codes, in CSV.
    package init(path: String, format: Format, from: UnixTime? = nil, to: UnixTime? = nil, labels: PointLabels? = nil)
        throws
    {
        ledger = try LedgerInspection(path: path)
        self.format = format
        self.from = from
        self.to = to
        self.labels = labels
    }

    /// Hands on one line after the other, in the order in which the commands were received.
    ///
    /// - Returns: indices of entries that are not what a gateway writes; they are left out.
    package func run(_ line: ([UInt8]) throws -> Void) throws -> [UInt64] {
        var rows = CommandRows()
        try ledger.leaves(0..<(try ledger.size())) { index, leaf in
            if !Seal.isSeal(leaf) { rows.take(leaf, at: index) }
        }
        let names = labels == nil ? [] : ["value_label", "readback_label"]
        if format == .csv { try line(JournalExport.csv(CommandRow.columns + names)) }
        for row in rows.inOrder where isWanted(row) {
            switch format {
            case .jsonl: try line(row.document.bytes)
            case .csv: for cells in row.lines { try line(JournalExport.csv(cells + (labels.map(row.labels) ?? []))) }
            }
        }
        return rows.damaged
    }

    private func isWanted(_ row: CommandRow) -> Bool {
        guard let time = row.time else { return true }
        return from.map { $0 <= time } ?? true && to.map { time < $0 } ?? true
    }
}

/// The rows of a ledger while it is read.
struct CommandRows {
    private var rows: [CommandRow] = []
    private var indices: [String: Int] = [:]
    private(set) var damaged: [UInt64] = []

    var inOrder: [CommandRow] { rows }

    mutating func take(_ leaf: [UInt8], at index: UInt64) {
        guard let entry = try? JSONValue(parsing: leaf), let kind = entry["kind"]?.text else {
            return damaged.append(index)
        }
        switch kind {
        case "command": takeCommand(entry, at: index)
        case "decision": change(entry["id"]) { $0.take(decision: entry) }
        case "explained": change(entry["event"]?["id"]) { $0.take(explanation: entry) }
        case "outcome":
            guard let outcome = entry["outcome"] else { return damaged.append(index) }
            change(outcome["id"]) { $0.take(outcome: outcome) }
        case _: return
        }
    }

    private mutating func takeCommand(_ entry: JSONValue, at index: UInt64) {
        guard let event = entry["event"] else { return damaged.append(index) }
        if let row = CommandRow(entry) {
            indices[row.id] = rows.count
            rows.append(row)
        }
        change(event["id"]) { row in
            if let intervention = entry["intervention"] { row.take(intervention: intervention) }
            row.take(event: event)
        }
    }

    private mutating func change(_ id: JSONValue?, _ change: (inout CommandRow) -> Void) {
        guard let row = id?.text.flatMap({ indices[$0] }) else { return }
        change(&rows[row])
    }
}
