import Foundation
import Testing

/// The JSON Schema of profiles, which editors complete with, against the profiles that the parser takes.
@Suite struct ProfileSchemaTests {
    private static let root = ConfigurationTests.root.deletingLastPathComponent().path

    private static let script = """
        import glob, json, sys, jsonschema, yaml
        schema = json.load(open(sys.argv[1]))
        jsonschema.Draft202012Validator.check_schema(schema)
        for name in sys.argv[2:]:
            document = json.loads(json.dumps(yaml.safe_load(open(name))))
            for error in jsonschema.Draft202012Validator(schema).iter_errors(document):
                print(name, list(error.absolute_path), error.message[:200])
        """

    private static func complaints(_ files: [String]) throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/python3")
        process.arguments = ["-c", script, root + "/Sources/Profiles/Schemas/profile.schema.json"] + files
        let output = Pipe()
        (process.standardOutput, process.standardError) = (output, output)
        try process.run()
        let said = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return String(decoding: said, as: UTF8.self)
    }

    @Test func everyShippedProfileFollowsTheSchema() throws {
        let folder = Self.root + "/Devices"
        // Definitions of models are no profiles.
        let files = try FileManager.default.subpathsOfDirectory(atPath: folder)
            .filter { $0.hasSuffix(".yaml") && !$0.hasPrefix("sunspec/models/") }
        #expect(files.count > 40)
        #expect(try Self.complaints(files.map { folder + "/" + $0 }) == "")
    }

    @Test func theSchemaKnowsWhatTheParserKnows() throws {
        let texts = try ProfileText(["acme/m": RepeatTests.feeders])
        defer { texts.remove() }
        #expect(try Self.complaints([texts.folder + "/acme/m.yaml"]) == "")
    }

    @Test func theSchemaRefusesABlockWithoutCount() throws {
        let texts = try ProfileText(["acme/m": "points: {}\nrepeat: {stride: 2, name: \"f{n}\"}\n"])
        defer { texts.remove() }
        #expect(try Self.complaints([texts.folder + "/acme/m.yaml"]).contains("not valid under any"))
    }
}
