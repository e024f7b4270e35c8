import Foundation
package import Model

/// Folders of profile files, searched in order: what a site brings along first, the shipped library last.
package final class ProfileLibrary {
    let folders: [String]
    private var loaded: [String: ParsedProfile?] = [:]
    /// Profiles under way, so that two that extend each other are found out.
    private var underWay: Set<String> = []
    private let sunSpecModels: SunSpecModels

    package init(folders: [String]) {
        self.folders = folders
        sunSpecModels = SunSpecModels(folders: folders)
    }

    /// Every profile id with its file, ascending; of two with one id the first folder's counts.
    package var files: [(id: String, path: String)] {
        var found: [String: String] = [:]
        for folder in folders {
            let names = FileManager.default.enumerator(atPath: folder)?.compactMap { $0 as? String } ?? []
            for name in names where name.hasSuffix(".yaml") && !name.hasPrefix(SunSpecModels.folder + "/") {
                let id = String(name.dropLast(5))
                if found[id] == nil { found[id] = folder + "/" + name }
            }
        }
        return found.sorted { $0.key < $1.key }.map { (id: $0.key, path: $0.value) }
    }

    /// Loads one profile by its id.
    package func load(_ id: String) -> Loaded<DeviceProfile> {
        let problems = ProblemList()
        let parsed = parsed(id, problems)
        if parsed == nil, !problems.hasErrors {
            let hint = suggestion(for: id).map { ", did you mean '\($0)'?" } ?? ""
            problems.error(
                Place(file: id), "no such profile\(hint); looked in \(folders.joined(separator: ", "))")
        }
        return Loaded(value: parsed?.profile, problems: problems.sorted)
    }

    /// Loads one file that need not lie in a library; its id is taken from the file itself.
    ///
    /// - Parameter shipped: folder of the library whose SunSpec models it may name.
    package static func load(file path: String, shipped: String? = nil) -> Loaded<DeviceProfile> {
        let parts = path.split(separator: "/").suffix(2)
        let id = parts.joined(separator: "/").replacingOccurrences(of: ".yaml", with: "")
        let root = parts.count == 2 ? String(path.dropLast(parts.joined(separator: "/").count)) : "."
        return ProfileLibrary(folders: [root.isEmpty ? "." : root] + [shipped].compactMap { $0 }).load(id, at: path)
    }

    private func load(_ id: String, at path: String) -> Loaded<DeviceProfile> {
        let problems = ProblemList()
        let parsed = YAMLFile(path: path, problems: problems).flatMap { parser(problems).parse($0, id: id) }
        return Loaded(value: problems.hasErrors ? nil : parsed?.profile, problems: problems.sorted)
    }

    /// The profile with its layers, nil when there is none or it is wrong, which has been said.
    func parsed(_ id: String, _ problems: ProblemList) -> ParsedProfile? {
        if let known = loaded[id] { return known }
        guard let path = folders.map({ $0 + "/" + id + ".yaml" }).first(where: FileManager.default.fileExists) else {
            return nil
        }
        guard underWay.insert(id).inserted else {
            problems.error(Place(file: path), "'\(id)' extends itself over other profiles")
            return nil
        }
        defer { underWay.remove(id) }
        let own = ProblemList()
        let parsed = YAMLFile(path: path, problems: own).flatMap { parser(own).parse($0, id: id) }
        for problem in own.problems { problems.add(problem) }
        loaded[id] = .some(own.hasErrors ? nil : parsed)
        return own.hasErrors ? nil : parsed
    }

    private func parser(_ problems: ProblemList) -> ProfileParser {
        ProfileParser(problems: problems, sunSpecModels: sunSpecModels) { [unowned self] in self.parsed($0, problems) }
    }

    /// What may be meant by an id that does not exist: one that only lacks its maker, or the nearest.
    func suggestion(for id: String) -> String? {
        let ids = files.map(\.id)
        return ids.first { $0.hasSuffix("/" + id) } ?? nearest(id, in: ids)
    }
}

extension ProblemList {
    func add(_ problem: Problem) {
        let place = Place(file: problem.file, line: problem.line, column: problem.column)
        switch problem.severity {
        case .error: error(place, problem.message)
        case .warning: warning(place, problem.message)
        }
    }
}
