import Model
import TOMLKit
import Yams

extension ImportFile {
    /// The text, without a byte order mark.
    func text() throws(ImportError) -> String {
        guard bytes.count <= Importing.byteLimit else {
            throw ImportError("\(name): is larger than \(Importing.byteLimit >> 20) MiB; nothing that is imported is")
        }
        guard var text = String(validating: bytes, as: UTF8.self), !text.utf8.contains(0) else {
            throw ImportError("\(name): is not a text file in UTF-8")
        }
        if text.unicodeScalars.first == "\u{FEFF}" { text.unicodeScalars.removeFirst() }
        guard text.contains(where: { !$0.isWhitespace }) else { throw ImportError("\(name): is empty") }
        return text
    }

    func json() throws(ImportError) -> SourceNode {
        let text = try text()
        do {
            var builder = NodeBuilder(file: name)
            return try builder.node(JSONValue(parsing: Array(text.utf8)))
        } catch let error as JSONError {
            let line = 1 + text.utf8.prefix(error.byteOffset).count { $0 == UInt8(ascii: "\n") }
            throw ImportError("\(name):\(line): not JSON: \(error.message)")
        } catch {
            throw NodeBuilder.failure(error, name)
        }
    }

    func yaml() throws(ImportError) -> SourceNode {
        let text = try text()
        do {
            guard let root = try Yams.compose(yaml: text) else { throw ImportError("\(name): is empty") }
            var builder = NodeBuilder(file: name)
            return try builder.node(root)
        } catch {
            throw NodeBuilder.failure(error, name)
        }
    }

    func toml() throws(ImportError) -> SourceNode {
        let text = try text()
        // A key of thousands of levels is legal, and nothing is gained by building it.
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated()
        where line.utf8.count(where: { $0 == UInt8(ascii: ".") }) > 2000 {
            throw ImportError("\(name):\(index + 1): more levels than any configuration has")
        }
        var check = TOMLGuard(text)
        if let line = check.firstWrongLine() {
            throw ImportError("\(name):\(line): not TOML: a name or a value is missing, or a bracket too many")
        }
        do {
            let table = try TOMLTable(string: text)
            var builder = NodeBuilder(file: name)
            return try builder.node(table, path: "", depth: 0)
        } catch {
            throw NodeBuilder.failure(error, name)
        }
    }
}

/// Makes nodes of what the readers of YAML, JSON and TOML give, within bounds.
private struct NodeBuilder {
    let file: String
    private var budget = SourceNode.countLimit

    init(file: String) {
        self.file = file
    }

    static func failure(_ error: any Error, _ name: String) -> ImportError {
        switch error {
        case let error as ImportError: error
        case let error as TOMLParseError:
            ImportError("\(name):\(error.source.begin.line): not TOML: \(error.description)")
        case YamlError.scanner(_, let problem, let mark, _), YamlError.parser(_, let problem, let mark, _),
            YamlError.composer(_, let problem, let mark, _):
            ImportError("\(name):\(mark.line): not YAML: \(problem)")
        case YamlError.duplicatedKeysInMapping(let keys, let context):
            ImportError("\(name):\(context.mark.line): \(keys.sorted().joined(separator: ", ")) appears twice")
        default: ImportError("\(name): cannot be read: \(error)")
        }
    }

    private mutating func spend(_ path: String, _ line: Int?, _ depth: Int) throws(ImportError) {
        budget -= 1
        guard budget >= 0, depth <= SourceNode.depthLimit else {
            let place = [file, line.map(String.init)].compactMap(\.self).joined(separator: ":")
            throw ImportError(
                "\(place): more than \(SourceNode.countLimit) values or \(SourceNode.depthLimit) levels, aliases counted as often as they are used"
            )
        }
    }

    private func join(_ path: String, _ key: String) -> String {
        path.isEmpty ? key : "\(path).\(key)"
    }

    mutating func node(_ value: JSONValue, path: String = "", depth: Int = 0) throws(ImportError) -> SourceNode {
        try spend(path, nil, depth)
        let content: SourceNode.Content
        switch value {
        case .null: content = .null
        case .bool(let flag): content = .scalar(flag ? "true" : "false", isQuoted: false)
        case .number(let number): content = .scalar(number.trimmed.description, isQuoted: false)
        case .string(let text): content = .scalar(text, isQuoted: true)
        case .array(let elements):
            var items: [SourceNode] = []
            for (index, element) in elements.enumerated() {
                items.append(try node(element, path: "\(path)[\(index)]", depth: depth + 1))
            }
            content = .list(items)
        case .object(let members):
            var pairs: [(key: String, value: SourceNode)] = []
            for member in members {
                pairs.append((member.key, try node(member.value, path: join(path, member.key), depth: depth + 1)))
            }
            content = .map(pairs)
        }
        return SourceNode(content: content, file: file, path: path)
    }

    mutating func node(_ value: Node, path: String = "", depth: Int = 0) throws(ImportError) -> SourceNode {
        try spend(path, value.mark?.line, depth)
        var content = SourceNode.Content.null
        switch value {
        case .scalar(let scalar):
            let isPlain = scalar.style == .plain || scalar.style == .any
            if !isPlain || !["", "~", "null", "Null", "NULL"].contains(scalar.string) {
                content = .scalar(scalar.string, isQuoted: !isPlain)
            }
        case .alias: break
        case .sequence(let sequence):
            var items: [SourceNode] = []
            for (index, item) in sequence.enumerated() {
                items.append(try node(item, path: "\(path)[\(index)]", depth: depth + 1))
            }
            content = .list(items)
        case .mapping(let mapping):
            var pairs: [(key: String, value: SourceNode)] = []
            for (key, item) in mapping {
                let name = key.scalar?.string ?? "?"
                let member = try node(item, path: name == "<<" ? path : join(path, name), depth: depth + 1)
                pairs.append((name, member))
            }
            content = .map(Self.merged(pairs))
        }
        let tag = value.tag.description
        return SourceNode(
            content: content, file: file, line: value.mark?.line, path: path,
            tag: tag.hasPrefix("!") && tag.count > 1 ? tag : nil)
    }

    /// Members that a merge key (`<<`) brings along stand behind the own ones, which win.
    private static func merged(_ pairs: [(key: String, value: SourceNode)]) -> [(key: String, value: SourceNode)] {
        var result = pairs.filter { $0.key != "<<" }
        for base in pairs where base.key == "<<" {
            for member in base.value.itemsOrSelf.flatMap(\.members)
            where !result.contains(where: { $0.key == member.key }) {
                result.append(member)
            }
        }
        return result
    }

    mutating func node(_ table: TOMLTable, path: String, depth: Int) throws(ImportError) -> SourceNode {
        var pairs: [(key: String, value: SourceNode)] = []
        try spend(path, nil, depth)
        for (key, value) in zip(table.keys, table.values) {
            pairs.append((key, try node(value, path: join(path, key), depth: depth + 1)))
        }
        return SourceNode(content: .map(pairs), file: file, path: path)
    }

    private mutating func node(_ value: TOMLValue, path: String, depth: Int) throws(ImportError) -> SourceNode {
        if let table = value.table { return try node(table, path: path, depth: depth) }
        try spend(path, nil, depth)
        if let array = value.array {
            var items: [SourceNode] = []
            for index in 0..<array.count {
                guard let item: TOMLValue = array[index]?.tomlValue else { continue }
                items.append(try node(item, path: "\(path)[\(index)]", depth: depth + 1))
            }
            return SourceNode(content: .list(items), file: file, path: path)
        }
        let content: SourceNode.Content =
            if let text = value.string {
                .scalar(text, isQuoted: true)
            } else if let flag = value.bool {
                .scalar(flag ? "true" : "false", isQuoted: false)
            } else if let number = value.int {
                .scalar(String(number), isQuoted: false)
            } else if let number = value.double {
                .scalar(number.description, isQuoted: false)
            } else {
                .scalar(value.debugDescription, isQuoted: true)
            }
        return SourceNode(content: content, file: file, path: path)
    }
}
