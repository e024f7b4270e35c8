package import Engine
import Foundation
package import Model

/// What a device is to the memory of refused addresses: another profile, another revision of it or another place on the
/// bus is another device.
package struct DeviceIdentity: Hashable, Sendable {
    package var profile: String
    package var revision: Int
    package var endpoint: String
    package var unit: UInt8

    package init(_ device: Device, on connection: Connection) {
        profile = device.profile
        revision = device.revision
        endpoint = connection.endpoint
        unit = device.unit
    }

    init?(_ document: JSONValue) {
        guard let profile = document["profile"]?.text, let endpoint = document["endpoint"]?.text,
            let revision = document["revision"]?.integer.flatMap({ Int(exactly: $0) }),
            let unit = document["unit"]?.integer.flatMap({ UInt8(exactly: $0) })
        else { return nil }
        (self.profile, self.revision, self.endpoint, self.unit) = (profile, revision, endpoint, unit)
    }

    /// `profile`, `revision`, `endpoint` and `unit`.
    var members: [(String, JSONValue)] {
        [
            ("profile", .string(profile)), ("revision", .integer(revision)), ("endpoint", .string(endpoint)),
            ("unit", .integer(unit)),
        ]
    }

    func isSamePlace(as other: DeviceIdentity) -> Bool {
        endpoint == other.endpoint && unit == other.unit
    }
}

/// What was learned about the addresses of devices, kept as one JSON file in the state folder.
///
/// The file is worth some refused requests and no more: a damaged one is told and replaced, deleting it is safe.
package struct LearnedFile: Sendable {
    package static let name = "learned.json"
    private static let schema = "learned/1"

    private let path: String
    private var known: [DeviceIdentity: LearnedAddresses]
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
            damage = "\(path) is no \(Self.schema) document; what devices refuse is found out anew"
            return
        }
        damage = nil
        for entry in document["devices"]?.elements ?? [] {
            guard let identity = DeviceIdentity(entry) else { continue }
            known[identity] = LearnedAddresses(
                refused: entry["refused"]?.elements.compactMap(RegisterSpan.init) ?? [],
                cuts: Set(entry["cuts"]?.elements.compactMap(RegisterCut.init) ?? []),
                registerLimit: Self.limit(entry["registers"], most: 125),
                bitLimit: Self.limit(entry["bits"], most: 2000))
        }
    }

    private static func limit(_ document: JSONValue?, most: Int) -> Int? {
        document?.integer.flatMap { Int(exactly: $0) }.flatMap { (1...most).contains($0) ? $0 : nil }
    }

    package func learned(of identity: DeviceIdentity) -> LearnedAddresses {
        known[identity] ?? LearnedAddresses()
    }

    /// Takes over what is known now of the given devices, and forgets what was known of others in their places.
    ///
    /// - Throws: what the disk says; the next call tries again.
    package mutating func keep(_ current: [DeviceIdentity: LearnedAddresses]) throws {
        var kept = known.filter { old, _ in !current.keys.contains { $0.isSamePlace(as: old) } }
        kept.merge(current.filter { !$0.value.isEmpty }) { $1 }
        guard kept != known else { return }
        try Data(Self.document(kept).bytes + [UInt8(ascii: "\n")]).write(
            to: URL(fileURLWithPath: path), options: .atomic)
        known = kept
    }

    private static func document(_ known: [DeviceIdentity: LearnedAddresses]) -> JSONValue {
        let ordered = known.sorted { ($0.key.endpoint, $0.key.unit) < ($1.key.endpoint, $1.key.unit) }
        let devices = ordered.map { identity, learned in
            JSONValue.compact(
                identity.members + [
                    ("refused", .array(learned.refused.map(\.document))),
                    ("cuts", .array(learned.orderedCuts.map(\.document))),
                    ("registers", learned.registerLimit.map { .integer($0) } ?? .null),
                    ("bits", learned.bitLimit.map { .integer($0) } ?? .null),
                ])
        }
        return .compact([("schema", .string(schema)), ("devices", .array(devices))])
    }
}

extension LearnedAddresses {
    fileprivate var orderedCuts: [RegisterCut] {
        cuts.sorted { ($0.table, $0.address) < ($1.table, $1.address) }
    }
}

extension RegisterSpan {
    /// `{"table","address","count"}`
    package var document: JSONValue {
        .compact([
            ("table", .string(table.rawValue)), ("address", .integer(start)), ("count", .integer(registerCount)),
        ])
    }

    package init?(_ document: JSONValue) {
        guard let table = document["table"]?.text.flatMap(RegisterTable.init(rawValue:)),
            let start = document["address"]?.integer.flatMap({ UInt16(exactly: $0) }),
            let count = document["count"]?.integer.flatMap({ Int(exactly: $0) }),
            (1...table.protocolLimit).contains(count)
        else { return nil }
        self.init(table: table, start: start, registerCount: count)
    }
}

extension RegisterCut {
    /// `{"table","address"}`
    var document: JSONValue {
        .compact([("table", .string(table.rawValue)), ("address", .integer(address))])
    }

    init?(_ document: JSONValue) {
        guard let table = document["table"]?.text.flatMap(RegisterTable.init(rawValue:)),
            let address = document["address"]?.integer.flatMap({ Int(exactly: $0) }), (0...65_536).contains(address)
        else { return nil }
        self.init(table: table, address: address)
    }
}
