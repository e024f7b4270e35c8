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
            Several kinds of units on one line: --pty /tmp/line --baud 19200 --format 8E1 --unit 3 --unit 17=siemens/mag6000
            --pty makes a pseudo-terminal and a link to it: gateways open the link like a serial port, and as on a wire they \
            hear nothing at another baud rate or parity.
            Faults: exception:CODE, delay:NNNms, most:COUNT (registers in one request), silence, drop, clamp, deaf (ignores writes), mute (does not answer writes); for one unit as UNIT=FAULT, else for all.
            """)

    @Argument(help: "Id of a profile, or the path of a profile file.")
    var profile: String

    @Option(help: "TCP port to serve on (0 for any free one).")
    var tcp: Int?

    @Option(help: "Address to listen on.")
    var host = "127.0.0.1"

    @Option(help: "Serial device to serve on.")
    var serial: String?

    @Option(help: ArgumentHelp("Make a pseudo-terminal to serve on, and a link to it at this path.", valueName: "link"))
    var pty: String?

    @Option(help: "Baud rate of the serial line.")
    var baud = 19_200

    @Option(help: "Character format of the serial line.")
    var format = "8N1"

    @Option(
        help: ArgumentHelp(
            "Unit address, of another profile where one is named; may be given several times.",
            valueName: "unit[=profile]"))
    var unit: [String] = ["1"]

    @Option(help: ArgumentHelp("How it misbehaves; may be given several times.", valueName: "[unit=]fault"))
    var fault: [String] = []

    @Option(
        help: ArgumentHelp(
            "Hold a point at a value or label; may be given several times.", valueName: "[unit/]point=value"))
    var set: [String] = []

    @Flag(
        help: "Answer reads over undeclared addresses with zeros instead of exception 02, also where limits.gap is 0.")
    var lenient = false

    func validate() throws {
        guard [tcp != nil, serial != nil, pty != nil].count(where: \.self) == 1 else {
            throw ValidationError("give one of --tcp PORT, --serial DEVICE and --pty LINK")
        }
        guard unit.allSatisfy({ Self.unit($0) != nil }) else {
            throw ValidationError("--unit is a number from 0 to 255, or UNIT=PROFILE")
        }
        let units = unit.compactMap { Self.unit($0)?.number }
        guard Set(units).count == units.count else { throw ValidationError("--unit names a unit twice") }
        for text in fault {
            guard let (unit, _) = Self.fault(text) else {
                throw ValidationError(
                    "no fault '\(text)'; allowed: exception:4, delay:300ms, most:32, silence, drop, clamp, deaf, mute, with UNIT= before it"
                )
            }
            guard unit.map(units.contains) ?? true else {
                throw ValidationError("--fault \(text) is for a unit that is not served; there are: \(units.sorted())")
            }
        }
        guard SerialLine.baudRange.contains(baud) else {
            throw ValidationError("--baud is a number from 300 to 4000000")
        }
        if let tcp, !(0...65_535).contains(tcp) { throw ValidationError("--tcp is a port from 0 to 65535") }
        guard SerialFormat(name: format) != nil else { throw ValidationError("--format is something like 8E1 or 8N1") }
    }

    func run() async throws {
        let units = try makeUnits()
        try hold(units)
        let terminal = try pty.map { _ in try PseudoTerminal() }
        let server = try start(units, terminal)
        apply(server.faults, Array(units.keys))
        defer { if let pty { unlink(pty) } }
        let group = ServiceGroup(
            services: [Mover(units: Array(units.values))], gracefulShutdownSignals: [.sigterm, .sigint],
            logger: .init(label: "simulate"))
        try await group.run()
        server.stop()
        terminal?.close()
    }

    /// `17` or `17=siemens/mag6000`; nil for anything else.
    private static func unit(_ text: String) -> (number: UInt8, profile: String?)? {
        let parts = text.split(separator: "=", maxSplits: 1).map(String.init)
        guard let number = parts.first.flatMap({ UInt8($0, in: 0...UInt8.max) }) else { return nil }
        return (number, parts.count == 2 ? parts[1] : nil)
    }

    private func makeUnits() throws -> [UInt8: SimulatedUnit] {
        var units: [UInt8: SimulatedUnit] = [:]
        var profiles: [String: DeviceProfile] = [:]
        for (number, other) in unit.compactMap(Self.unit) {
            let name = other ?? profile
            let loaded = try profiles[name] ?? Self.profile(name)
            profiles[name] = loaded
            units[number] = SimulatedUnit(profile: loaded, seed: UInt64(number), isLenient: lenient)
        }
        return units
    }

    private func hold(_ units: [UInt8: SimulatedUnit]) throws {
        for text in set {
            let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            let place = parts[0].split(separator: "/", maxSplits: 1).map(String.init)
            let meant =
                place.count == 2
                ? UInt8(place[0], in: 0...UInt8.max).flatMap { units[$0] }.map { [$0] } : Array(units.values)
            guard parts.count == 2, let meant, let name = place.last else {
                throw ValidationError("--set \(text): write POINT=VALUE, or UNIT/POINT=VALUE for one that is served")
            }
            for unit in meant {
                do throws(SimulatedUnit.NoSuchValue) {
                    try unit.set(name, writtenAs: parts[1])
                } catch {
                    throw ValidationError("--set \(text): \(error.reason)")
                }
            }
        }
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

    private func start(_ units: [UInt8: SimulatedUnit], _ terminal: PseudoTerminal?) throws -> any SimulatorServer {
        if let tcp {
            let server = try TCPSimulator(host: host, port: tcp, units: units)
            Console.data(Array("serving \(profile) on \(host):\(server.port), units \(units.keys.sorted())".utf8))
            return server
        }
        if let pty, let terminal { try link(pty, to: terminal.slavePath) }
        let line = SerialLine(
            path: serial ?? pty ?? "", baud: baud, format: SerialFormat(name: format) ?? .standard)
        let server = try SerialSimulator(line: line, descriptor: terminal?.master, units: units)
        Console.data(
            Array("serving \(profile) on \(line.path) at \(baud) \(format), units \(units.keys.sorted())".utf8))
        return server
    }

    /// Replaces a link that a simulator left behind, and nothing else.
    private func link(_ path: String, to terminal: String) throws {
        if (try? FileManager.default.destinationOfSymbolicLink(atPath: path)) != nil { unlink(path) }
        guard symlink(terminal, path) == 0 else {
            throw ValidationFailure("cannot make the link \(path): \(String(cString: strerror(errno)))")
        }
    }

    /// `silence` or `2=silence`; nil for anything else.
    private static func fault(_ text: String) -> (unit: UInt8?, fault: Fault)? {
        let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard let fault = Fault(parts.last ?? "") else { return nil }
        if parts.count == 1 { return (nil, fault) }
        return UInt8(parts[0], in: 0...UInt8.max).map { ($0, fault) }
    }

    private func apply(_ plan: FaultPlan, _ all: [UInt8]) {
        for (unit, fault) in fault.compactMap(Self.fault) {
            for unit in unit.map({ [$0] }) ?? all { plan.set(fault, unit: unit) }
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
