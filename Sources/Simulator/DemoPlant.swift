import Foundation
package import Model
import Synchronization

/// The cooling plant behind Modbus: chiller, two pump drives and a meter on TCP, a remote I/O on a pseudo-terminal.
package final class DemoPlant: Sendable {
    /// The units of the demo and the profiles that they behave like.
    package struct Profiles: Sendable {
        package var chiller: [Point]
        package var drive: [Point]
        package var meter: [Point]
        package var remoteIO: [Point]

        package init(chiller: [Point], drive: [Point], meter: [Point], remoteIO: [Point]) {
            self.chiller = chiller
            self.drive = drive
            self.meter = meter
            self.remoteIO = remoteIO
        }
    }

    private let chiller: SimulatedUnit
    private let pumps: [SimulatedUnit]
    private let meter: SimulatedUnit
    private let remoteIO: SimulatedUnit
    private let servers: [any SimulatorServer]
    private let terminal: PseudoTerminal
    private let plant = Mutex(CoolingPlant())
    /// Ports of the chiller, the drives (units 1 and 2) and the meter.
    package let chillerPort: Int
    package let drivePort: Int
    package let meterPort: Int
    /// Path of the serial line with the remote I/O (unit 1).
    package let serialPath: String

    package init(_ profiles: Profiles) throws {
        chiller = SimulatedUnit(points: profiles.chiller, seed: 1, toleratesGaps: true)
        pumps = [2, 3].map { SimulatedUnit(points: profiles.drive, seed: $0, toleratesGaps: true) }
        meter = SimulatedUnit(points: profiles.meter, seed: 4, toleratesGaps: true)
        remoteIO = SimulatedUnit(points: profiles.remoteIO, seed: 5, toleratesGaps: true)
        let chillerServer = try TCPSimulator(port: 0, units: [1: chiller])
        let driveServer = try TCPSimulator(port: 0, units: [1: pumps[0], 2: pumps[1]])
        let meterServer = try TCPSimulator(port: 0, units: [1: meter])
        terminal = try PseudoTerminal()
        let line = SerialLine(
            path: terminal.slavePath, baud: 19_200, format: SerialFormat(dataBits: 8, parity: .none, stopBits: 1))
        let serialServer = try SerialSimulator(
            line: line, descriptor: terminal.master, units: [1: remoteIO], keepsWireTime: true)
        servers = [chillerServer, driveServer, meterServer, serialServer]
        (chillerPort, drivePort, meterPort) = (chillerServer.port, driveServer.port, meterServer.port)
        serialPath = terminal.slavePath
        chiller.set("chw_setpoint", .double(plant.withLock { $0.setpoint }))
        advance(to: 0, by: 0)
    }

    /// Lets the plant live for `step` seconds, up to `seconds` after its start.
    package func advance(to seconds: Double, by step: Double) {
        for unit in [chiller, meter, remoteIO] + pumps { unit.advance(to: seconds) }
        let setpoint = chiller.value(of: "chw_setpoint")?.number
        let state = plant.withLock { plant -> CoolingPlant in
            plant.setpoint = setpoint ?? plant.setpoint
            plant.step(seconds: step)
            return plant
        }
        showChiller(state, seconds)
        showPumps(state)
        showMeter(state)
    }

    private func showChiller(_ plant: CoolingPlant, _ seconds: Double) {
        chiller.set("chw_supply_temp", .double(plant.supplyTemperature))
        chiller.set("chw_return_temp", .double(plant.returnTemperature))
        chiller.set("cond_pressure", .double(plant.condensingPressure))
        chiller.set("chw_flow", .double(plant.flow))
        chiller.set("compressor_power", .double(plant.compressorPower))
        chiller.set("compressor_load", .double(plant.compressorPower / 1.4))
        chiller.set("energy", .double(plant.energy * 0.93))
        chiller.set("running", .bool(true))
        chiller.set("mode", .int(1))
    }

    private func showPumps(_ plant: CoolingPlant) {
        for (pump, speed) in zip(pumps, plant.pumpSpeeds) {
            pump.set("actual_1", .double(speed))
            pump.set("reference_1", .double(speed.rounded()))
            pump.set("status_word", .int(0x1237))
        }
    }

    private func showMeter(_ plant: CoolingPlant) {
        let watts = plant.totalPower * 1000
        meter.set("power_total", .double(watts))
        for (phase, share) in zip(["l1", "l2", "l3"], [0.335, 0.332, 0.333]) {
            meter.set("power_\(phase)", .double(watts * share))
            meter.set("current_\(phase)", .double(watts * share / 230 / 0.92))
            meter.set("power_factor_\(phase)", .double(0.92))
        }
        meter.set("frequency", .double(50))
        meter.set("energy_import", .double(plant.energy))
    }

    package func stop() {
        servers.forEach { $0.stop() }
        terminal.close()
    }
}
