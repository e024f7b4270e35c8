import Foundation
import Gateway
import Model
import Profiles
import Simulator
import Testing

@Suite(.serialized, .timeLimit(.minutes(1))) struct ScanTests {
    static var library: ProfileLibrary {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../Devices")
        return ProfileLibrary(folders: [root.standardizedFileURL.path])
    }

    static let profiles: [DeviceProfile] = {
        let library = Self.library
        return library.files.compactMap { library.load($0.id).value }
    }()

    static func units(_ ids: [UInt8: String]) throws -> [UInt8: SimulatedUnit] {
        try ids.mapValues { id in SimulatedUnit(profile: try #require(profiles.first { $0.id == id })) }
    }

    static let three: [UInt8: String] = [3: "abb/b23", 17: "siemens/mag6000", 42: "socomec/countis-e34"]

    static func scan(_ connection: Connection, units: [UInt8]) async throws -> ScanReport {
        let plan = ScanPlan(
            connection, units: units, bauds: nil, formats: nil, known: profiles.compactMap(\.factorySerial))
        return try await BusScan(connection, plan: plan, profiles: profiles).run { _ in }
    }

    /// The simulated units are as deaf at another baud rate or parity as real ones.
    @Test(arguments: [(4800, "8O1"), (19_200, "8E1"), (38_400, "8N1"), (115_200, "8O1")])
    func threeUnitsOnALineOfUnknownSettingsAreFoundAndTheirProfilesNamed(baud: Int, format: String) async throws {
        let terminal = try PseudoTerminal()
        defer { terminal.close() }
        let real = SerialLine(path: terminal.slavePath, baud: baud, format: try #require(SerialFormat(name: format)))
        let units = try Self.units(Self.three)
        let field = try SerialSimulator(line: real, descriptor: terminal.master, units: units)
        defer { field.stop() }
        let guess = SerialLine(path: terminal.slavePath, baud: 9600)
        let connection = Connection(name: "line", channel: .serial(guess), timeout: .milliseconds(20))
        let report = try await Self.scan(connection, units: Array(1...60))
        #expect(report.failure == nil)
        #expect(report.line == real)
        #expect(report.units.map(\.unit) == [3, 17, 42])
        #expect(report.units.map(\.profiles) == [["abb/b23"], ["siemens/mag6000"], ["socomec/countis-e34"]])
        let written = units.values.filter { !$0.writes.isEmpty }
        #expect(written.count == 0, "a scan never writes")
    }

    @Test func unitsBehindOneEndpointAreFoundAndOthersAreNot() async throws {
        let field = try TCPSimulator(port: 0, units: try Self.units(Self.three))
        defer { field.stop() }
        let connection = Connection(
            name: "c", channel: .tcp(Endpoint(host: "127.0.0.1", port: field.port)), timeout: .milliseconds(200))
        let report = try await Self.scan(connection, units: Array(1...50))
        #expect(report.units.map(\.unit) == [3, 17, 42])
        #expect(report.units.map(\.profiles) == [["abb/b23"], ["siemens/mag6000"], ["socomec/countis-e34"]])
    }

    @Test func aDeviceWithSunSpecModelsIsRecognisedByThem() async throws {
        let field = try TCPSimulator(port: 0, units: try Self.units([5: "sunspec/any", 6: "abb/b23"]))
        defer { field.stop() }
        let connection = Connection(
            name: "c", channel: .tcp(Endpoint(host: "127.0.0.1", port: field.port)), timeout: .milliseconds(200))
        let report = try await Self.scan(connection, units: [5, 6])
        #expect(report.units.first?.profiles.contains("sunspec/any") == true, "\(report.units)")
        #expect(report.units.last?.profiles == ["abb/b23"])
    }

    static let recognised: [UInt8: String] = [
        1: "schneider/atv320", 2: "schneider/iem3155", 3: "schneider/pm5110", 4: "siemens/pac2200",
        5: "siemens/pac3200", 6: "carlo-gavazzi/em24-e1", 7: "apc/smart-ups", 8: "fronius/gen24", 9: "sunspec/inverter",
    ]

    /// By Read Device Identification, by texts, by a block that is given only as a whole, by a register that is another one
    /// when it is read alone.
    @Test func devicesOfOneMakerAreToldApart() async throws {
        let field = try TCPSimulator(port: 0, units: try Self.units(Self.recognised))
        defer { field.stop() }
        let connection = Connection(
            name: "c", channel: .tcp(Endpoint(host: "127.0.0.1", port: field.port)), timeout: .milliseconds(500))
        let report = try await Self.scan(connection, units: Self.recognised.keys.sorted())
        #expect(report.units.map(\.profiles) == Self.recognised.sorted { $0.key < $1.key }.map { [$0.value] })
        #expect(report.units.first?.product == "ATV320")
    }

    @Test func aDeviceOnASerialLineTellsItsName() async throws {
        let terminal = try PseudoTerminal()
        defer { terminal.close() }
        let line = SerialLine(path: terminal.slavePath, baud: 19_200)
        let units = try Self.units([4: "schneider/atv320"])
        let field = try SerialSimulator(line: line, descriptor: terminal.master, units: units)
        defer { field.stop() }
        let connection = Connection(name: "l", channel: .serial(line), timeout: .milliseconds(200))
        let plan = ScanPlan(connection, units: [4], bauds: [line.baud], formats: [line.format])
        let report = try await BusScan(connection, plan: plan, profiles: Self.profiles).run { _ in }
        #expect(report.units.map(\.profiles) == [["schneider/atv320"]])
        #expect(report.units.first?.vendor == "Schneider Electric")
    }

    @Test func whatNoProfileNamesIsNotCalledUnknown() async throws {
        let field = try TCPSimulator(port: 0, units: try Self.units([5: "eastron/sdm630"]))
        defer { field.stop() }
        let connection = Connection(
            name: "c", channel: .tcp(Endpoint(host: "127.0.0.1", port: field.port)), timeout: .milliseconds(500))
        let report = try await Self.scan(connection, units: [5])
        #expect(report.text.contains("profiles have nothing by which their device could be recognised"))
    }

    @Test func aPortThatIsNotThereIsTold() async throws {
        let connection = Connection(name: "l", channel: .serial(SerialLine(path: "/dev/none", baud: 9600)))
        let report = try await Self.scan(connection, units: [1])
        #expect(report.failure?.contains("no such device") == true)
    }
}

@Suite struct ProbeTests {
    static func table(_ words: [UInt16], _ expected: String) throws -> (ProbeTable, DecimalNumber) {
        let number = try #require(DecimalNumber(expected))
        let span = RegisterSpan(table: .holding, start: 100, registerCount: words.count)
        return (ProbeTable(span: span, words: words, expected: number), number)
    }

    @Test(
        arguments: [
            ([0x4366, 0x8000], "230.5", ValueType.float32, "ABCD", "1"),
            ([0x8000, 0x4366], "230.5", .float32, "CDAB", "1"),
            ([0x6643, 0x0080], "230.5", .float32, "BADC", "1"), ([0x0080, 0x6643], "230.5", .float32, "DCBA", "1"),
            ([2305], "230.5", .uint16, "ABCD", "0.1"), ([0x0001, 0xE240], "123456", .uint32, "ABCD", "1"),
            ([0xE240, 0x0001], "12345.6", .uint32, "CDAB", "0.1"), ([0xFF9C], "-10.0", .int16, "ABCD", "0.1"),
        ] as [([UInt16], String, ValueType, String, String)])
    func anExpectedValueNamesTypeOrderAndScale(
        words: [UInt16], expected: String, type: ValueType, order: String, scale: String
    ) throws {
        let (table, number) = try Self.table(words, expected)
        let best = try #require(table.answers(number).first)
        #expect((best.type, best.order?.name, best.scale) == (type, order, DecimalNumber(scale)))
    }

    @Test func whatIsNotThereIsNotNamed() throws {
        let (table, number) = try Self.table([1, 2, 3], "777.7")
        #expect(table.answers(number).isEmpty)
    }
}
