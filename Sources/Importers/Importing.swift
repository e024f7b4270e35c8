import Model

/// The formats of other programs that become profiles.
package enum ImportFormat: String, CaseIterable, Sendable {
    case sunspec, csv, telegraf, edgex, thingsboard
    case homeAssistant = "home-assistant"

    /// What a column of a tag list can hold: the words on the left of `--columns`.
    package static var columnFields: [String] { TagListImporter.fields.map(\.field) }

    /// What it is called in `source:` and in messages.
    package var title: String {
        switch self {
        case .sunspec: "SunSpec model JSON"
        case .csv: "CSV tag list"
        case .telegraf: "Telegraf inputs.modbus"
        case .edgex: "EdgeX device profile"
        case .thingsboard: "ThingsBoard gateway modbus.json"
        case .homeAssistant: "Home Assistant modbus"
        }
    }
}

/// A file as it was read: nothing in this target opens one.
package struct ImportFile: Sendable {
    /// Name for messages and for `source:`, without its folder.
    package var name: String
    package var bytes: [UInt8]

    package init(name: String, bytes: [UInt8]) {
        self.name = name
        self.bytes = bytes
    }
}

/// What a person adds to what the files say.
package struct ImportOptions: Sendable {
    /// `manufacturer/model`: id of the profile; with several profiles, what their ids begin with.
    package var name: String?
    /// Who answers for the devices, for the site fragment.
    package var owner: String?
    /// csv: column titles by field, in place of the defaults.
    package var columns: [(field: String, title: String)] = []
    /// csv: byte order of values of several registers, such as CDAB.
    package var order: String?
    /// sunspec: protocol address of the "SunS" marker; the first model begins two registers behind it.
    package var base = 40_000
    /// sunspec: protocol address of the first model where no marker is in front of it.
    package var firstModel: Int?
    /// sunspec: how often repeating groups are there, by group name.
    package var repeats: [String: Int] = [:]
    /// edgex: device lists.
    package var devices: [ImportFile] = []

    package init() {}
}

/// Why nothing could be imported, in words, with the place.
package struct ImportError: Error, Hashable, Sendable, CustomStringConvertible {
    package var description: String

    init(_ description: String) {
        self.description = description
    }

    init(_ node: SourceNode, _ message: String) {
        let place = [node.file, node.line.map(String.init)].compactMap(\.self).joined(separator: ":")
        description = [place, node.path, message].filter { !$0.isEmpty }.joined(separator: ": ")
    }
}

/// What an import gave.
package struct ImportResult: Sendable {
    package struct Profile: Hashable, Sendable {
        /// `manufacturer/model`: its path is this with `.yaml`.
        package var id: String
        package var yaml: String
    }

    package var profiles: [Profile]
    /// `connections` and `devices` for a site file; nil where the format knows none.
    package var siteFragment: String?
    package var remarks: [ImportRemark]
    /// Whether nothing of the source was left out.
    package var isComplete: Bool
}

/// Translates files of another program: text in, text out, and everything that was not understood.
package enum Importing {
    /// Largest file that is read, in bytes.
    package static let byteLimit = 4 << 20
    /// Most points of one import.
    static let pointLimit = 20_000

    package static func run(
        _ format: ImportFormat, files: [ImportFile], options: ImportOptions
    ) throws(ImportError) -> ImportResult {
        let reporter = Reporter()
        guard let first = files.first else { throw ImportError("no file to import") }
        if format != .sunspec, files.count > 1 {
            throw ImportError("\(format.rawValue) is imported from one file at a time, not \(files.count)")
        }
        let draft: Draft
        switch format {
        case .sunspec: draft = try SunSpecImporter(options: options, reporter: reporter).draft(files)
        case .csv: draft = try TagListImporter(options: options, reporter: reporter).draft(first)
        case .homeAssistant: draft = try HomeAssistantImporter(reporter: reporter).draft(first)
        case .telegraf: draft = try TelegrafImporter(reporter: reporter).draft(first)
        case .edgex: draft = try EdgeXImporter(options: options, reporter: reporter).draft(first)
        case .thingsboard: draft = try ThingsBoardImporter(reporter: reporter).draft(first)
        }
        let source = "\(format.title), imported from \(files.map(\.name).joined(separator: ", "))"
        let finished = DraftFinisher(options: options, reporter: reporter, source: source).finish(draft)
        guard finished.profiles.contains(where: { !$0.points.isEmpty }) else {
            let reasons = reporter.remarks.prefix(10).map { "\n  \($0)" }.joined()
            throw ImportError("\(first.name): no point in it could be imported\(reasons)")
        }
        let profiles = finished.profiles.map {
            ImportResult.Profile(id: $0.id, yaml: ProfileWriter(profile: $0, source: source).text)
        }
        let site = finished.devices.isEmpty ? nil : SiteWriter(draft: finished, source: source, options: options).text
        return ImportResult(
            profiles: profiles, siteFragment: site, remarks: reporter.remarks, isComplete: !reporter.isIncomplete)
    }
}
