import CModbus
import Foundation
import Model
import Profiles
import Simulator
import Testing

@Suite(.serialized) struct SimulatorTests {
    static let points = [
        Point(
            name: "power", table: .input, protocolAddress: 10, encoding: Encoding(type: .float32), unit: "W",
            range: NumericRange(low: 100, high: 200)),
        Point(
            name: "setpoint", table: .holding, protocolAddress: 3,
            encoding: Encoding(type: .int16, scale: DecimalNumber(mantissa: 1, exponent: -1)), kind: .setpoint,
            range: NumericRange(low: 5, high: 12)),
        Point(name: "running", table: .coil, protocolAddress: 1, encoding: Encoding(type: .bool), kind: .state),
    ]

    /// libmodbus as the master: reads registers, or gives the errno.
    static func read(_ context: OpaquePointer, input: Bool, _ start: Int32, _ count: Int) -> Result<
        [UInt16], POSIXFailure
    > {
        var words = [UInt16](repeating: 0, count: count)
        let length =
            input
            ? modbus_read_input_registers(context, start, Int32(count), &words)
            : modbus_read_registers(context, start, Int32(count), &words)
        return length == count ? .success(words) : .failure(POSIXFailure(code: errno))
    }

    struct POSIXFailure: Error, Equatable {
        var code: Int32
    }

    @Test func theSimulatedDeviceOfEveryShippedProfileHasOnlyGoodValues() throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../Devices")
        let library = ProfileLibrary(folders: [root.standardizedFileURL.path])
        #expect(library.files.count >= 40)
        for (id, _) in library.files {
            let profile = try #require(library.load(id).value, "\(id)")
            let unit = SimulatedUnit(points: profile.points)
            for seconds in [0.0, 61, 86_400] {
                unit.advance(to: seconds)
                for point in profile.points {
                    let words = try unit.read(point.span).get()
                    let (value, reasons) = point.judged(point.encoding.decode(words.span))
                    #expect(reasons.isEmpty, "\(id): \(point.name) is \(value) after \(seconds) s")
                }
            }
        }
    }

    @Test(
        arguments: [
            ("eastron/sdm630", "current_l1", 5.0...20), ("eastron/sdm630", "frequency", 49.9...50.1),
            ("eastron/sdm630", "power_factor_total", 0.8...1), ("eastron/sdm630", "thd_voltage_l1", 0...8),
            ("schneider/pm5110", "power_total", 1...50), ("delta/dtb", "process_value", 0...100),
            ("siemens/mag6000", "volume_flow", 0.001...0.01),
        ])
    func aValueWithoutANormalRangeIsWhereSuchValuesAre(
        id: String, point: String, usual: ClosedRange<Double>
    ) throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../Devices")
        let profile = try #require(ProfileLibrary(folders: [root.standardizedFileURL.path]).load(id).value)
        let unit = SimulatedUnit(profile: profile)
        for seconds in [0.0, 20, 60, 3600] {
            unit.advance(to: seconds)
            let value = try #require(unit.value(of: point)?.number)
            #expect(usual.contains(value), "\(point) is \(value) after \(seconds) s")
        }
    }

    @Test func aForeignMasterReadsPlausibleValuesOverTCP() throws {
        let server = try TCPSimulator(port: 0, units: [1: SimulatedUnit(points: Self.points)])
        defer { server.stop() }
        let context = try #require(modbus_new_tcp("127.0.0.1", Int32(server.port)))
        defer { modbus_free(context) }
        modbus_set_slave(context, 1)
        try #require(modbus_connect(context) == 0)
        let words = try Self.read(context, input: true, 10, 2).get()
        guard case .value(let value) = Self.points[0].encoding.decode(words.span) else {
            Issue.record("no value")
            return
        }
        #expect(NumericRange(low: 100, high: 200).contains(value.number ?? 0))
        #expect(Self.read(context, input: true, 0, 2) == .failure(POSIXFailure(code: HG_MODBUS_ENOBASE + 2)))
        #expect(modbus_write_register(context, 3, 75) == 1)
        #expect(try Self.read(context, input: false, 3, 1).get() == [75])
        #expect(modbus_mask_write_register(context, 3, 0xFFF0, 0x0004) == 1)
        #expect(try Self.read(context, input: false, 3, 1).get() == [68])
        modbus_close(context)
    }

    @Test func severalUnitsShareAPseudoTerminalAndTheSilentOneIsSilent() throws {
        let terminal = try PseudoTerminal()
        let line = SerialLine(
            path: terminal.slavePath, baud: 115_200, format: SerialFormat(dataBits: 8, parity: .none, stopBits: 1))
        let units = [
            UInt8(1): SimulatedUnit(points: Self.points, seed: 1), 2: SimulatedUnit(points: Self.points, seed: 2),
        ]
        let server = try SerialSimulator(line: line, descriptor: terminal.master, units: units)
        defer { terminal.close() }
        defer { server.stop() }
        server.faults.set(.silence, unit: 2)
        let context = try #require(modbus_new_rtu(terminal.slavePath, 115_200, 78, 8, 1))
        defer { modbus_free(context) }
        try #require(modbus_connect(context) == 0)
        modbus_set_response_timeout(context, 0, 200_000)
        modbus_set_slave(context, 1)
        #expect(try Self.read(context, input: true, 10, 2).get().count == 2)
        modbus_set_slave(context, 2)
        #expect(Self.read(context, input: true, 10, 2) == .failure(POSIXFailure(code: ETIMEDOUT)))
        server.faults.set(nil, unit: 2)
        #expect(try Self.read(context, input: true, 10, 2).get().count == 2)
        modbus_close(context)
    }

    @Test func aMasterThatAsksWhoItIsAndGoesAwayDoesNotEndTheSimulator() throws {
        let unit = SimulatedUnit(points: Self.points, objects: [0: "Maker"])
        let server = try TCPSimulator(port: 0, units: [1: unit])
        defer { server.stop() }
        server.faults.set(.delay(.milliseconds(100)), unit: 1)
        let context = try #require(modbus_new_tcp("127.0.0.1", Int32(server.port)))
        defer { modbus_free(context) }
        modbus_set_slave(context, 1)
        try #require(modbus_connect(context) == 0)
        // The answer to the first finds nobody, and whoever sends the second one into that would get SIGPIPE.
        let question: [UInt8] = [1, 0x2B, 0x0E, 1, 0]
        for _ in 0..<2 { #expect(modbus_send_raw_request(context, question, 5) > 0) }
        modbus_close(context)
        try #require(modbus_connect(context) == 0)
        #expect(try Self.read(context, input: true, 10, 2).get().count == 2)
        modbus_close(context)
    }

    @Test(arguments: [DecimalNumber.one, DecimalNumber(mantissa: 1, exponent: -1)])
    func aCounterOfOneRegisterCounts(scale: DecimalNumber) throws {
        let counter = Point(
            name: "starts", table: .holding, protocolAddress: 0, encoding: Encoding(type: .uint16, scale: scale),
            kind: .counter)
        for seed in 1...20 as ClosedRange<UInt64> {
            let unit = SimulatedUnit(points: [counter], seed: seed)
            let values = try [0.0, 86_400].map { seconds in
                unit.advance(to: seconds)
                return try #require(unit.value(of: "starts")?.number)
            }
            #expect(values[0] > 0 && values[1] > values[0], "seed \(seed): \(values)")
        }
    }

    @Test func aSetpointWithAScaleIsWhatSomebodyCouldHaveWritten() throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../Devices")
        let library = ProfileLibrary(folders: [root.standardizedFileURL.path])
        let unit = SimulatedUnit(profile: try #require(library.load("sunspec/any").value))
        let register = try #require(unit.value(of: "storage_reserve_min")?.number)
        let exponent = try #require(unit.value(of: "storage_reserve_min_sf")?.number)
        #expect(exponent == -1 && register == 300)
    }

    @Test func faultsAreReadFromText() {
        #expect(Fault("exception:4") == .exception(4))
        #expect(Fault("clamp") == .clamp)
        #expect(Fault("deaf") == .deafWrites)
        #expect(Fault("mute") == .muteWrites)
        #expect(Fault("delay:300ms") == .delay(.milliseconds(300)))
        #expect(Fault("silence") == .silence)
        #expect(Fault("exception:99") == nil)
        #expect(Fault("delay:5") == nil)
    }

    @Test func aHigherSetpointCostsLessPower() {
        var low = CoolingPlant()
        var high = CoolingPlant()
        high.setpoint = 9
        for _ in 0..<3000 {
            low.step(seconds: 0.2)
            high.step(seconds: 0.2)
        }
        #expect(high.compressorPower < low.compressorPower * 0.95)
        #expect(high.supplyTemperature > 8.5)
    }
}
