import ArgumentParser
import Foundation
import Gateway
import Logging
import Model
import Profiles
import ServiceLifecycle
import Simulator
import UnixSignals

struct SimulateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "simulate",
        abstract: "Serve a profile as a Modbus device whose values move, until Ctrl-C.",
        discussion: """
            Example: headgate simulate eastron/sdm630 --tcp 1502 --unit 1 --unit 2 --fault 2=silence
            Faults: exception:CODE, delay:NNNms, silence, drop, clamp, deaf (ignores writes), mute (does not answer writes); for one unit as UNIT=FAULT, else for all.
            """)

    @Argument(help: "Id of a profile, or the path of a profile file.")
    var profile: String

    @Option(help: "TCP port to serve on (0 for any free one).")
    var tcp: Int?

    @Option(help: "Address to listen on.")
    var host = "127.0.0.1"

    @Option(help: "Serial device to serve on.")
    var serial: String?

    @Option(help: "Baud rate of the serial line.")
    var baud = 19_200

    @Option(help: "Character format of the serial line.")
    var format = "8N1"

    @Option(help: "Unit address; may be given several times.")
    var unit: [Int] = [1]

    @Option(help: ArgumentHelp("How it misbehaves; may be given several times.", valueName: "[unit=]fault"))
    var fault: [String] = []

    @Flag(
        help: "Answer reads over undeclared addresses with zeros instead of exception 02, also where limits.gap is 0.")
    var lenient = false

    func validate() throws {
        guard (tcp == nil) != (serial == nil) else {
            throw ValidationError("give either --tcp PORT or --serial DEVICE")
        }
        guard unit.allSatisfy({ (0...255).contains($0) }) else {
            throw ValidationError("a unit is a number from 0 to 255")
        }
        guard SerialFormat(name: format) != nil else { throw ValidationError("--format is something like 8E1 or 8N1") }
    }

    func run() async throws {
        let profile = try Self.profile(profile)
        let units = Dictionary(
            unit.map { seed in
                let unit = SimulatedUnit(profile: profile, seed: UInt64(seed), isLenient: lenient)
                return (UInt8(seed), unit)
            }
        ) { $1 }
        let server = try start(units)
        try apply(server.faults)
        let group = ServiceGroup(
            services: [Mover(units: Array(units.values))], gracefulShutdownSignals: [.sigterm, .sigint],
            logger: .init(label: "simulate"))
        try await group.run()
        server.stop()
    }

    /// A profile by id from the library, or by path.
    static func profile(_ name: String) throws -> DeviceProfile {
        let loaded =
            name.hasSuffix(".yaml")
            ? ProfileLibrary.load(file: name, shipped: ShippedFiles.profiles)
            : ProfileLibrary(folders: [ShippedFiles.profiles]).load(name)
        Console.complain(loaded.problems)
        guard loaded.isClean, let profile = loaded.value else { throw ExitCode(1) }
        return profile
    }

    private func start(_ units: [UInt8: SimulatedUnit]) throws -> any SimulatorServer {
        if let tcp {
            let server = try TCPSimulator(host: host, port: tcp, units: units)
            Console.data(Array("serving \(profile) on \(host):\(server.port), units \(units.keys.sorted())".utf8))
            return server
        }
        let line = SerialLine(
            path: serial ?? "", baud: baud, format: SerialFormat(name: format) ?? .standard)
        let server = try SerialSimulator(line: line, units: units)
        Console.data(
            Array("serving \(profile) on \(line.path) at \(baud) \(format), units \(units.keys.sorted())".utf8))
        return server
    }

    private func apply(_ plan: FaultPlan) throws {
        for text in fault {
            let parts = text.split(separator: "=", maxSplits: 1).map(String.init)
            guard let parsed = Fault(parts.last ?? ""), parts.count == 1 || UInt8(parts[0]) != nil else {
                throw ValidationError(
                    "no fault '\(text)'; allowed: exception:4, delay:300ms, silence, drop, clamp, deaf, mute, with UNIT= before it"
                )
            }
            let units = parts.count == 2 ? [UInt8(parts[0]) ?? 0] : unit.map { UInt8($0) }
            for unit in units { plan.set(parsed, unit: unit) }
        }
    }
}

/// Moves the values five times a second.
private struct Mover: Service {
    let units: [SimulatedUnit]

    func run() async throws {
        let start = ContinuousClock.now
        for await _ in AsyncStream(unfolding: { try? await Task.sleep(for: .milliseconds(200)) })
            .cancelOnGracefulShutdown()
        {
            let elapsed = start.duration(to: .now)
            for unit in units { unit.advance(to: elapsed.inSeconds) }
        }
    }
}
