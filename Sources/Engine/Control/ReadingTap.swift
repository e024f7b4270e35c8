import Model
import Synchronization

/// Where pollers hand over what the command desk watches: values before the deadband filters them, of the watched points
/// only. Nothing is watched until somebody says so.
package final class ReadingTap: Sendable {
    package typealias Sink = @Sendable ([ReadingSample]) async -> Void

    private struct State {
        /// Names of the watched points, by device.
        var points: [String: Set<String>] = [:]
        var sink: Sink?
    }

    private let state = Mutex(State())

    package init() {}

    /// From now on exactly these points (`device/point`) are handed to `sink`.
    package func watch(_ points: Set<String>, _ sink: Sink?) {
        var byDevice: [String: Set<String>] = [:]
        for id in points {
            let (device, point) = PointID.parts(of: id)
            byDevice[device, default: []].insert(point)
        }
        state.withLock { ($0.points, $0.sink) = (byDevice, sink) }
    }

    /// What of a device is watched, nil for nothing.
    func wanted(of device: String) -> (points: Set<String>, sink: Sink)? {
        state.withLock { state in
            guard let points = state.points[device], let sink = state.sink else { return nil }
            return (points, sink)
        }
    }
}
