import Foundation

/// Names of serial ports that stay with the adapter, as udev makes them.
struct StablePath {
    static let folder = "/dev/serial/by-id"

    let folder: String

    /// Whether `path` is a number that the kernel gives out anew at each plug.
    static func isNumbered(_ path: String) -> Bool {
        ["/dev/ttyUSB", "/dev/ttyACM"].contains { prefix in
            path.hasPrefix(prefix) && !path.dropFirst(prefix.count).isEmpty
                && path.dropFirst(prefix.count).allSatisfy(\.isNumber)
        }
    }

    /// The name that stays, nil where there is none.
    func of(_ path: String) -> String? {
        let device = URL(fileURLWithPath: path).resolvingSymlinksInPath().path
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return names.sorted().map { folder + "/" + $0 }.first {
            URL(fileURLWithPath: $0).resolvingSymlinksInPath().path == device
        }
    }
}
