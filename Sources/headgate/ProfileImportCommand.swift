import ArgumentParser
import Foundation
import Importers
import Model
import Profiles

extension ImportFormat: ExpressibleByArgument {}

extension ProfileCommand {
    struct Import: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make profiles of files of other programs.",
            discussion: """
                Formats: sunspec (model JSON, several files in the order of the chain), csv (tag lists such as those of \
                KEPServerEX), home-assistant (the modbus section), telegraf (inputs.modbus), edgex (device profile), \
                thingsboard (modbus.json). What each takes over: docs/importing.md.
                Example: headgate profile import telegraf telegraf.conf --output imported --owner energy-team
                stderr says what was left out and what was assumed. Exit code 0 when everything was taken over, 2 when \
                something was left out, 1 when nothing could be imported or written, 64 on wrong usage.
                """)

        @Argument(help: "Format of the files.")
        var format: ImportFormat

        @Argument(help: "The file; for sunspec, the models of one device in their order.")
        var files: [String]

        @Option(
            name: .shortAndLong,
            help: ArgumentHelp(
                "Folder to write to: profiles/ and site-fragment.yaml. Without it, or with -, all goes to stdout.",
                valueName: "dir|-"))
        var output = "-"

        @Option(help: ArgumentHelp("Id of the profile, or what the ids begin with.", valueName: "manufacturer/model"))
        var name: String?

        @Option(help: "Who answers for the devices, for the site fragment.")
        var owner: String?

        @Option(
            help: ArgumentHelp(
                "csv: which column holds what: name, address, type, unit, description, scale, offset, table, order, …",
                valueName: "field=title,…"))
        var columns: String?

        @Option(help: "csv: byte order of values of several registers.")
        var order: String?

        @Option(help: "sunspec: address of the \"SunS\" marker, in front of the first model.")
        var base = 40_000

        @Option(help: "sunspec: address of the first model where it does not follow the marker.")
        var at: Int?

        @Option(
            name: .customLong("repeat"),
            help: ArgumentHelp("sunspec: how often a repeating group is there.", valueName: "group=n"))
        var repeats: [String] = []

        @Option(help: ArgumentHelp("edgex: a device list, for the site fragment.", valueName: "file"))
        var devices: [String] = []

        @Flag(help: "Overwrite files that are there.")
        var force = false

        @Flag(help: "Print one JSON document: the profiles, the site fragment, the remarks.")
        var json = false

        func validate() throws {
            for (option, value) in [("--base", base), ("--at", at ?? 0)] where !(0...65_535).contains(value) {
                throw ValidationError("\(option) is an address from 0 to 65535")
            }
            if let order, ByteOrder(name: order.uppercased()) == nil {
                throw ValidationError("--order is one of \(ByteOrder.names.joined(separator: ", "))")
            }
            if let name, !Self.isProfileID(name) {
                throw ValidationError("--name is manufacturer/model: lower-case letters, digits, _ and -")
            }
            _ = try options()
        }

        private static func isProfileID(_ text: String) -> Bool {
            let levels = text.split(separator: "/", omittingEmptySubsequences: false)
            return levels.count == 2
                && levels.allSatisfy { level in
                    !level.isEmpty
                        && level.utf8.allSatisfy {
                            (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x5F || $0 == 0x2D
                        }
                }
        }

        /// What the options say, without the files that they name.
        private func options() throws -> ImportOptions {
            var options = ImportOptions()
            options.name = name
            options.owner = owner
            options.order = order
            options.base = base
            options.firstModel = at
            for pair in (columns ?? "").split(separator: ",") {
                let parts = pair.split(separator: "=", maxSplits: 1).map(String.init)
                guard parts.count == 2, ImportFormat.columnFields.contains(parts[0]) else {
                    throw ValidationError(
                        "--columns takes FIELD=TITLE,… with the fields \(ImportFormat.columnFields.joined(separator: ", "))"
                    )
                }
                options.columns.append((parts[0], parts[1]))
            }
            for text in repeats {
                let parts = text.split(separator: "=").map(String.init)
                guard parts.count == 2, let count = Int(parts[1], in: 0...200) else {
                    throw ValidationError("--repeat takes GROUP=N with N from 0 to 200")
                }
                options.repeats[parts[0]] = count
            }
            return options
        }

        func run() throws {
            try orComplain {
                var options = try options()
                options.devices = try devices.map(Self.read)
                let result = try Importing.run(format, files: try files.map(Self.read), options: options)
                let draft = try ImportedFiles(result: result)
                defer { draft.remove() }
                if !json { for remark in result.remarks { Console.talk(remark.description) } }
                try draft.check()
                let written = output == "-" ? [] : try draft.write(to: output, overwriting: force)
                if json {
                    Console.data(Self.document(result, written))
                } else if output == "-" {
                    Console.data(Array(draft.text.utf8))
                } else {
                    for path in written { Console.data(Array(path.utf8)) }
                }
                if !result.isComplete { throw ExitCode(2) }
            }
        }

        /// - Throws: in words, when the file cannot be read or is too large.
        private static func read(_ path: String) throws -> ImportFile {
            guard let handle = FileHandle(forReadingAtPath: path) else {
                throw ValidationFailure("\(path): cannot be read")
            }
            defer { try? handle.close() }
            // One byte more than is taken, so that a larger file is known as one.
            guard let data = try? handle.read(upToCount: Importing.byteLimit + 1) ?? Data() else {
                throw ValidationFailure("\(path): cannot be read")
            }
            return ImportFile(name: URL(fileURLWithPath: path).lastPathComponent, bytes: Array(data))
        }

        private static func document(_ result: ImportResult, _ written: [String]) -> [UInt8] {
            let profiles = result.profiles.map { profile in
                Model.JSONValue.compact([("id", .string(profile.id)), ("yaml", .string(profile.yaml))])
            }
            return Model.JSONValue.compact([
                ("complete", .bool(result.isComplete)), ("profiles", .array(profiles)),
                ("site_fragment", .optional(result.siteFragment)), ("written", .array(written.map { .string($0) })),
                ("remarks", .array(result.remarks.map(\.json))),
            ]).bytes
        }
    }
}

/// The files of an import, in a folder of their own until they are known to load.
struct ImportedFiles {
    let result: ImportResult
    private let folder: URL

    init(result: ImportResult) throws {
        self.result = result
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("headgate-import-\(UUID().uuidString)")
        for profile in result.profiles {
            try Self.put(profile.yaml, at: folder.appendingPathComponent("\(profile.id).yaml"))
        }
    }

    func remove() {
        try? FileManager.default.removeItem(at: folder)
    }

    private static func put(_ text: String, at url: URL) throws {
        try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(text.utf8).write(to: url, options: .atomic)
    }

    /// Loads each profile as the gateway would; what it refuses is said and is an error.
    func check() throws {
        let library = ProfileLibrary(folders: [folder.path])
        for profile in result.profiles {
            let loaded = library.load(profile.id)
            Console.complain(loaded.problems.filter { $0.severity == .error })
            guard loaded.isClean else {
                throw ValidationFailure("the imported profile \(profile.id) does not load, so nothing was written")
            }
        }
    }

    /// Every document, one behind the other, each under its path.
    var text: String {
        var parts = result.profiles.map { "# profiles/\($0.id).yaml\n\($0.yaml)" }
        if let site = result.siteFragment { parts.append("# site-fragment.yaml\n\(site)") }
        return String(parts.joined(separator: "---\n").dropLast())
    }

    /// - Returns: the paths.
    /// - Throws: in words, when one is there already or cannot be written; then none is written.
    func write(to output: String, overwriting: Bool) throws -> [String] {
        var files = result.profiles.map { ("profiles/\($0.id).yaml", $0.yaml) }
        if let site = result.siteFragment { files.append(("site-fragment.yaml", site)) }
        let base = URL(fileURLWithPath: output)
        if !overwriting {
            for (path, _) in files where FileManager.default.fileExists(atPath: base.appendingPathComponent(path).path)
            {
                throw ValidationFailure("\(output)/\(path) is there already; --force overwrites it")
            }
        }
        do {
            for (path, text) in files { try Self.put(text, at: base.appendingPathComponent(path)) }
        } catch {
            throw ValidationFailure("\(output) cannot be written: \(error.localizedDescription)")
        }
        return files.map { "\(output)/\($0.0)" }
    }
}
