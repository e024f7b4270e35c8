package import Model

/// All profiles of a library, loaded.
package struct ProfileListing {
    package struct Entry {
        package let id: String
        package let file: String
        package let loaded: Loaded<DeviceProfile>
    }

    package let entries: [Entry]

    package init(_ library: ProfileLibrary) {
        entries = library.files.map { Entry(id: $0.id, file: $0.path, loaded: library.load($0.id)) }
    }

    /// `[{"profile","file","title","manufacturer","model","revision","points","writable","problems"}]`; of one that does not
    /// load only `profile`, `file` and `problems`.
    package var json: [UInt8] {
        JSONValue.array(entries.map(Self.document)).bytes
    }

    private static func document(_ entry: Entry) -> JSONValue {
        let problems = entry.loaded.problems.map { JSONValue.string($0.description) }
        var members: [(String, JSONValue)] = [("profile", .string(entry.id)), ("file", .string(entry.file))]
        if let profile = entry.loaded.value {
            members += [
                ("title", .string(profile.title)), ("manufacturer", .string(profile.manufacturer)),
                ("model", .string(profile.model)), ("revision", .integer(profile.revision)),
                ("points", .integer(profile.points.count)),
                ("writable", .integer(profile.points.count { $0.write != nil })),
            ]
        }
        return .compact(members + [("problems", .array(problems))])
    }
}
