import Engine
import Model

/// The command desk's way to the devices.
struct BusWriter: SetpointWriter {
    let assembly: Assembly

    func write(_ write: SetpointWrite) async -> WriteOutcome {
        let (device, point) = PointID.parts(of: write.point)
        return await assembly.write(device, point: point, value: write.value)
    }

    func readBack(_ write: SetpointWrite) async -> ReadBack {
        let (device, point) = PointID.parts(of: write.point)
        return await assembly.readBack(device, point: point)
    }

    func look(_ point: String) async -> ReadBack {
        let (device, name) = PointID.parts(of: point)
        return await assembly.readBack(device, point: name)
    }

    func beat(_ point: String, _ value: PointValue) async -> String? {
        let (device, name) = PointID.parts(of: point)
        return await assembly.beat(device, point: name, value: value)
    }
}
