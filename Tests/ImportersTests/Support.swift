import Foundation
import Importers
import Profiles
import Testing

/// Folders of `Tests/Fixtures/import`: a format each, with cases in it.
struct ImportCase: CustomTestStringConvertible, Sendable {
    var format: ImportFormat
    var name: String

    static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("../Fixtures/import").standardizedFileURL.path

    /// What is not the source's own file.
    private static let made: Set<String> = ["expected.yaml", "report.txt", "options.txt"]

    static let all: [ImportCase] = ImportFormat.allCases.flatMap { format in
        names(in: "\(root)/\(format.rawValue)").map { ImportCase(format: format, name: $0) }
    }

    private static func names(in folder: String) -> [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).sorted()
    }

    var folder: String { "\(Self.root)/\(format.rawValue)/\(name)" }
    var testDescription: String { "\(format.rawValue)/\(name)" }

    /// Sources by name, the device list of EdgeX set apart.
    func files() throws -> (main: [ImportFile], devices: [ImportFile]) {
        let files = try Self.names(in: folder).filter { !Self.made.contains($0) }.map { name in
            ImportFile(name: name, bytes: Array(try Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(name)"))))
        }
        let isList = { (file: ImportFile) in format == .edgex && file.name.contains("devices") }
        // The models of a chain are numbered, and 1 is in front.
        let main = files.filter { !isList($0) }.sorted { $0.name.count < $1.name.count }
        return (main, files.filter(isList))
    }

    /// `options.txt`: one option a line, as on the command line.
    func options() throws -> ImportOptions {
        var options = ImportOptions()
        options.devices = try files().devices
        let text = (try? String(contentsOfFile: "\(folder)/options.txt", encoding: .utf8)) ?? ""
        for line in text.split(separator: "\n") {
            let parts = line.split(separator: " ", maxSplits: 1).map(String.init)
            switch parts[0] {
            case "name": options.name = parts[1]
            case "owner": options.owner = parts[1]
            case "order": options.order = parts[1]
            case "at": options.firstModel = Int(parts[1])
            case "repeat":
                let group = parts[1].split(separator: "=").map(String.init)
                options.repeats[group[0]] = Int(group[1])
            case "column":
                let column = parts[1].split(separator: "=").map(String.init)
                options.columns.append((column[0], column[1]))
            default: throw Wrong(text: parts[0])
            }
        }
        return options
    }

    struct Wrong: Error { var text: String }

    func run() throws -> ImportResult {
        try Importing.run(format, files: files().main, options: options())
    }
}

/// A folder that goes when the test ends.
final class Scratch {
    let path = FileManager.default.temporaryDirectory.appendingPathComponent("hg-import-\(UUID().uuidString)").path

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func put(_ text: String, _ name: String) throws {
        let url = URL(fileURLWithPath: path).appendingPathComponent(name)
        try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(text.utf8).write(to: url)
    }
}

/// A small generator, the same on every machine.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
