import Files
import Foundation
package import Model

/// Something that is found out about a device and worth keeping over a restart.
package protocol DeviceFinding: Equatable, Sendable {
    /// Of the file in the state folder.
    static var fileName: String { get }
    static var schema: String { get }
    /// What follows when the file is lost, in words.
    static var loss: String { get }
    /// Nothing worth keeping.
    var isEmpty: Bool { get }
    /// In the file, beside the identity.
    var members: [(String, JSONValue)] { get }
    /// Nil where the entry says nothing that could be used.
    init?(entry: JSONValue)
}

/// What was found out about devices, kept as one JSON file in the state folder.
///
/// The file is worth some questions to the devices and no more: a damaged one is told and replaced, deleting it is safe.
package struct DeviceMemory<Finding: DeviceFinding>: Sendable {
    private let path: String
    private var known: [DeviceIdentity: Finding] = [:]
    /// Whether the disk has less than what is known.
    private var isUnwritten = false
    /// Why the file could not be read, nil when it could or is not there.
    package let damage: String?

    package init(stateFolder: String) {
        path = stateFolder + "/" + Finding.fileName
        let file: RegularFile
        do {
            file = try RegularFile(path, limit: 16 << 20)
        } catch {
            damage = error == .refused(ENOENT) ? nil : "\(path) \(error); \(Finding.loss)"
            return
        }
        guard let document = try? JSONValue(parsing: file.bytes), document["schema"]?.text == Finding.schema else {
            damage = "\(path) is no \(Finding.schema) document; \(Finding.loss)"
            return
        }
        damage = nil
        for entry in document["devices"]?.elements ?? [] {
            guard let identity = DeviceIdentity(entry), let finding = Finding(entry: entry) else { continue }
            known[identity] = finding
        }
    }

    package subscript(identity: DeviceIdentity) -> Finding? { known[identity] }

    /// Takes over what is known now of the given devices, and forgets what was known of others in their places.
    ///
    /// - Throws: what the disk says. What was found holds all the same; the next call tries again.
    package mutating func keep(_ current: [DeviceIdentity: Finding]) throws {
        let places = Set(current.keys.map(\.place))
        var kept = known.filter { !places.contains($0.key.place) }
        kept.merge(current.filter { !$0.value.isEmpty }) { $1 }
        guard kept != known || isUnwritten else { return }
        (known, isUnwritten) = (kept, true)
        try Data(document.bytes + [UInt8(ascii: "\n")]).write(to: URL(fileURLWithPath: path), options: .atomic)
        isUnwritten = false
    }

    private var document: JSONValue {
        let ordered = known.sorted { ($0.key.endpoint, $0.key.unit) < ($1.key.endpoint, $1.key.unit) }
        return .compact([
            ("schema", .string(Finding.schema)),
            ("devices", .array(ordered.map { .compact($0.key.members + $0.value.members) })),
        ])
    }
}
