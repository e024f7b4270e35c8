import Files
import Foundation
import Yams

/// A YAML file, read with bounds: size, depth of nesting, number of values.
struct YAMLFile {
    /// A site of thousands of devices is far below.
    static let byteLimit = 4 << 20
    static let depthLimit = 32
    static let nodeLimit = 500_000

    let path: String
    let root: Node

    /// - Returns: nil when the file is of no use; the list then says why.
    init?(path: String, problems: ProblemList) {
        self.path = path
        let start = Place(file: path)
        guard let text = Self.text(path: path, problems: problems) else { return nil }
        do {
            guard let node = try Yams.compose(yaml: text) else {
                problems.error(start, "the file is empty; see docs/configuration.md for what belongs into it")
                return nil
            }
            root = node
        } catch let error as YamlError {
            problems.error(Self.place(of: error, path), Self.words(for: error))
            return nil
        } catch {
            problems.error(start, "not readable as YAML: \(error)")
            return nil
        }
        var budget = Self.nodeLimit
        if let place = Self.excess(in: root, path: path, depth: 0, &budget) {
            problems.error(
                place,
                "more than \(Self.nodeLimit) values or \(Self.depthLimit) levels, aliases counted as often as they are used; no site is"
            )
            return nil
        }
    }

    private static let mayNotBeRead =
        "you may not read it; use sudo, or be of the group that may: of the package it is headgate (sudo adduser NAME headgate)"

    private static func text(path: String, problems: ProblemList) -> String? {
        let start = Place(file: path)
        do {
            let file = try RegularFile(path, limit: byteLimit)
            if let text = file.text { return text }
            problems.error(start, "is not a text file in UTF-8")
        } catch {
            problems.error(start, words(for: error))
        }
        return nil
    }

    private static func words(for problem: RegularFile.Problem) -> String {
        switch problem {
        case .notRegular(let kind): "is \(kind); a YAML file is needed"
        case .tooLarge: "is larger than \(byteLimit >> 20) MiB; no site or profile is"
        // The folder of the installed site file is closed to most people, and then nothing seems to be in it.
        case .refused(EACCES): mayNotBeRead
        case .refused(ENOENT): "no such file; check the path"
        case .refused, .changing: "cannot be read: \(problem)"
        }
    }

    /// Where the bounds are exceeded, nil when they are kept. An alias counts each time: what is small to write must not be
    /// endless to read.
    private static func excess(in node: Node, path: String, depth: Int, _ budget: inout Int) -> Place? {
        budget -= 1
        if budget < 0 || depth > depthLimit { return Place(node.mark, in: path) }
        switch node {
        case .scalar, .alias: return nil
        case .sequence(let items):
            for item in items {
                if let place = excess(in: item, path: path, depth: depth + 1, &budget) { return place }
            }
        case .mapping(let pairs):
            for (_, value) in pairs {
                if let place = excess(in: value, path: path, depth: depth + 1, &budget) { return place }
            }
        }
        return nil
    }

    private static func place(of error: YamlError, _ path: String) -> Place {
        switch error {
        case .scanner(_, _, let mark, _), .parser(_, _, let mark, _), .composer(_, _, let mark, _):
            Place(mark, in: path)
        case .duplicatedKeysInMapping(_, let context): Place(context.mark, in: path)
        default: Place(file: path)
        }
    }

    private static func words(for error: YamlError) -> String {
        switch error {
        case .scanner(_, let problem, _, _) where problem.contains("cannot start any token"):
            "\(problem); YAML is indented with spaces, not with tabs"
        case .scanner(_, let problem, _, _), .parser(_, let problem, _, _), .composer(_, let problem, _, _):
            "\(problem); this is not YAML"
        case .reader(let problem, _, _, _): "\(problem); a YAML text in UTF-8 is needed"
        case .duplicatedKeysInMapping(let duplicates, _):
            "\(duplicates.sorted().joined(separator: ", ")) appears twice in this mapping; each key once"
        default: "not readable as YAML: \(error)"
        }
    }
}

extension Place {
    init(_ mark: Mark?, in file: String) {
        self.init(file: file, line: mark?.line ?? 1, column: mark?.column ?? 1)
    }
}
