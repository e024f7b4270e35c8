import Model

/// The points of a site as the guards see them. What profiles say about them is in memory once: the arrays are those of the
/// site's devices, and devices of one profile share theirs.
package struct ControlledPoints: Hashable, Sendable {
    private var devices: [String: [Point]]
    /// By `device/point`.
    private var policies: [String: Policy]

    package init(_ points: [ControlledPoint]) {
        devices = Dictionary(grouping: points) { PointID.parts(of: $0.id).device }.mapValues { $0.map(\.point) }
        policies = Dictionary(points.compactMap { point in point.policy.map { (point.id, $0) } }) { $1 }
    }

    /// All points of a site, each with the first policy whose patterns cover it.
    init(of site: Site) {
        devices = Dictionary(site.devices.map { ($0.id, $0.points) }) { $1 }
        policies = [:]
        guard !site.commands.policies.isEmpty else { return }
        for device in site.devices {
            for point in device.points where point.write != nil {
                let id = "\(device.id)/\(point.name)"
                policies[id] = site.commands.policies.first { policy in
                    policy.points.contains { PointPattern.matches($0, id) }
                }
            }
        }
    }

    /// - Parameter id: `device/point`.
    package subscript(id: String) -> ControlledPoint? {
        let (device, name) = PointID.parts(of: id)
        guard let peers = devices[device], let point = peers.first(where: { $0.name == name }) else { return nil }
        return ControlledPoint(id: id, point: point, policy: policies[id], peers: peers)
    }

    /// `device/point` of all of them, in no order.
    package var ids: some Sequence<String> {
        devices.lazy.flatMap { device, points in points.lazy.map { "\(device)/\($0.name)" } }
    }

    /// Those that a policy covers, in no order.
    package var covered: [ControlledPoint] {
        policies.keys.compactMap { self[$0] }
    }
}
