import Foundation
import Importers
import Model
import Profiles
import Testing

/// Files of other programs in Tests/Fixtures/import: what they become, and what is said about them. `RECORD_FIXTURES=1`
/// writes it anew, for a person to read the difference. Where they come from: Tests/Fixtures/import/SOURCES.
@Suite struct ImportersTests {
    private static func document(_ result: ImportResult) -> String {
        let profiles = result.profiles.map { "# profiles/\($0.id).yaml\n\($0.yaml)" }
        return (profiles + (result.siteFragment.map { ["# site-fragment.yaml\n\($0)"] } ?? [])).joined(
            separator: "---\n")
    }

    private static func compare(_ text: String, _ path: String) throws {
        if ProcessInfo.processInfo.environment["RECORD_FIXTURES"] == "1" {
            try text.write(toFile: path, atomically: true, encoding: .utf8)
        }
        let expected = try String(contentsOfFile: path, encoding: .utf8)
        #expect(text == expected, "\(path)")
    }

    @Test(arguments: ImportCase.all)
    func filesOfOtherProgramsBecomeProfilesAndEveryOmissionIsSaid(fixture: ImportCase) throws {
        let result = try fixture.run()
        try Self.compare(Self.document(result), "\(fixture.folder)/expected.yaml")
        let complete = result.isComplete ? "complete\n" : "incomplete\n"
        let report = complete + result.remarks.map { $0.description + "\n" }.joined()
        try Self.compare(report, "\(fixture.folder)/report.txt")
        #expect(result.isComplete == !result.remarks.contains { $0.weight == .leftOut })
    }

    @Test(arguments: ImportCase.all)
    func whatWasImportedLoadsAsAProfileAndAsPartOfASite(fixture: ImportCase) throws {
        let result = try fixture.run()
        let scratch = Scratch()
        for profile in result.profiles { try scratch.put(profile.yaml, "profiles/\(profile.id).yaml") }
        let library = ProfileLibrary(folders: [scratch.path + "/profiles"])
        for profile in result.profiles {
            let loaded = library.load(profile.id)
            #expect(loaded.problems.isEmpty, "not even a warning: \(loaded.problems)")
            #expect(loaded.value?.source.contains(fixture.format.title) == true)
            for file in try fixture.files().main { #expect(loaded.value?.source.contains(file.name) == true) }
        }
        guard let fragment = result.siteFragment else { return }
        let site = """
            gateway: {id: gw, owner: me, state: \(scratch.path)/state}
            profiles: [./profiles]
            publish: {plant: {mqtt: "mqtt://127.0.0.1:1883"}}

            """
        try scratch.put(site + fragment, "site.yaml")
        let loaded = SiteFile.load(path: scratch.path + "/site.yaml", shippedProfiles: scratch.path + "/none")
        #expect(loaded.isClean, "\(loaded.problems)")
        #expect((loaded.value?.devices.count ?? 0) > 0)
    }

    @Test func everyFormatHasCases() {
        for format in ImportFormat.allCases { #expect(ImportCase.all.contains { $0.format == format }, "\(format)") }
    }
}
