import Model

/// A table of tags: the exports of KEPServerEX and what looks alike, or any register list with a column map.
struct TagListImporter {
    let options: ImportOptions
    let reporter: Reporter

    /// Fields that a column can hold, with the titles that are looked for.
    static let fields: [(field: String, titles: [String])] = [
        ("name", ["Tag Name", "Name", "Tag"]), ("address", ["Address", "Register"]), ("type", ["Data Type", "Type"]),
        ("access", ["Client Access", "Access"]), ("scan", ["Scan Rate"]), ("scaling", ["Scaling"]),
        ("raw_low", ["Raw Low"]), ("raw_high", ["Raw High"]), ("scaled_low", ["Scaled Low"]),
        ("scaled_high", ["Scaled High"]), ("clamp_low", ["Clamp Low"]), ("clamp_high", ["Clamp High"]),
        ("negate", ["Negate Value"]), ("unit", ["Eng Units", "Unit", "Units"]), ("description", ["Description"]),
        ("table", ["Table"]), ("order", ["Order", "Byte Order"]), ("scale", ["Scale", "Factor"]),
        ("offset", ["Offset"]),
        ("count", ["Count"]),
    ]
    private static let ignoredColumns = ["Respect Data Type", "Scaled Data Type"]

    func draft(_ file: ImportFile) throws(ImportError) -> Draft {
        let table = try TagTable(file)
        let columns = try columns(table, file)
        let stem = file.name.split(separator: ".").first.map(String.init) ?? file.name
        var profile = DraftProfile(title: stem, points: [])
        for row in table.rows {
            if let point = point(row, columns) { profile.points.append(point) }
        }
        if let wide = profile.points.first(where: { $0.registerCount > 1 && $0.type != .string }),
            columns["order"] == nil, options.order == nil
        {
            reporter.assumed(
                wide.node,
                "a table of tags does not say the order of words; ABCD is taken. Where the server had 'First word low' set, which is usual, repeat with --order CDAB"
            )
        }
        var draft = Draft()
        draft.profiles = [profile]
        return draft
    }

    /// Which column holds which field. A column that nobody asked for is told once.
    private func columns(_ table: TagTable, _ file: ImportFile) throws(ImportError) -> [String: String] {
        var result: [String: String] = [:]
        for (field, titles) in Self.fields {
            if let said = options.columns.first(where: { $0.field == field })?.title {
                guard let title = Self.find(said, in: table.columns) else {
                    throw ImportError(
                        "\(file.name): no column '\(said)'; there are: \(table.columns.prefix(30).joined(separator: ", "))"
                    )
                }
                result[field] = title
            } else if let title = titles.lazy.compactMap({ Self.find($0, in: table.columns) }).first,
                !options.columns.contains(where: { Self.find($0.title, in: [title]) != nil })
            {
                result[field] = title
            }
        }
        for field in ["name", "address"] where result[field] == nil {
            throw ImportError(
                "\(file.name): no column for '\(field)'; there are: \(table.columns.prefix(30).joined(separator: ", ")). Say which with --columns \(field)=TITLE"
            )
        }
        let root = SourceNode(content: .null, file: file.name, line: nil, path: "")
        for column in table.columns where !result.values.contains(column) && !column.isEmpty {
            let isKnown = Self.ignoredColumns.contains { Self.find($0, in: [column]) != nil }
            reporter.ignored(column, in: root, because: isKnown ? "no counterpart" : "not a column that is taken")
        }
        return result
    }

    private static func find(_ title: String, in columns: [String]) -> String? {
        columns.first { $0.lowercased() == title.lowercased() }
    }

    private func point(_ row: SourceNode, _ columns: [String: String]) -> DraftPoint? {
        func cell(_ field: String) -> SourceNode? { columns[field].flatMap { row[$0] } }
        guard let title = cell("name")?.words else {
            reporter.leftOut(row, "a row without a name; left out")
            return nil
        }
        guard let text = cell("address")?.words, let address = TagAddress(text, table: cell("table")?.words) else {
            reporter.leftOut(
                row,
                "'\(title)': '\(cell("address")?.words ?? "")' is no Modbus address such as 400001, 40001 or 400010.3; the point is left out"
            )
            return nil
        }
        guard let type = type(cell("type"), address) else {
            reporter.leftOut(
                row,
                "'\(title)': the type '\(cell("type")?.words ?? "")' is not known for \(text); the point is left out")
            return nil
        }
        var point = DraftPoint(title, at: row, table: address.table, address: address.protocolAddress, type: type)
        if type == .bool, !address.table.isBits {
            point.type = .uint16
            point.kind = .state
            point.bits = address.bit.map { $0...$0 } ?? 0...0
            if address.bit == nil {
                reporter.assumed(row, "'\(title)' is a Boolean of a whole register; bit 0 is taken")
            }
        } else if type == .string {
            guard string(&point, address, cell("count")) else { return nil }
        }
        guard order(&point, cell("order")) else { return nil }
        point.unit = reporter.unit(cell("unit"))
        point.summary = cell("description")?.words
        scan(&point, cell("scan"))
        guard scaling(&point, cell) else { return nil }
        access(&point, cell("access"))
        return point
    }

    /// A bit of a register is a Boolean; a coil needs no type.
    private func type(_ node: SourceNode?, _ address: TagAddress) -> ValueType? {
        guard let text = node?.words else { return address.table.isBits || address.bit != nil ? .bool : nil }
        guard let type = TypeNames.type(text) else { return nil }
        if address.table.isBits { return type == .bool ? .bool : nil }
        if address.bit != nil, type != .bool { return nil }
        return type
    }

    private func string(_ point: inout DraftPoint, _ address: TagAddress, _ count: SourceNode?) -> Bool {
        if let length = address.stringLength {
            point.count = (length + 1) / 2
            point.characters = address.isLowFirst ? .lowFirst : .highFirst
        } else if let count = count?.integer {
            point.count = count
        } else {
            reporter.leftOut(point.node, "'\(point.title)' is a text without a length; the point is left out")
            return false
        }
        point.kind = .state
        return true
    }

    private func order(_ point: inout DraftPoint, _ node: SourceNode?) -> Bool {
        guard let name = node?.words ?? options.order, point.type != .string, point.bits == nil, !point.table.isBits
        else {
            return true
        }
        guard let order = ByteOrder(name: name.uppercased()) else {
            reporter.leftOut(node ?? point.node, "'\(point.title)': '\(name)' is no byte order; the point is left out")
            return false
        }
        // An order for the whole list is about words.
        point.order = node == nil && point.registerCount == 1 ? .bigEndian : order
        return true
    }

    /// Milliseconds, as a bare number.
    private func scan(_ point: inout DraftPoint, _ node: SourceNode?) {
        guard let node, let text = node.words else { return }
        if let milliseconds = node.integer, milliseconds > 0 {
            point.every = .milliseconds(milliseconds)
        } else if let duration = Words.duration(text), duration > .zero {
            point.every = duration
        } else {
            reporter.assumed(node, "'\(point.title)': '\(text)' is no scan rate; polled each second")
        }
    }

    private func access(_ point: inout DraftPoint, _ node: SourceNode?) {
        guard let text = node?.words?.lowercased().filter(\.isLetter), text.contains("w") else { return }
        guard point.table.isWritable, point.type != .string else {
            // The usual default of such lists, which says nothing.
            reporter.assumed(
                point.node,
                "'\(point.title)' is listed as writable and cannot be (\(point.table), \(point.type)); read-only")
            return
        }
        if text == "wo" {
            reporter.assumed(point.node, "'\(point.title)' is listed as write-only; it is read as well")
        }
        point.write = DraftWrite(mode: point.registerCount == 1 ? .single : .multiple)
        if point.kind == .measurement { point.kind = .setpoint }
        reporter.assumed(
            point.node,
            "'\(point.title)' is writable, and the list gives no bounds of the device; add min and max to 'write'")
    }
}
