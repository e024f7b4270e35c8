import Foundation

/// Where the files lie that come with Headgate.
package enum ShippedFiles {
    /// Folder of the profile library: `$HEADGATE_DEVICES`, `../share/headgate/devices` beside the program, or a `Devices` folder
    /// at or above the program or the working folder (a checkout).
    package static var profiles: String {
        if let path = ProcessInfo.processInfo.environment["HEADGATE_DEVICES"] { return path }
        let program = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
        let installed = program.appendingPathComponent("../share/headgate/devices").standardizedFileURL.path
        if isFolder(installed) { return installed }
        for start in [program.path, FileManager.default.currentDirectoryPath] {
            if let found = folderAbove(start) { return found }
        }
        return installed
    }

    /// A file of `docs/examples`: beside the installed program's documentation, or in a checkout. Nil where there is none.
    package static func example(_ name: String) -> String? {
        let program = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
        let installed = program.appendingPathComponent("../share/doc/headgate/examples/\(name)").standardizedFileURL
            .path
        let folders = [program.path, FileManager.default.currentDirectoryPath]
        let found = folders.compactMap { folderAbove($0, with: "docs/examples") }.map { "\($0)/\(name)" }
        return ([installed] + found).first(where: FileManager.default.fileExists)
    }

    private static func folderAbove(_ start: String, with name: String = "Devices") -> String? {
        var folder = URL(fileURLWithPath: start)
        while folder.path != "/" {
            let candidate = folder.appendingPathComponent(name).path
            if isFolder(candidate) { return candidate }
            folder.deleteLastPathComponent()
        }
        return nil
    }

    private static func isFolder(_ path: String) -> Bool {
        var isFolder: ObjCBool = false
        return FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) && isFolder.boolValue
    }
}
