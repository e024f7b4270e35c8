import Foundation
import Model
import Profiles

/// A folder of profiles written for one test.
struct ProfileText {
    let folder = NSTemporaryDirectory() + "/headgate-\(UUID().uuidString)"

    /// - Parameter texts: what is added to a head that every profile needs, by id.
    init(_ texts: [String: String]) throws {
        for (id, text) in texts {
            let path = "\(folder)/\(id).yaml"
            try FileManager.default.createDirectory(
                atPath: (path as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
            let head = "profile: \(id)\ntitle: Meter\nmanufacturer: Acme\nmodel: M\nsource: \"manual\"\n"
            try (head + text).write(toFile: path, atomically: true, encoding: .utf8)
        }
    }

    func load(_ id: String) -> Loaded<DeviceProfile> {
        ProfileLibrary(folders: [folder]).load(id)
    }

    /// Loads one profile; the messages of its problems come without the path.
    static func load(_ text: String) throws -> (profile: DeviceProfile?, problems: [String]) {
        let texts = try ProfileText(["acme/m": text])
        defer { texts.remove() }
        let loaded = texts.load("acme/m")
        return (loaded.value, loaded.problems.map { $0.description.replacing("\(texts.folder)/acme/", with: "") })
    }

    func remove() {
        try? FileManager.default.removeItem(atPath: folder)
    }
}

extension DeviceProfile {
    func point(_ name: String) -> Point? {
        points.first { $0.name == name }
    }
}
