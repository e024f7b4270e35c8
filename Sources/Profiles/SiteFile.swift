import Foundation
package import Model

/// The site file: everything that a person decides about one gateway.
package enum SiteFile {
    /// Loads a site file with the profiles that it names.
    ///
    /// - Parameter shippedProfiles: folder of the library that comes with Headgate.
    package static func load(path: String, shippedProfiles: String) -> Loaded<Site> {
        let problems = ProblemList()
        let site = YAMLFile(path: path, problems: problems).flatMap {
            SiteParser(file: $0, shippedProfiles: shippedProfiles, problems: problems).parse()
        }
        return Loaded(value: problems.hasErrors ? nil : site, problems: problems.sorted)
    }

    /// Which gateway a site file is about, whatever else is wrong with it; nil where it does not say.
    package static func gateway(path: String) -> GatewayIdentity? {
        let problems = ProblemList()
        return YAMLFile(path: path, problems: problems).flatMap {
            SiteParser(file: $0, shippedProfiles: "", problems: problems).identity()
        }
    }

    /// Something that is wrong about what a site file names, said where it names it: at the value of the last of `keys`, or as
    /// near to it as the file goes.
    package static func problem(
        _ severity: Problem.Severity, at keys: [String], in path: String, _ message: String
    ) -> Problem {
        let problems = ProblemList()
        var field = YAMLFile(path: path, problems: problems).map {
            Field(name: "the site file", node: $0.root, file: path, problems: problems)
        }
        for key in keys {
            guard let parent = field, parent.isMapping,
                let member = parent.members(allowed: "")?.first(where: { $0.key == key })
            else { break }
            field = member.value
        }
        let place = field?.place ?? Place(file: path)
        return Problem(file: path, line: place.line, column: place.column, severity: severity, message: message)
    }

    /// The folders of profiles of a site, its own first, whatever else is wrong with its file.
    package static func profileFolders(path: String, shippedProfiles: String) -> Loaded<[String]> {
        let problems = ProblemList()
        let folders = YAMLFile(path: path, problems: problems).flatMap {
            SiteParser(file: $0, shippedProfiles: shippedProfiles, problems: problems).folders()
        }
        return Loaded(value: problems.hasErrors ? nil : folders, problems: problems.sorted)
    }
}

/// Reads the sections of a site file.
struct SiteParser {
    let file: YAMLFile
    let shippedProfiles: String
    let problems: ProblemList

    private static let keys = [
        "gateway", "profiles", "connections", "devices", "publish", "buffer", "commands", "console",
    ]

    func parse() -> Site? {
        let root = Field(name: "the site file", node: file.root, file: file.path, problems: problems)
        guard let fields = root.fields(Self.keys, required: ["gateway", "connections", "devices", "publish"]) else {
            return nil
        }
        let gateway = fields["gateway"].flatMap(self.gateway)
        let connections = fields["connections"].map { ConnectionParser(problems: problems).parse($0) } ?? []
        let library = ProfileLibrary(folders: folders(fields["profiles"]))
        let devices = fields["devices"].map {
            DeviceParser(
                library: library, connections: connections, knownConnections: names(fields["connections"]),
                gateway: gateway, problems: problems
            ).parse($0)
        }
        let publishers = fields["publish"].map {
            PublisherParser(gateway: gateway, problems: problems).parse($0)
        }
        let buffer = fields["buffer"].map(self.buffer) ?? BufferSettings()
        let commands = fields["commands"].map {
            CommandsParser(devices: devices ?? [], knowsPoints: !problems.hasErrors, problems: problems).parse($0)
        }
        futureSections(fields)
        guard let gateway else { return nil }
        return Site(
            gateway: gateway, connections: connections, devices: devices ?? [], publishers: publishers ?? [],
            buffer: buffer, commands: commands ?? CommandSettings(), profileFolders: library.folders)
    }

    private func names(_ field: Field?) -> [String] {
        guard let field, field.isMapping else { return [] }
        return field.members(allowed: "")?.map(\.key) ?? []
    }

    private func gateway(_ field: Field) -> GatewayIdentity? {
        guard let fields = field.fields(["id", "owner", "state", "labels"], required: ["id", "owner"]),
            let id = fields["id"]?.identifier(hyphens: true), let owner = fields["owner"]?.text("who answers for it")
        else { return nil }
        return GatewayIdentity(
            id: id, owner: owner, stateFolder: fields["state"]?.text("a folder") ?? "/var/lib/headgate",
            labels: fields["labels"].map(labels) ?? [])
    }

    func identity() -> GatewayIdentity? {
        let root = Field(name: "the site file", node: file.root, file: file.path, problems: problems)
        let members = root.members(allowed: Self.keys.joined(separator: ", "))
        return members?.first { $0.key == "gateway" }.flatMap { gateway($0.value) }
    }

    func folders() -> [String]? {
        let root = Field(name: "the site file", node: file.root, file: file.path, problems: problems)
        guard let members = root.members(allowed: Self.keys.joined(separator: ", ")) else { return nil }
        return folders(members.first { $0.key == "profiles" }?.value)
    }

    private func folders(_ field: Field?) -> [String] {
        let base = URL(fileURLWithPath: file.path).deletingLastPathComponent().path
        let folders = (field?.list(allowed: "folders", single: true) ?? []).compactMap { item -> String? in
            guard let text = item.text("a folder") else { return nil }
            let path = text.hasPrefix("/") ? text : base + "/" + text
            var isFolder: ObjCBool = false
            guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), isFolder.boolValue else {
                item.fail("profiles: no folder '\(text)'; it is taken from where the site file lies")
                return nil
            }
            return path
        }
        return folders + [shippedProfiles]
    }

    private func buffer(_ field: Field) -> BufferSettings {
        var settings = BufferSettings()
        guard let fields = field.fields(["max_size", "max_age", "commit_every", "durability"]) else { return settings }
        settings.maxByteCount = fields["max_size"]?.byteCount(in: (16 << 20)...(1 << 44)) ?? settings.maxByteCount
        settings.maxAge = fields["max_age"]?.duration(in: .seconds(60) ... .seconds(3650 * 86_400)) ?? settings.maxAge
        settings.commitEvery =
            fields["commit_every"]?.duration(in: .milliseconds(10) ... .seconds(10)) ?? settings.commitEvery
        settings.durability =
            fields["durability"]?.choice(BufferSettings.Durability.allCases.map(\.rawValue))
            .flatMap(BufferSettings.Durability.init(rawValue:)) ?? settings.durability
        return settings
    }

    /// Sections that the contract has and this version does not act on: said, never silently ignored.
    private func futureSections(_ fields: Fields) {
        if let console = fields["console"], let members = console.fields(["listen"]) {
            _ = members["listen"]?.text("host:port")
            problems.warning(console.place, "the console is not served by this version")
        }
    }
}

/// Labels as written: any names, any texts.
func labels(_ field: Field) -> [Label] {
    (field.members(allowed: "name: text") ?? []).compactMap { key, keyField, value in
        guard keyField.identifier(key) != nil, let text = value.text() else { return nil }
        if text.contains(where: { "+#\0".contains($0) }) {
            value.fail("label \(key) cannot be '\(text)': it becomes part of topics, so '+' and '#' are not allowed")
        }
        return Label(key: key, value: text)
    }
}
