import Console
import Foundation
package import Logging
package import Model
import Payloads
import Profiles
package import ServiceLifecycle
import Simulator
import UnixSignals

/// The demo: a simulated cooling plant, a private broker, and the gateway between them, all on loopback and in one process.
package final class Demo {
    package let folder: String
    package let brokerPort: Int
    private let keyPath: String
    package let site: Site
    private let broker: PrivateBroker
    private let plant: DemoPlant

    /// Name of the machine that recommends, and of the person who decides.
    package static let optimiser = "chw-opt"
    package static let person = "you"

    /// Why the demo cannot start, in words.
    package struct Failure: Error, CustomStringConvertible {
        package var description: String
    }

    package init() throws {
        folder = NSTemporaryDirectory() + "/headgate-demo-\(ProcessInfo.processInfo.processIdentifier)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        do {
            let library = ProfileLibrary(folders: [ShippedFiles.profiles])
            func points(_ id: String) throws -> [Point] {
                guard let profile = library.load(id).value else {
                    throw Failure(
                        description:
                            "the profile \(id) is not in \(ShippedFiles.profiles); set HEADGATE_DEVICES to the library")
                }
                return profile.points
            }
            plant = try DemoPlant(
                .init(
                    chiller: points("demo/chiller"), drive: points("abb/acs580"), meter: points("eastron/sdm630"),
                    remoteIO: points("demo/remote-io")))
            broker = try PrivateBroker(folder: folder)
            brokerPort = broker.port
            let key = try JSONWebKey(ed25519: Self.optimiser)
            keyPath = folder + "/" + Self.optimiser + KeyFiles.suffix
            try KeyFiles.create(keyPath, key.json)
            site = try Self.site(
                folder: folder, plant: plant, brokerPort: broker.port, key: key.verifying.siteText ?? "")
        } catch {
            try? FileManager.default.removeItem(atPath: folder)
            throw error
        }
    }

    /// Runs the plant and the gateway until told to stop, and leaves nothing behind.
    package func run(logger: Logger, display: [any Service]) async throws {
        defer { cleanUp() }
        let gateway = GatewayService(site: site, logger: logger)
        let group = ServiceGroup(
            configuration: .init(
                services: [
                    .init(service: PlantClock(plant: plant)),
                    .init(service: gateway, successTerminationBehavior: .gracefullyShutdownGroup),
                ] + display.map { .init(service: $0, successTerminationBehavior: .gracefullyShutdownGroup) },
                gracefulShutdownSignals: [.sigterm, .sigint], logger: logger))
        try await group.run()
    }

    /// What an onlooker needs.
    package var handle: DemoHandle {
        DemoHandle(brokerPort: brokerPort, keyPath: keyPath, stateFolder: site.gateway.stateFolder)
    }

    private func cleanUp() {
        broker.stop()
        plant.stop()
        try? FileManager.default.removeItem(atPath: folder)
    }

    /// The demo's site file, loaded like any other.
    private static func site(folder: String, plant: DemoPlant, brokerPort: Int, key: String) throws -> Site {
        let path = folder + "/headgate.yaml"
        try (text(folder: folder, plant: plant, brokerPort: brokerPort) + commands(key: key)).write(
            toFile: path, atomically: true, encoding: .utf8)
        let loaded = SiteFile.load(path: path, shippedProfiles: ShippedFiles.profiles)
        guard loaded.isClean, let site = loaded.value else {
            throw Failure(description: loaded.problems.map(\.description).joined(separator: "\n"))
        }
        return site
    }

    private static func text(folder: String, plant: DemoPlant, brokerPort: Int) -> String {
        """
        gateway: {id: demo, owner: you, state: \(folder)/state, labels: {enterprise: acme, site: dresden}}
        connections:
          chiller-net: {tcp: "127.0.0.1:\(plant.chillerPort)"}
          drives:      {tcp: "127.0.0.1:\(plant.drivePort)"}
          meter-net:   {tcp: "127.0.0.1:\(plant.meterPort)"}
          io-line:     {serial: \(plant.serialPath), baud: 19200, format: 8N1, timeout: 300ms}
        devices:
          chiller1: {profile: demo/chiller, connection: chiller-net, unit: 1, owner: energy-team, labels: {line: cooling}}
          pump1:    {profile: abb/acs580, connection: drives, unit: 1, owner: maintenance, labels: {line: cooling}}
          pump2:    {profile: abb/acs580, connection: drives, unit: 2, owner: maintenance, labels: {line: cooling}}
          meter1:   {profile: eastron/sdm630, connection: meter-net, unit: 1, owner: energy-team, labels: {line: power}}
          io1:      {profile: demo/remote-io, connection: io-line, unit: 1, owner: maintenance, labels: {line: cooling}}
        publish:
          demo: {mqtt: "mqtt://127.0.0.1:\(brokerPort)"}
        buffer: {max_size: 64MiB, max_age: 1d}

        """
    }

    private static func commands(key: String) -> String {
        """
        commands:
          issuers:
            \(optimiser): {key: "\(key)", category: ai, lane: shadow, heartbeat: 12s}
            \(person): {category: operator}
          policies:
            chw-setpoint:
              points: [chiller1/chw_setpoint]
              allow: [\(optimiser), \(person)]
              min: 5.5
              max: 10
              step: 2
              interlocks: ["chiller1/running == true", "age(chiller1/chw_supply_temp) < 10s"]
              approval: {by: [\(person)], within: 5m}
              lease: {max: 10m}
              fallback: 6.5

        """
    }
}

/// Where a running demo can be talked to.
package struct DemoHandle: Sendable {
    package let brokerPort: Int
    /// The private key of the optimiser.
    package let keyPath: String
    let stateFolder: String

    /// Asks the gateway over its local socket, as the command line does; nil while it is not there.
    package func ask(_ request: String) -> String? {
        ControlClient(stateFolder: stateFolder).ask(request)
    }

    /// Approves a command in the name of ``Demo/person``, as it was shown to that person.
    ///
    /// - Parameter digest: of `held/1`.
    package func approve(_ id: String, digest: String) -> String? {
        guard let id = CommandID(id), let digest = DocumentDigest.bytes(digest) else { return nil }
        let now = SystemClock().utc
        let decision = DecisionDocument(
            gateway: "demo", id: id, digest: digest, isApproval: true, issued: now, expires: now + .seconds(60))
        return ask("decide \(Demo.person) \(String(decoding: decision.document.bytes, as: UTF8.self))")
    }
}

/// Lets the plant live, five steps a second.
private struct PlantClock: Service {
    let plant: DemoPlant

    private static let step = 0.2

    func run() async throws {
        let ticks = AsyncStream { try? await Task.sleep(for: .seconds(Self.step)) }
        var seconds = 0.0
        for await _ in ticks.cancelOnGracefulShutdown() {
            seconds += Self.step
            plant.advance(to: seconds, by: Self.step)
        }
    }
}
