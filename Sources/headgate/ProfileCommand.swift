import ArgumentParser
import Foundation
import Gateway
import Model
import Profiles

struct ProfileCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "profile", abstract: "The device profiles: list, show, test.",
        subcommands: [List.self, Show.self, Test.self])

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List all profiles of the library.")

        @Argument(help: "Folder of profiles.")
        var folder = ShippedFiles.profiles

        func run() throws {
            let library = ProfileLibrary(folders: [folder])
            for (id, _) in library.files {
                let title = library.load(id).value?.title ?? "(does not load: headgate profile test \(id))"
                Console.data(Array("\(id)\t\(title)".utf8))
            }
        }
    }

    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Show the points of a profile.")

        @Argument(help: "Id of a profile, or the path of a profile file.")
        var profile: String

        func run() throws {
            let profile = try SimulateCommand.profile(profile)
            Console.data(
                Array("\(profile.id): \(profile.title), revision \(profile.revision)\nsource: \(profile.source)".utf8))
            for point in profile.points {
                let line = [
                    point.name, point.span.description, point.encoding.type.rawValue, point.unit, point.kind.rawValue,
                    "every \(point.every.text)", point.summary ?? "",
                ]
                Console.data(Array(line.joined(separator: "\t").utf8))
            }
        }
    }

    struct Test: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Load profiles and run their golden tests.",
            discussion: "Exit code 1 when one does not load, or a test does not hold.")

        @Argument(help: "Profile ids, profile files, or folders of profiles; the whole library when none is given.")
        var targets: [String] = []

        func run() throws {
            var failures = 0
            for (id, loaded) in all() {
                Console.complain(loaded.problems)
                guard loaded.isClean, let profile = loaded.value else {
                    failures += 1
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

        private func all() -> [(String, Loaded<DeviceProfile>)] {
            let targets = targets.isEmpty ? [ShippedFiles.profiles] : targets
            return targets.flatMap { target -> [(String, Loaded<DeviceProfile>)] in
                var isFolder: ObjCBool = false
                if FileManager.default.fileExists(atPath: target, isDirectory: &isFolder), isFolder.boolValue {
                    let library = ProfileLibrary(folders: [target])
                    return library.files.map { ($0.id, library.load($0.id)) }
                }
                if target.hasSuffix(".yaml") {
                    return [(target, ProfileLibrary.load(file: target, shipped: ShippedFiles.profiles))]
                }
                return [(target, ProfileLibrary(folders: [ShippedFiles.profiles]).load(target))]
            }
        }
    }
}
