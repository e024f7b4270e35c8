package import Model

/// The names of codes of all points of a site, for exports with labels.
package struct PointLabels: Sendable {
    /// By `device/point`; only points that have labels.
    private let points: [String: Point]

    package init(_ site: Site) {
        points = Dictionary(
            site.devices.flatMap { device in
                device.points.filter { !$0.enumeration.isEmpty }.map { ("\(device.id)/\($0.name)", $0) }
            }
        ) { first, _ in first }
    }

    /// What a value of a point is called, nothing where it has no name.
    func label(_ value: PointValue?, of point: String) -> String {
        value.flatMap { points[point]?.label(of: $0) } ?? ""
    }
}
