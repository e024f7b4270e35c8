/// Ids of points as people and topics write them: `device/point`.
package enum PointID {
    /// The device and the point of an id: names of devices have levels, names of points have none. The device is empty where
    /// there is no level before the last.
    package static func parts(of id: String) -> (device: String, point: String) {
        guard let slash = id.lastIndex(of: "/") else { return ("", id) }
        return (String(id[..<slash]), String(id[id.index(after: slash)...]))
    }
}
