package import Model

/// One thing that an importer did not take as it stands in the source: where, what, and what that means.
package struct ImportRemark: Hashable, Sendable, CustomStringConvertible {
    package enum Weight: String, Sendable, CaseIterable {
        /// Something of the source is not in the result.
        case leftOut = "left_out"
        /// The source does not say it, and the result needs it: by which rule it was filled in.
        case assumed
        /// It means nothing to a gateway: how another program shows a value, for example.
        case ignored
    }

    package var weight: Weight
    package var file: String
    /// From 1; nil where the format's reader does not tell lines.
    package var line: Int?
    /// Where in the document, such as `modbus[0].sensors[3].data_type`; empty for the whole of it.
    package var path: String
    package var message: String

    /// `file:line: path: left out: message`, for people and for editors that jump to it.
    package var description: String {
        let place = [file, line.map(String.init)].compactMap(\.self).joined(separator: ":")
        let words = weight.rawValue.split(separator: "_").joined(separator: " ")
        return [place, path, words, message].filter { !$0.isEmpty }.joined(separator: ": ")
    }

    package var json: JSONValue {
        .compact([
            ("weight", .string(weight.rawValue)), ("file", .string(file)), ("line", line.map { .integer($0) } ?? .null),
            ("path", path.isEmpty ? .null : .string(path)), ("message", .string(message)),
        ])
    }
}

/// Gathers what is to be said about one import.
final class Reporter {
    /// Beyond so many a person reads no further; the rest is counted.
    static let limit = 2000

    private var all: [ImportRemark] = []
    private var surplus = 0
    private var ignoredKeys: [(key: String, reason: String, file: String, count: Int)] = []
    /// Whether something of the source is not in the result, also when it was too much to be listed.
    private(set) var isIncomplete = false

    func leftOut(_ node: SourceNode, _ message: String) {
        isIncomplete = true
        add(.leftOut, node, message)
    }

    func assumed(_ node: SourceNode, _ message: String) {
        add(.assumed, node, message)
    }

    /// Counts keys that mean nothing here; each is told once for a document.
    func ignored(_ key: String, in node: SourceNode, because reason: String) {
        if let index = ignoredKeys.firstIndex(where: { $0.key == key && $0.reason == reason && $0.file == node.file }) {
            ignoredKeys[index].count += 1
        } else {
            ignoredKeys.append((key, reason, node.file, 1))
        }
    }

    private func add(_ weight: ImportRemark.Weight, _ node: SourceNode, _ message: String) {
        guard all.count < Self.limit else {
            surplus += 1
            return
        }
        let remark = ImportRemark(weight: weight, file: node.file, line: node.line, path: node.path, message: message)
        if !all.contains(remark) { all.append(remark) }
    }

    /// Everything, what is missing first.
    var remarks: [ImportRemark] {
        var result = all.filter { $0.weight == .leftOut } + all.filter { $0.weight == .assumed }
        if surplus > 0, let first = all.first {
            result.append(
                ImportRemark(
                    weight: .leftOut, file: first.file, line: nil, path: "", message: "and \(surplus) remarks more"))
        }
        for key in ignoredKeys {
            let times = key.count == 1 ? "" : " (\(key.count) times)"
            result.append(
                ImportRemark(
                    weight: .ignored, file: key.file, line: nil, path: "",
                    message: "'\(key.key)'\(times): \(key.reason)"))
        }
        return result
    }
}
