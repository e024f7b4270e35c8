/// Rows in columns, for terminals.
struct TextTable {
    private var rows: [[String]] = []

    init(_ head: [String] = []) {
        if !head.isEmpty { rows.append(head) }
    }

    mutating func add(_ cells: [String]) {
        rows.append(cells.map(Self.safe))
    }

    /// One line a row, each column as wide as its widest cell.
    var lines: [String] {
        let columnCount = rows.map(\.count).max() ?? 0
        let widths = (0..<columnCount).map { column in
            rows.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0
        }
        return rows.map { row in
            let cells = zip(row, widths).map { cell, width in
                cell + String(repeating: " ", count: width - cell.count)
            }
            let line = cells.joined(separator: "  ")
            return String(line.reversed().drop { $0 == " " }.reversed())
        }
    }

    /// Texts come from whoever sends commands: what would steer a terminal or turn the writing round is shown as a mark.
    static func safe(_ text: String) -> String {
        var safe = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned:
                safe.append("\u{FFFD}")
            case _: safe.append(scalar)
            }
        }
        return String(safe)
    }
}
