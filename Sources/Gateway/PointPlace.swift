package import Model

/// Where a point is and how its words are understood: as long as it is the same, readings and leases are of the same thing.
package struct PointPlace: Hashable, Sendable {
    var channel: Connection.Channel?
    var unit: UInt8
    var profile: String
    var table: RegisterTable
    var protocolAddress: UInt16
    var encoding: Encoding
    var scaleReference: ScaleReference?
    var unitOfMeasure: String
    var write: WriteRule?

    /// The places of all points of a site, by `device/point`.
    package static func all(of site: Site) -> [String: PointPlace] {
        let channels = Dictionary(site.connections.map { ($0.name, $0.channel) }) { first, _ in first }
        let places = site.devices.flatMap { device in
            device.points.map { point in
                (
                    "\(device.id)/\(point.name)",
                    PointPlace(
                        channel: channels[device.connection], unit: device.unit, profile: device.profile,
                        table: point.table, protocolAddress: point.protocolAddress, encoding: point.encoding,
                        scaleReference: point.scaleReference, unitOfMeasure: point.unit, write: point.write)
                )
            }
        }
        return Dictionary(places) { first, _ in first }
    }

    /// The points that are in both sites, and at the same place.
    package static func kept(from old: Site, to new: Site) -> Set<String> {
        let places = all(of: new)
        return Set(all(of: old).filter { places[$0.key] == $0.value }.keys)
    }
}
