import Foundation
import Gateway
import Logging
import Model
import Profiles
import ServiceLifecycle
import Testing

/// A folder with profiles and a site file of a test's own, which is the state folder of its gateway, too.
struct SiteFolder {
    private let folder: Folder

    var path: String { folder.path }
    var profiles: ProfileLibrary { ProfileLibrary(folders: [path + "/profiles"]) }

    /// - Parameter profiles: their texts by id, such as `test/drive`.
    init(profiles: [String: String]) throws {
        folder = try Folder()
        for (id, text) in profiles {
            let file = URL(fileURLWithPath: "\(folder.path)/profiles/\(id).yaml")
            try FileManager.default.createDirectory(
                at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(text.utf8).write(to: file)
        }
    }

    /// The site of a file in which `STATE` stands for this folder and `PORT` for `port`.
    ///
    /// - Parameter shippedProfiles: the library beside the profiles of this folder; nil for none.
    func load(_ text: String, port: Int, shippedProfiles: String? = nil) throws -> Site {
        let file = path + "/headgate.yaml"
        let text = text.replacingOccurrences(of: "STATE", with: path).replacingOccurrences(of: "PORT", with: "\(port)")
        try Data(text.utf8).write(to: URL(fileURLWithPath: file))
        let loaded = SiteFile.load(path: file, shippedProfiles: shippedProfiles ?? path + "/none")
        return try #require(loaded.value, "\(loaded.problems)")
    }

    func remove() { folder.remove() }
}

/// Runs the gateway of a site for as long as `body` takes, and ends it also where `body` fails.
func withGateway<Value>(
    _ site: Site, changes: AsyncStream<Site> = AsyncStream { _ in }, _ body: () async throws -> Value
) async throws -> Value {
    var logger = Logger(label: "test")
    logger.logLevel = .critical
    let group = ServiceGroup(
        services: [GatewayService(site: site, changes: changes, logger: logger)], logger: logger)
    return try await withThrowingTaskGroup(of: Void.self) { tasks in
        tasks.addTask { try await group.run() }
        let result: Result<Value, any Error>
        do { result = .success(try await body()) } catch { result = .failure(error) }
        await group.triggerGracefulShutdown()
        try await tasks.waitForAll()
        return try result.get()
    }
}
