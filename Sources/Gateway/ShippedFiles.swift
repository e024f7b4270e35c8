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

    private static func folderAbove(_ start: String) -> String? {
        var folder = URL(fileURLWithPath: start)
        while folder.path != "/" {
            let candidate = folder.appendingPathComponent("Devices").path
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
