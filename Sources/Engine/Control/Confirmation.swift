package import Model

/// Where the values of a commanded point are confirmed, as the desk knows it.
package enum Confirmation: Hashable, Sendable {
    /// By the readings of a point (`device/point`): the commanded one or another.
    case polled(String)
    /// At a place that no poll reads. The gateway asks for it; readings are kept under this name, which no point has.
    case place(String)
    /// Nothing confirms it.
    case nowhere

    /// Under which its readings are found in the ``ReadingTable``; nil where there are none.
    package var key: String? {
        switch self {
        case .polled(let key), .place(let key): key
        case .nowhere: nil
        }
    }
}

extension ControlledPoint {
    package var device: String { PointID.parts(of: id).device }

    package var confirmation: Confirmation {
        switch point.write?.readback {
        case nil: .polled(id)
        case .point(let name)?: .polled("\(device)/\(name)")
        case .place?: .place("\(id)@")
        case .nowhere?: .nowhere
        }
    }

    /// How values are written and confirmed; nil for a point that cannot be written.
    package var plan: SetpointPlan? { SetpointPlan(point, of: peers) }

    /// The point as which its confirmation is read.
    package var confirming: Point {
        guard case .point(let name)? = point.write?.readback else { return point }
        return peers.first { $0.name == name } ?? point
    }

    /// Id of the point that holds the scale with which it is written.
    package var scaleHolder: String? {
        point.scaleReference.map { "\(device)/\($0.point)" }
    }

    /// Whether the value is one that the place shows before it is written for the first time.
    package func isUnset(_ value: PointValue) -> Bool {
        point.write?.unset?.contains(value) ?? false
    }
}
