package import Model

/// Where a point is and how its words are understood: as long as it is the same, readings and leases are of the same thing.
package struct PointPlace: Hashable, Sendable {
    var channel: Connection.Channel?
    var unit: UInt8
    var profile: String
    var table: RegisterTable
    var protocolAddress: UInt16
    var parts: ValueParts?
    var encoding: Encoding
    var scaleReference: ScaleReference?
    var unitOfMeasure: String
    var write: WriteRule?

    /// The points that are in both sites, and at the same place. One device after the other: the places of all points of a
    /// large site are much at once.
    package static func kept(from old: Site, to new: Site) -> Set<String> {
        let devices = Dictionary(new.devices.map { ($0.id, $0) }) { first, _ in first }
        var kept: Set<String> = []
        for device in old.devices {
            guard let now = devices[device.id] else { continue }
            let places = all(of: now, in: new)
            for (name, place) in all(of: device, in: old) where places[name] == place {
                kept.insert("\(device.id)/\(name)")
            }
        }
        return kept
    }

    /// Whether two sites have the same points, all of them at the same place.
    package static func areSame(_ old: Site, _ new: Site) -> Bool {
        func count(_ site: Site) -> Int { site.devices.reduce(0) { $0 + $1.points.count } }
        return count(old) == count(new) && kept(from: old, to: new).count == count(old)
    }

    /// The places of the points of a device by their names.
    private static func all(of device: Device, in site: Site) -> [String: PointPlace] {
        let channel = site.connections.first { $0.name == device.connection }?.channel
        let places = device.points.map { point in
            (
                point.name,
                PointPlace(
                    channel: channel, unit: device.unit, profile: device.profile, table: point.table,
                    protocolAddress: point.protocolAddress, parts: point.parts, encoding: point.encoding,
                    scaleReference: point.scaleReference, unitOfMeasure: point.unit, write: point.write)
            )
        }
        return Dictionary(places) { first, _ in first }
    }
}
