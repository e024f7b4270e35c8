import ArgumentParser
import Foundation
import Gateway
import Model
import Payloads
import Profiles

struct ProfileCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "profile", abstract: "The device profiles: list, show, test, import.",
        subcommands: [List.self, Show.self, Test.self, Import.self])

    struct Test: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Load profiles and run their golden tests.",
            discussion: "Exit code 1 when one does not load, or a test does not hold.")

        @Argument(help: "Profile ids, profile files, or folders of profiles; the whole library when none is given.")
        var targets: [String] = []

        @OptionGroup var library: LibraryOption

        @Flag(help: "Print one JSON document.")
        var json = false

        func run() throws {
            if json { return try printDocument() }
            var failures = 0
            for (id, loaded) in try all() {
                Console.complain(loaded.problems)
                guard loaded.isClean, let profile = loaded.value else {
                    failures += 1
                    Console.data(Array("FAILED\t\(id)\tdoes not load".utf8))
                    continue
                }
                let failed = profile.goldenFailures()
                for failure in failed { Console.talk("\(id): test in line \(failure.line): \(failure.message)") }
                let untested = profile.untestedPoints
                if !untested.isEmpty { Console.talk("\(id): no test covers \(untested.joined(separator: ", "))") }
                failures += failed.count + untested.count
                let verdict = failed.isEmpty && untested.isEmpty ? "ok" : "FAILED"
                Console.data(
                    Array("\(verdict)\t\(id)\t\(profile.points.count) points, \(profile.tests.count) tests".utf8))
            }
            if failures > 0 { throw ExitCode(1) }
        }

        private func printDocument() throws {
            let results = try all().map { GoldenTestResult(id: $0, loaded: $1) }
            Console.data(Model.JSONValue.array(results.map(\.document)).bytes)
            if results.contains(where: { !$0.holds }) { throw ExitCode(1) }
        }

        private func all() throws -> [(String, Loaded<DeviceProfile>)] {
            guard !targets.isEmpty else {
                let library = try library.library()
                return library.files.map { ($0.id, library.load($0.id)) }
            }
            return try targets.flatMap { target -> [(String, Loaded<DeviceProfile>)] in
                var isFolder: ObjCBool = false
                if FileManager.default.fileExists(atPath: target, isDirectory: &isFolder), isFolder.boolValue {
                    let library = ProfileLibrary(folders: [target])
                    return library.files.map { ($0.id, library.load($0.id)) }
                }
                if target.hasSuffix(".yaml") {
                    return [(target, ProfileLibrary.load(file: target, shipped: ShippedFiles.profiles))]
                }
                return [(target, try library.library().load(target))]
            }
        }
    }
}
