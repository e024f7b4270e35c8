import Model
import SwiftCSV

/// A table of text with a head: rows as nodes whose members are the cells, by column title.
struct TagTable {
    var columns: [String]
    var rows: [SourceNode]

    /// Most columns that are looked at.
    private static let columnLimit = 200

    init(_ file: ImportFile) throws(ImportError) {
        let text = try file.text()
        guard text.utf8.count(where: { $0 == UInt8(ascii: "\"") }).isMultiple(of: 2) else {
            throw ImportError("\(file.name): a quotation mark is opened and never closed")
        }
        // Some exports begin with remarks.
        let lines = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
        let remarks = lines.prefix { line in
            let trimmed = Words.trimmed(line)
            return trimmed.isEmpty || trimmed.hasPrefix(";") || trimmed.hasPrefix("#")
        }
        let head = lines.dropFirst(remarks.count).first ?? ""
        let delimiters: [CSVDelimiter] = [.comma, .semicolon, .tab]
        let delimiter = delimiters.max { left, right in
            head.count { $0 == left.rawValue } < head.count { $0 == right.rawValue }
        }
        let body = lines.dropFirst(remarks.count).joined(separator: "\n")
        var cells: [[String]] = []
        do {
            let table = try CSV<Enumerated>(string: body, delimiter: delimiter ?? .comma, loadColumns: false)
            cells = [table.header] + table.rows
        } catch {
            throw ImportError("\(file.name): not a CSV table: \(error)")
        }
        columns = (cells.first ?? []).prefix(Self.columnLimit).map(Words.trimmed)
        rows = []
        var line = remarks.count + 1
        for (index, row) in cells.enumerated() {
            if index > 0, row.contains(where: { !$0.allSatisfy(\.isWhitespace) }) {
                rows.append(Self.node(row, columns, file.name, line))
            }
            line += 1 + row.reduce(0) { $0 + $1.count(where: \.isNewline) }
        }
    }

    private static func node(_ row: [String], _ columns: [String], _ file: String, _ line: Int) -> SourceNode {
        var members: [(key: String, value: SourceNode)] = []
        for (column, cell) in zip(columns, row) {
            let content: SourceNode.Content = cell.isEmpty ? .null : .scalar(cell, isQuoted: false)
            members.append((column, SourceNode(content: content, file: file, line: line, path: column)))
        }
        return SourceNode(content: .map(members), file: file, line: line, path: "")
    }
}
