import Engine
import Model

/// The command desk's way to the devices.
struct BusWriter: SetpointWriter {
    let assembly: Assembly

    func write(_ write: SetpointWrite) async -> WriteOutcome {
        let (device, point) = Self.parts(write.point)
        return await assembly.write(device, point: point, value: write.value)
    }

    func readBack(_ write: SetpointWrite) async -> ReadBack {
        let (device, point) = Self.parts(write.point)
        return await assembly.readBack(device, point: point)
    }

    func beat(_ point: String, _ value: PointValue) async -> String? {
        let (device, name) = Self.parts(point)
        return await assembly.beat(device, point: name, value: value)
    }

    /// The device and the point of `device/point`.
    static func parts(_ id: String) -> (device: String, point: String) {
        guard let slash = id.firstIndex(of: "/") else { return (id, "") }
        return (String(id[..<slash]), String(id[id.index(after: slash)...]))
    }
}
