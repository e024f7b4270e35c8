import Console
package import Engine
package import Logging
import ModbusBus
package import Model
import NIOCore
import NIOPosix
import Payloads
import SQLiteJournal
import ServiceLifecycle

/// The gateway as one service: site in, until it is told to stop.
package struct GatewayService: Service {
    private let site: Site
    private let clock: any Timekeeper
    private let logger: Logger
    private let changes: AsyncStream<Site>
    private let notification = ServiceNotification()
    /// Connections whose traffic is shown from the start, and where.
    private let traced: [String]
    private let showTrace: @Sendable (String) -> Void
    /// Called once everything runs.
    private let whenReady: @Sendable () -> Void

    /// Threads for all TCP connections together.
    private static let networkThreads = 1
    /// How often the retained status is refreshed while nothing else happens.
    private static let statusInterval = Duration.seconds(15)

    /// - Parameters:
    ///   - changes: site files to apply while it runs, checked by whoever sends them.
    ///   - traced: names of connections; `showTrace` gets a line for each thing that is said on them.
    package init(
        site: Site, changes: AsyncStream<Site> = AsyncStream { _ in }, clock: any Timekeeper = SystemClock(),
        logger: Logger, traced: [String] = [], showTrace: @escaping @Sendable (String) -> Void = { _ in },
        whenReady: @escaping @Sendable () -> Void = {}
    ) {
        self.site = site
        self.changes = changes
        self.clock = clock
        self.logger = logger
        self.traced = traced
        self.showTrace = showTrace
        self.whenReady = whenReady
    }

    package func run() async throws {
        let loops = MultiThreadedEventLoopGroup(numberOfThreads: Self.networkThreads)
        let journal = try SQLiteJournal(folder: site.gateway.stateFolder, settings: site.buffer, clock: clock)
        for note in journal.openingNotes { logger.warning("journal opened with losses", metadata: ["note": "\(note)"]) }
        let learned = DeviceMemory<LearnedAddresses>(stateFolder: site.gateway.stateFolder)
        if let damage = learned.damage {
            logger.warning("what devices refuse is forgotten", metadata: ["reason": "\(damage)"])
        }
        let chains = DeviceMemory<SunSpecChain>(stateFolder: site.gateway.stateFolder)
        if let damage = chains.damage {
            logger.warning("the models of devices are forgotten", metadata: ["reason": "\(damage)"])
        }
        let assembly = Assembly(
            journal: journal, learned: learned, chains: chains, clock: clock, loops: loops, logger: logger)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await journal.run() }
            try await assembly.apply(site)
            for name in traced {
                group.addTask { await showTrace(of: name, assembly) }
            }
            // One after the other, whoever it is that changes what runs.
            let orders = AsyncStream<Order>.makeStream()
            group.addTask { for await site in changes { orders.continuation.yield(.apply(site)) } }
            group.addTask { for await found in assembly.found.stream { orders.continuation.yield(.adopt(found)) } }
            group.addTask { await follow(orders.stream, assembly) }
            group.addTask { await serveControl(assembly, loops) }
            group.addTask {
                await Watch(assembly: assembly, folder: site.gateway.stateFolder, clock: clock, logger: logger).run()
            }
            group.addTask { await keepStatus(assembly) }
            notification.ready()
            whenReady()
            logger.notice(
                "gateway ready",
                metadata: [
                    "gateway": "\(site.gateway.id)", "epoch": "\(journal.epoch)", "version": "\(headgateVersion)",
                ])
            try? await gracefulShutdown()
            notification.stopping()
            logger.notice("gateway stopping")
            await assembly.stop()
            group.cancelAll()
        }
        await journal.close()
        try await loops.shutdownGracefully()
        logger.notice("gateway stopped")
    }

    // MARK: - Tasks

    /// What changes what runs.
    private enum Order: Sendable {
        case apply(Site)
        case adopt(DiscoveredChain)
    }

    private func follow(_ orders: AsyncStream<Order>, _ assembly: Assembly) async {
        for await order in orders {
            switch order {
            case .apply(let changed): await apply(changed, assembly)
            case .adopt(let found):
                do {
                    try await assembly.adopt(found)
                } catch let obstacle as SiteObstacle {
                    logger.warning(
                        "what was found is not applied yet",
                        metadata: ["device": "\(found.device)", "reason": "\(obstacle.reason)"])
                } catch {
                    logger.error(
                        "what was found is applied in part",
                        metadata: ["device": "\(found.device)", "reason": "\(error)"])
                }
            }
        }
    }

    private func showTrace(of connection: String, _ assembly: Assembly) async {
        let listener = await assembly.tap(of: connection).listen()
        while let (events, lost) = await listener.next() {
            for event in events { showTrace("\(connection): \(event.text)") }
            if lost > 0 { showTrace("\(connection): \(lost) more were not shown") }
        }
    }

    private func apply(_ changed: Site, _ assembly: Assembly) async {
        guard let current = await assembly.site else { return }
        if let obstacle = SiteChange.obstacle(from: current, to: changed) {
            logger.error("site file not applied", metadata: ["reason": "\(obstacle)"])
            return
        }
        notification.reloading()
        do {
            try await assembly.apply(changed)
            logger.notice("site file applied")
        } catch let obstacle as SiteObstacle {
            logger.error("site file not applied", metadata: ["reason": "\(obstacle.reason)"])
        } catch {
            logger.error("site file applied in part", metadata: ["reason": "\(error)"])
        }
        notification.ready()
    }

    private func serveControl(_ assembly: Assembly, _ loops: MultiThreadedEventLoopGroup) async {
        let path = site.gateway.stateFolder + "/" + ControlProtocol.socketName
        let tools = ToolRequests(assembly: assembly, clock: clock)
        let clients = ControlClients()
        let server = ControlServer(path: path, group: loops, clients: clients, stream: { tools.stream($0) }) {
            await ControlRequests(assembly: assembly, clients: clients).answer($0, from: $1)
        }
        do {
            try await server.run()
        } catch is CancellationError {
        } catch {
            if !Task.isCancelled {
                logger.error("no control socket", metadata: ["path": "\(path)", "reason": "\(error)"])
            }
        }
    }

    /// Refreshes the retained status, and tells the service manager that the gateway lives.
    private func keepStatus(_ assembly: Assembly) async {
        var published = clock.uptime
        let interval = min(notification.watchdogInterval ?? .seconds(5), .seconds(5))
        while !Task.isCancelled {
            try? await clock.sleep(until: clock.uptime + interval)
            // The assembly answers only if nothing holds it up: that is what the watchdog watches.
            _ = await assembly.site
            notification.alive()
            if clock.uptime - published >= Self.statusInterval {
                published = clock.uptime
                await assembly.publishStatus()
            }
        }
    }
}

/// A service group names its services by their description and keeps that: without this, all points of the site in words.
extension GatewayService: CustomStringConvertible {
    package var description: String { "gateway" }
}
