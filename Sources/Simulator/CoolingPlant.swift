/// A small cooling plant as physics would have it, coarse but consistent: a chiller that follows its setpoint, two pumps on
/// drives, a meter that sums their power. What the demo shows moves for a reason.
package struct CoolingPlant: Hashable, Sendable {
    /// Chilled-water setpoint, Cel; what a master writes.
    package var setpoint = 6.5
    package private(set) var supplyTemperature = 7.4
    package private(set) var returnTemperature = 12.3
    /// Heat that the building gives off, kW.
    package private(set) var load = 420.0
    package private(set) var compressorPower = 95.0
    package private(set) var pumpSpeeds = [72.0, 68.0]
    /// kW.h since the start of the meter.
    package private(set) var energy = 184_250.0
    private var seconds = 0.0

    package init() {}

    /// Compressor power falls by about 3 % for each kelvin of setpoint.
    private static let savingPerKelvin = 0.03
    private static let timeConstant = 4.0

    package mutating func step(seconds dt: Double) {
        seconds += dt
        load = 420 + 6 * triangle(seconds / 600) + 2 * triangle(seconds / 17)
        supplyTemperature += (setpoint - supplyTemperature) * min(1, dt / Self.timeConstant)
        let flow = pumpSpeeds.reduce(0, +) / 200 * 160
        returnTemperature = supplyTemperature + load / (flow * 1.163)
        let efficiency = 4.4 * (1 + Self.savingPerKelvin * (supplyTemperature - 6.5))
        compressorPower = load / efficiency
        pumpSpeeds = [72 + 6 * triangle(seconds / 90), 68 + 5 * triangle(seconds / 70 + 0.3)]
        energy += totalPower * dt / 3600
    }

    /// Affinity law: power goes with the cube of the speed; 11 kW at full speed.
    package var pumpPower: Double {
        pumpSpeeds.reduce(0) { $0 + 11 * ($1 / 100) * ($1 / 100) * ($1 / 100) }
    }

    package var totalPower: Double { compressorPower + pumpPower }

    package var flow: Double { pumpSpeeds.reduce(0, +) / 200 * 160 }

    /// Condensing pressure rises with the heat to get rid of, kPa.
    package var condensingPressure: Double { 780 + 0.9 * load }

    /// A wave between −1 and 1 with period 1.
    private func triangle(_ phase: Double) -> Double {
        let part = phase - phase.rounded(.down)
        return part < 0.5 ? 4 * part - 1 : 3 - 4 * part
    }
}
