package import Model
import Profiles

/// The profiles that a scan knows devices by.
package enum ScanProfiles {
    /// Those that load.
    ///
    /// - Parameter folders: of the site file, see ``Site/profileFolders``; none for the shipped library.
    package static func all(in folders: [String]) -> [DeviceProfile] {
        let library = ProfileLibrary(folders: folders.isEmpty ? [ShippedFiles.profiles] : folders)
        return library.files.compactMap { library.load($0.id).value }
    }
}
