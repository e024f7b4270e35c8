import Engine
import Foundation
package import Model

/// Which SunSpec models devices were found to hold, kept as one JSON file in the state folder: a gateway that starts while
/// a device is away knows its points all the same.
///
/// A damaged file is told and replaced; deleting it is safe, the devices are asked anew.
package struct ChainFile: Sendable {
    package static let name = "sunspec.json"
    private static let schema = "sunspec/1"

    private let path: String
    private var known: [DeviceIdentity: SunSpecChain]
    /// Why the file could not be read, nil when it could or is not there.
    package let damage: String?

    package init(stateFolder: String) {
        path = stateFolder + "/" + Self.name
        known = [:]
        guard let data = FileManager.default.contents(atPath: path) else {
            damage = nil
            return
        }
        guard let document = try? JSONValue(parsing: Array(data)), document["schema"]?.text == Self.schema else {
            damage = "\(path) is no \(Self.schema) document; devices are asked anew which models they hold"
            return
        }
        damage = nil
        for entry in document["devices"]?.elements ?? [] {
            guard let identity = DeviceIdentity(entry), let chain = SunSpecChain(entry) else { continue }
            known[identity] = chain
        }
    }

    package func chain(of identity: DeviceIdentity) -> SunSpecChain? { known[identity] }

    /// The site with every device that was found to hold something, and without the assumed points of the others.
    package func applied(to declared: Site) -> Site {
        var site = declared
        for index in site.devices.indices where site.devices[index].sunSpec != nil {
            let device = site.devices[index]
            let connection = site.connections.first { $0.name == device.connection }
            let held = connection.flatMap { known[DeviceIdentity(device, on: $0)] }
            site.devices[index] = held.map { device.holding($0) } ?? device.undiscovered
        }
        return site
    }

    /// Takes over what a device was found to hold, and forgets what was known of others in its place.
    ///
    /// - Throws: what the disk says; what was found is in force all the same, until the next start.
    package mutating func keep(_ chain: SunSpecChain, of identity: DeviceIdentity) throws {
        known = known.filter { !$0.key.isSamePlace(as: identity) }
        known[identity] = chain
        try Data(document.bytes + [UInt8(ascii: "\n")]).write(to: URL(fileURLWithPath: path), options: .atomic)
    }

    private var document: JSONValue {
        let ordered = known.sorted { ($0.key.endpoint, $0.key.unit) < ($1.key.endpoint, $1.key.unit) }
        return .compact([
            ("schema", .string(Self.schema)),
            ("devices", .array(ordered.map { .compact($0.key.members + $0.value.members) })),
        ])
    }
}

extension SunSpecChain {
    /// `base`, `end` and `models`: `[{"id","address","length"}]`.
    var members: [(String, JSONValue)] {
        let models = entries.map { entry in
            JSONValue.compact([
                ("id", .integer(entry.id)), ("address", .integer(entry.start)), ("length", .integer(entry.length)),
            ])
        }
        return [
            ("base", .integer(base)), ("end", end.map { .integer($0) } ?? .null), ("models", .array(models)),
        ]
    }

    fileprivate init?(_ document: JSONValue) {
        func word(_ value: JSONValue?) -> UInt16? { value?.integer.flatMap { UInt16(exactly: $0) } }
        guard let base = word(document["base"]), let models = document["models"]?.elements, !models.isEmpty else {
            return nil
        }
        let entries = models.compactMap { model -> Entry? in
            guard let id = word(model["id"]), let start = word(model["address"]), let length = word(model["length"])
            else { return nil }
            return Entry(id: id, start: start, length: Int(length))
        }
        guard entries.count == models.count else { return nil }
        self.init(base: base, entries: entries, end: word(document["end"]))
    }

    /// `1, 103, 160 (2 times) from 40000`
    var words: String {
        var counts: [(id: UInt16, count: Int)] = []
        for entry in entries {
            if let index = counts.firstIndex(where: { $0.id == entry.id }) {
                counts[index].count += 1
            } else {
                counts.append((entry.id, 1))
            }
        }
        let list = counts.map { $0.count == 1 ? "\($0.id)" : "\($0.id) (\($0.count) times)" }
        return "\(list.joined(separator: ", ")) from \(base)"
    }
}
