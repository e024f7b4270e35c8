package import Engine
package import Model

/// `device/1`: the retained description of a device and of all its points (topic `d/{device}`).
package struct DeviceDocument: Sendable {
    private let device: Device
    private let descriptors: [PointDescriptor]

    package init(_ device: Device) {
        self.device = device
        descriptors = device.points.map { PointDescriptor($0, of: device) }
    }

    /// What the journal needs to know of the device, in the order of its points.
    package var layout: DeviceLayout {
        let entries = zip(device.points, descriptors).map { point, descriptor in
            DeviceLayout.Entry(
                id: "\(device.id)/\(point.name)", definition: descriptor.hash,
                unit: point.datatype.isNumeric ? point.unit : nil)
        }
        return DeviceLayout(device: device.id, labels: device.labels, entries: entries)
    }

    package func message(gateway: String) -> OutboundMessage {
        var json = JSONWriter(capacity: descriptors.reduce(256) { $0 + $1.json.count })
        json.object { json in
            json.member("schema") { $0.string("device/1") }
            json.member("device") { $0.string(device.id) }
            json.member("profile") { $0.string(device.profile) }
            json.member("revision") { $0.integer(device.revision) }
            json.member("owner") { $0.string(device.owner) }
            json.member("labels") { $0.labels(device.labels) }
            // The points are not known before the device has been asked.
            if device.sunSpec != nil, device.chain == nil { json.member("discovering") { $0.bool(true) } }
            json.member("points") { $0.array { list in descriptors.forEach { list.raw($0.json) } } }
        }
        return OutboundMessage(
            topic: Self.topic(of: device.id, gateway: gateway), payload: json.bytes, isRetained: true)
    }

    /// An empty retained message: the device is gone.
    package static func removal(of device: String, gateway: String) -> OutboundMessage {
        OutboundMessage(topic: topic(of: device, gateway: gateway), payload: [], isRetained: true)
    }

    private static func topic(of device: String, gateway: String) -> String {
        "headgate/v1/\(gateway)/d/\(device)"
    }
}
