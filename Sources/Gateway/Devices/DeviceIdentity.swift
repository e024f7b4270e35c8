package import Model

/// What a device is to the memory of what was found out: another profile, another revision of it or another place on the
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
            let revision = document["revision"]?.integer(in: 0...Int(UInt32.max)),
            let unit = document["unit"]?.integer(in: 0...UInt8.max)
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

    /// Where on which bus it is, whatever it is.
    struct Place: Hashable {
        var endpoint: String
        var unit: UInt8
    }

    var place: Place { Place(endpoint: endpoint, unit: unit) }
}
