import ArgumentParser
import Gateway
import Model
import Profiles

/// Which profiles a command knows: the shipped ones, and those of a site.
struct LibraryOption: ParsableArguments {
    @Option(name: [.short, .customLong("config")], help: "A site file, whose folders of profiles come first.")
    var config: String?

    /// - Throws: exit code 1 when the site file does not say which folders, which has been told.
    func library() throws -> ProfileLibrary {
        guard let config else { return ProfileLibrary(folders: [ShippedFiles.profiles]) }
        let loaded = SiteFile.profileFolders(path: config, shippedProfiles: ShippedFiles.profiles)
        Console.complain(loaded.problems)
        guard let folders = loaded.value else { throw ExitCode(1) }
        return ProfileLibrary(folders: folders)
    }
}

extension ProfileCommand {
    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List all profiles of the library.",
            discussion: "Columns: id, title. Exit code 1 when one does not load; why is said on stderr.")

        @Argument(help: "Folder of profiles, instead of the library.")
        var folder: String?

        @OptionGroup var library: LibraryOption

        @Flag(help: "Print one JSON document.")
        var json = false

        func validate() throws {
            if folder != nil, library.config != nil { throw ValidationError("give either a folder or --config") }
        }

        func run() throws {
            let library = try folder.map { ProfileLibrary(folders: [$0]) } ?? library.library()
            let listing = ProfileListing(library)
            for entry in listing.entries { Console.complain(entry.loaded.problems) }
            if json {
                Console.data(listing.json)
            } else {
                for entry in listing.entries {
                    let title = entry.loaded.value?.title ?? "(does not load: headgate profile test \(entry.id))"
                    Console.data(Array("\(entry.id)\t\(title)".utf8))
                }
            }
            if listing.entries.contains(where: { !$0.loaded.isClean }) { throw ExitCode(1) }
        }
    }

    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show the points of a profile, what it extends and repeats written out.")

        @Argument(help: "Id of a profile, or the path of a profile file.")
        var profile: String

        @OptionGroup var library: LibraryOption

        @Flag(help: "Print one JSON document.")
        var json = false

        func run() throws {
            let loaded =
                profile.hasSuffix(".yaml")
                ? ProfileLibrary.load(file: profile, shipped: ShippedFiles.profiles)
                : try library.library().load(profile)
            Console.complain(loaded.problems)
            guard loaded.isClean, let profile = loaded.value else { throw ExitCode(1) }
            guard !json else {
                Console.data(ProfileDocument(profile).json)
                return
            }
            let models = profile.sunSpec.map {
                ["SunSpec models \($0.wanted.map(String.init).joined(separator: ", "))"]
            }
            let identity = (models ?? []) + profile.identity.map(\.expected)
            let head = [
                "\(profile.id): \(profile.title), revision \(profile.revision)", "source: \(profile.source)",
                "recognised by: \(identity.isEmpty ? "nothing; a scan cannot name it" : identity.joined(separator: "; "))",
            ]
            Console.data(Array(head.joined(separator: "\n").utf8))
            for point in profile.points {
                let line = [
                    point.name, point.spans.map(\.description).joined(separator: " + "), point.encoding.type.rawValue,
                    point.unit, point.kind.rawValue,
                    "every \(point.every.text)", point.summary ?? "",
                ]
                Console.data(Array(line.joined(separator: "\t").utf8))
            }
        }
    }
}
