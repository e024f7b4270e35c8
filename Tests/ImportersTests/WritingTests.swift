import Foundation
import Importers
import Profiles
import Testing
import Yams

/// Whatever text a source brings along, the YAML that is written says that text and nothing else.
enum ImportedDocuments {
    /// Loads every profile and the site with it, as the gateway would.
    static func check(_ result: ImportResult, _ context: String) {
        let scratch = Scratch()
        do {
            for profile in result.profiles { try scratch.put(profile.yaml, "profiles/\(profile.id).yaml") }
            let library = ProfileLibrary(folders: [scratch.path + "/profiles"])
            for profile in result.profiles {
                let loaded = library.load(profile.id)
                #expect(loaded.isClean, "\(context): \(loaded.problems)\n\(profile.yaml)")
            }
            guard let fragment = result.siteFragment else { return }
            let head = """
                gateway: {id: gw, owner: me}
                profiles: [./profiles]
                publish: {plant: {mqtt: "mqtt://127.0.0.1:1883"}}

                """
            try scratch.put(head + fragment, "site.yaml")
            let site = SiteFile.load(path: scratch.path + "/site.yaml", shippedProfiles: scratch.path + "/none")
            #expect(site.isClean, "\(context): \(site.problems)\n\(fragment)")
        } catch {
            Issue.record("\(context): \(error)")
        }
    }
}

@Suite struct WritingTests {
    private static let nasty = [
        "a: b", "# not a comment", "x # y", "\"quoted\"", "it's", "- item", "? key", "! tag", "& anchor", "* alias",
        "{a}",
        "[b]", "a, b", "%", "@at", "`tick`", "yes", "NO", "on", "null", "~", "1", "0x10", "1e3", "012", "1:20", " lead",
        "trail ", "two  spaces", "tab\there", "line\nbreak", "cr\rhere", "\u{7F}", "\u{85}", "\u{A0}", "\u{2028}",
        "\u{FEFF}bom", "Ünïcödé", "电压", "🔥", "e\u{301}", "\\", "\\n", "|", ">", "--- ", "...", "<<", "=", ":", "",
        "\u{1}", "\u{FFFE}", "${a}", "{{ template }}", "a:b", "a:", "/", "://",
    ]

    private static func edgex(_ names: [(name: String, text: String)]) -> ImportFile {
        let encoder = JSONEncoder()
        func json(_ text: String) -> String {
            (try? String(decoding: encoder.encode(text), as: UTF8.self)) ?? "\"\""
        }
        let resources = names.enumerated().map { index, item in
            "{\"name\": \(json(item.name)), \"description\": \(json(item.text)), \"attributes\": {\"primaryTable\": \"HOLDING_REGISTERS\", \"startingAddress\": \(index)}, \"properties\": {\"valueType\": \"Int16\", \"readWrite\": \"R\", \"units\": \(json(item.text))}}"
        }
        let first = json(names.first?.text ?? "")
        let text =
            "{\"name\": \(first), \"manufacturer\": \(first), \"model\": \(first), \"description\": \(first), \"deviceResources\": [\(resources.joined(separator: ", "))]}"
        return ImportFile(name: "a: #\"file\".yaml", bytes: Array(text.utf8))
    }

    private static func check(_ texts: [String], _ context: String) throws {
        let file = edgex(texts.map { ($0, $0) })
        let result: ImportResult
        do throws(ImportError) {
            result = try Importing.run(.edgex, files: [file], options: ImportOptions())
        } catch {
            // The JSON of Foundation leaves some characters unescaped that YAML does not take: nothing was written then.
            return
        }
        ImportedDocuments.check(result, context)
        let profile = try #require(result.profiles.first)
        let root = try #require(try Yams.compose(yaml: profile.yaml), "\(context)")
        let said = root["points"]?.mapping?.compactMap { $0.value["description"]?.string } ?? []
        // YAML folds line breaks of any kind; what counts is what the source says to a reader of YAML.
        let source = try #require(try Yams.compose(yaml: String(decoding: file.bytes, as: UTF8.self)))
        let given = source["deviceResources"]?.sequence?.compactMap { $0["description"]?.string } ?? []
        // A byte order mark at the start of a text is lost by Foundation when it reads one.
        let plain = { (text: String) in
            text.replacingOccurrences(of: "\u{FEFF}", with: "").trimmingCharacters(in: .whitespacesAndNewlines)
        }
        for text in said {
            #expect(
                given.contains { plain($0) == plain(text) },
                "\(context): '\(text)' was written for none of the texts")
        }
    }

    @Test(arguments: nasty)
    func aTextComesBackAsItIs(text: String) throws {
        try Self.check([text, "plain"], "text \(text.debugDescription)")
    }

    @Test func randomTextsComeBackAsTheyAre() throws {
        let seed: UInt64 = 7_077
        var random = SeededGenerator(state: seed)
        for round in 0..<300 {
            let texts = (0..<3).map { _ in
                (0..<Int.random(in: 1...4, using: &random)).map { _ in Self.nasty.randomElement(using: &random) ?? "" }
                    .joined(separator: Bool.random(using: &random) ? "" : " ")
            }
            try Self.check(texts, "seed \(seed), round \(round)")
        }
    }
}
