import Engine
import Foundation
import Logging
import ModbusBus
import Model
import MosquittoUplink
import NIOCore
import Payloads
import SQLiteJournal

/// Why a site file cannot be applied now, in words.
struct SiteObstacle: Error {
    var reason: String
}

/// Everything that runs for one site, put together from its file, and changed when the file changes.
actor Assembly {
    /// A connection at work.
    struct RunningConnection {
        var poller: Poller
        var bus: any InterviewingBus
        var task: Task<Void, Never>
        var devices: [Device]
    }

    /// A publisher at work.
    struct RunningPublisher {
        var publisher: Publisher
        var task: Task<Void, Never>
    }

    /// Governed commands at work.
    struct RunningCommands {
        var center: CommandCenter
        var site: Site
        var keys: [String: IssuerKey]
        var publishers: [PublisherSettings]
        var task: Task<Void, Never>
    }

    /// What runs: the site file, with the points that devices were found to have.
    private(set) var site: Site?
    /// The site file as it was read, as far as it was applied.
    private var declared: Site?
    private var chains: DeviceMemory<SunSpecChain>
    /// What pollers find out about SunSpec devices; for ``adopt(_:)``.
    nonisolated let found = AsyncStream<DiscoveredChain>.makeStream()
    let journal: SQLiteJournal
    let clock: any Timekeeper
    private let loops: any EventLoopGroup
    private let logger: Logger
    let board = StatusBoard()
    let tap = ReadingTap()
    var rates = Rates()
    var connections: [String: RunningConnection] = [:]
    var publishers: [String: RunningPublisher] = [:]
    var commands: RunningCommands?
    private var ledger: ReopeningLedger?
    /// What was read while something changed, see ``keepReadings(for:)``.
    private var unseen: [ReadingSample] = []
    /// Changes wait for each other: at each await of one another could begin.
    private var isChanging = false
    private var waiting: [CheckedContinuation<Void, Never>] = []
    private var isStopping = false
    /// The next `n` of each point of each device of this epoch, for whoever polls it next.
    private var numbers: [String: [String: UInt64]] = [:]

    /// One for each connection that ever ran, so that a trace outlives a change of the site file.
    var taps: [String: TraceTap] = [:]

    /// How many tools have each connection for themselves: what polls it after a change of the site file rests, too.
    var pauses: [String: Int] = [:]

    private var learned: DeviceMemory<LearnedAddresses>
    /// Whether the disk refused to keep what was learned, which has been said.
    private var isLearnedUnkept = false

    init(
        journal: SQLiteJournal, learned: DeviceMemory<LearnedAddresses>, chains: DeviceMemory<SunSpecChain>,
        clock: any Timekeeper,
        loops: any EventLoopGroup, logger: Logger
    ) {
        self.chains = chains
        self.journal = journal
        self.learned = learned
        self.clock = clock
        self.loops = loops
        self.logger = logger
    }

    // MARK: - Applying a site file

    /// Brings what runs in line with `declared`: the first time everything is started, later only what changed. Does nothing
    /// once ``stop()`` was called.
    ///
    /// - Throws: ``SiteObstacle`` before anything is changed; something else where the file was applied in part.
    func apply(_ declared: Site) async throws {
        await beginChange()
        defer { endChange() }
        try await bring(declared)
    }

    /// Only for whoever has the turn, see ``beginChange()``.
    private func bring(_ declared: Site) async throws {
        guard !isStopping else { return }
        let site = chains.applied(to: declared)
        let change = SiteChange(from: self.site, to: site)
        // What cannot be read changes nothing: whoever holds a point must stay watched.
        let keys = try CommandCenter.keys(site.commands.issuers)
        if CommandCenter.isNeeded(by: site) {
            _ = try AuditKey.open(folder: site.gateway.stateFolder, gateway: site.gateway.id)
        }
        let keepsDesk = commands.map { isUnchanged($0, site, keys) } ?? true
        if let running = commands, !keepsDesk, await running.center.room.isIndispensable {
            throw SiteObstacle(
                reason: "the audit ledger cannot be written, and what commands hold is only known to the desk that runs"
            )
        }
        if self.site != nil { try await storeLayouts(of: change.connectionsToStart, site) }
        try await withdraw(for: site)
        guard !isStopping else { return }
        if !keepsDesk || !change.connectionsToStop.isEmpty { await commands?.center.rest() }
        do {
            try await carryOut(change, site, declared, keys, keepsDesk: keepsDesk)
        } catch {
            await commands?.center.resume()
            throw error
        }
        // The desk may have outlived the change, and a stop needs it to take back what is leased.
        await commands?.center.resume()
    }

    /// A disk that refuses them leaves everything as it is: a connection that was stopped could not be started again.
    private func storeLayouts(of connections: [Connection], _ site: Site) async throws(SiteObstacle) {
        for device in connections.flatMap({ site.devices(on: $0) }) {
            do { _ = try await journal.register(DeviceDocument(device).layout) } catch {
                throw SiteObstacle(reason: "\(error)")
            }
        }
    }

    private func carryOut(
        _ change: SiteChange, _ site: Site, _ declared: Site, _ keys: [String: IssuerKey], keepsDesk: Bool
    ) async throws {
        keepReadings(for: site)
        defer { passReadings() }
        await stopConnections(change.connectionsToStop)
        for name in change.publishersToStop { await stopPublisher(name, farewell: nil) }
        (self.site, self.declared) = (site, declared)
        await journal.serve(Set(site.publishers.map(\.name)))
        for id in change.removedDevices { board.remove(id) }
        for (index, connection) in change.connectionsToStart.enumerated() {
            try await start(connection, phase: Double(index) * 0.618_034)
        }
        for settings in change.publishersToStart { try start(settings, of: site) }
        await announce(change, gateway: site.gateway.id)
        guard !isStopping else { return }
        try await applyCommands(of: site, keys, keepsDesk: keepsDesk)
    }

    private func beginChange() async {
        if isChanging { await withCheckedContinuation { waiting.append($0) } }
        isChanging = true
    }

    /// The next one goes on as if it held the turn already: nobody can come in between.
    private func endChange() {
        if waiting.isEmpty { isChanging = false } else { waiting.removeFirst().resume() }
    }

    /// Polls a device for what it was found to hold, from now on and after every start.
    ///
    /// - Throws: like ``apply(_:)``; whoever found it finds it again later.
    func adopt(_ found: DiscoveredChain) async throws {
        await beginChange()
        defer { endChange() }
        guard !isStopping, let declared, let device = declared.devices.first(where: { $0.id == found.device }),
            let connection = declared.connections.first(where: { $0.name == device.connection })
        else { return }
        do {
            try chains.keep([DeviceIdentity(device, on: connection): found.chain])
        } catch {
            logger.warning("cannot keep what was found", metadata: ["device": "\(device.id)", "reason": "\(error)"])
        }
        let missing = device.sunSpec?.missing(in: found.chain) ?? []
        logger.notice(
            "device holds models",
            metadata: [
                "device": "\(device.id)", "models": "\(found.chain.words)",
                "missing": "\(missing.map(String.init).joined(separator: ", "))",
            ])
        try await bring(declared)
    }

    private func start(_ connection: Connection, phase: Double) async throws {
        guard let devices = site?.devices(on: connection), !devices.isEmpty else { return }
        var polled: [PolledDevice] = []
        for device in devices {
            let layout = try await journal.register(DeviceDocument(device).layout)
            let made = PolledDevice(
                device: device, layout: layout, cost: RequestCost(connection.channel),
                numbers: numbers[device.id] ?? [:],
                learned: learned[DeviceIdentity(device, on: connection)] ?? LearnedAddresses(), at: clock.uptime)
            board.update(device.id) { status in
                status.since = status.since ?? clock.utc
                status.learned = made.learned
                status.identity = Identification(checks: device.identity).state
                status.discovery = Self.discovery(of: device)
            }
            polled.append(made)
        }
        let loop = loops.next()
        let loopClock = Buses.clock(clock, on: loop)
        let bus = Buses.makeInterviewing(
            connection, loop: loop, clock: loopClock, telling: telling(of: connection.name))
        let poller = Poller(
            connection: connection, devices: polled, bus: bus, journal: journal, clock: loopClock, board: board,
            tap: tap, found: found.continuation, phase: phase.truncatingRemainder(dividingBy: 1),
            pauses: pauses[connection.name] ?? 0)
        connections[connection.name] = RunningConnection(
            poller: poller, bus: bus, task: Task { await poller.run() }, devices: devices)
        logger.notice(
            "connection started", metadata: ["connection": "\(connection.name)", "endpoint": "\(connection.endpoint)"])
    }

    private static func discovery(of device: Device) -> Discovery.State {
        guard let sunSpec = device.sunSpec else { return .none }
        return device.chain.map { .found($0, missing: sunSpec.missing(in: $0)) } ?? .pending
    }

    /// Where the traffic of a connection can be seen.
    func tap(of connection: String) -> TraceTap {
        let tap = taps[connection] ?? TraceTap()
        taps[connection] = tap
        return tap
    }

    private func telling(of connection: String) -> BusTelling {
        BusTelling(trace: tap(of: connection)) { [logger] note in
            let level: Logger.Level =
                switch note.level {
                case .debug: .debug
                case .notice: .notice
                case .warning: .warning
                }
            logger.log(
                level: level, "connection note", metadata: ["connection": "\(connection)", "note": "\(note.text)"])
        }
    }

    private func start(_ settings: PublisherSettings, of site: Site) throws {
        let topic = try TopicTemplate(settings.topic)
        let will = document(.offline, isWill: true).message
        let uplink = try MosquittoUplink(settings: settings, will: will)
        let publisher = Publisher(
            settings: settings, journal: journal, uplink: uplink,
            encoder: JSONReadings(gateway: site.gateway.id, topic: topic, qos: settings.qos), clock: clock,
            greeting: { [weak self] in await self?.greeting() ?? [] })
        let task = Task { [logger] in
            do {
                try await publisher.run()
            } catch {
                logger.error("publisher ended", metadata: ["publisher": "\(settings.name)", "reason": "\(error)"])
            }
        }
        publishers[settings.name] = RunningPublisher(publisher: publisher, task: task)
        logger.notice(
            "publisher started", metadata: ["publisher": "\(settings.name)", "broker": "\(settings.brokers[0])"])
    }

    private func announce(_ change: SiteChange, gateway: String) async {
        let removals = change.removedDevices.map { DeviceDocument.removal(of: $0, gateway: gateway) }
        let documents = change.changedDevices.map { DeviceDocument($0).message(gateway: gateway) }
        for message in removals + documents {
            for running in publishers.values { await running.publisher.say(message) }
        }
    }

    // MARK: - Commands

    /// The command desk of the site, nil where nothing can be commanded.
    var commandCenter: CommandCenter? { commands?.center }

    /// Whether the site file lets anybody command anything.
    var takesCommands: Bool { commands.map { CommandCenter.isNeeded(by: $0.site) } ?? false }

    /// What the new file takes away goes back first, while its devices are still polled.
    private func withdraw(for site: Site) async throws {
        guard let running = commands else { return }
        let points = SiteChange.withdrawnPoints(from: running.site, to: site)
        guard !points.isEmpty else { return }
        if !(await running.center.drain(points)) {
            logger.error(
                "not every point that the site file takes away is back at its fallback",
                metadata: ["points": "\(points.sorted().joined(separator: ", "))"])
        }
    }

    /// A desk whose site file changed is made anew from its ledger, by the rule that holds after a crash. A site without
    /// commands has one as well where an earlier file let points be commanded: it takes nothing, and ends what is open.
    private func applyCommands(of site: Site, _ keys: [String: IssuerKey], keepsDesk: Bool) async throws {
        let isNeeded = CommandCenter.isNeeded(by: site) || ReopeningLedger.exists(in: site.gateway.stateFolder)
        var readings: ReadingTable?
        if let running = commands {
            if isNeeded, keepsDesk {
                commands?.site = site
                return
            }
            await stopCommands()
            readings = await running.center.room.readings?.only(PointPlace.kept(from: running.site, to: site))
        }
        guard isNeeded else { return }
        let ledger = self.ledger ?? ReopeningLedger(folder: site.gateway.stateFolder, clock: clock)
        self.ledger = ledger
        let center = try CommandCenter(
            site: site, keys: keys, ledger: ledger, assembly: self, clock: clock, logger: logger)
        if let readings { await center.room.adopt(readings) }
        commands = RunningCommands(
            center: center, site: site, keys: keys, publishers: site.publishers, task: Task { await center.run() })
        await center.room.submit(.readings(unseen))
        guard CommandCenter.isNeeded(by: site) else {
            return logger.notice("no commands are taken; what an earlier site file left open is ended")
        }
        logger.notice(
            "commands are taken",
            metadata: [
                "policies": "\(site.commands.policies.count)", "issuers": "\(site.commands.issuers.count)",
                "read_only": "\(site.commands.isReadOnly)",
            ])
    }

    /// Whether the desk may go on. One whose points are somewhere else now has taken them back, and what it read is of no use.
    private func isUnchanged(_ running: RunningCommands, _ site: Site, _ keys: [String: IssuerKey]) -> Bool {
        running.center.site == ControlSite(site) && running.keys == keys && running.publishers == site.publishers
            && PointPlace.areSame(running.site, site)
    }

    /// While something changes readings are kept for the desk that comes: a point that is read once a minute must not be
    /// unknown for a minute.
    private func keepReadings(for site: Site) {
        let watched = ControlSite(site).watchedPoints.union(commands?.center.site.watchedPoints ?? [])
        unseen = []
        tap.watch(watched) { [weak self] in await self?.keep($0) }
    }

    private func keep(_ samples: [ReadingSample]) async {
        if isChanging { unseen = (unseen + samples).suffix(Self.unseenLimit) }
        await commands?.center.room.submit(.readings(samples))
    }

    private func passReadings() {
        unseen = []
        guard let center = commands?.center else { return tap.watch([], nil) }
        tap.watch(center.site.watchedPoints) { await center.room.submit(.readings($0)) }
    }

    private static let unseenLimit = 10_000

    private func stopCommands() async {
        guard let running = commands else { return }
        commands = nil
        await running.center.close()
        running.task.cancel()
        await running.task.value
        await running.center.dismiss()
    }

    /// Takes back what is leased while devices are still polled, then lets go of the ledger.
    private func endCommands() async {
        if let center = commands?.center, !(await center.drain()) {
            logger.error("not every commanded point is back at its fallback; see headgate audit export")
        }
        tap.watch([], nil)
        await stopCommands()
        await ledger?.close()
        ledger = nil
    }

    // MARK: - Stopping

    /// Stops polling, commits, gives publishers a moment for the last rows, says goodbye.
    func stop() async {
        isStopping = true
        await beginChange()
        defer { endChange() }
        await endCommands()
        await stopConnections(Array(connections.keys))
        await journal.flush()
        await drainPublishers()
        let farewell = await status(.stopping).message
        for name in publishers.keys { await stopPublisher(name, farewell: farewell) }
    }

    /// All are told before any is waited for: each may be in the middle of a request that nobody answers.
    private func stopConnections(_ names: [String]) async {
        for name in names { connections[name]?.task.cancel() }
        for name in names { await stopConnection(name) }
    }

    private func stopConnection(_ name: String) async {
        guard let running = connections.removeValue(forKey: name) else { return }
        running.task.cancel()
        await running.task.value
        keepLearned(including: running.devices)
        numbers.merge(await running.poller.numbers) { $1 }
        logger.notice("connection stopped", metadata: ["connection": "\(name)"])
    }

    private func stopPublisher(_ name: String, farewell: Engine.OutboundMessage?) async {
        guard let running = publishers.removeValue(forKey: name) else { return }
        running.task.cancel()
        await running.publisher.close(farewell: farewell)
        await running.task.value
        logger.notice("publisher stopped", metadata: ["publisher": "\(name)"])
    }

    /// How long a stop waits for acknowledgements of what is in flight.
    private static let drainTime = Duration.milliseconds(1500)

    private func drainPublishers() async {
        let deadline = clock.uptime + Self.drainTime
        while clock.uptime < deadline {
            var waits = false
            for running in publishers.values {
                let figures = await running.publisher.figures
                waits = waits || (figures.isConnected && figures.pending > 0)
            }
            guard waits else { return }
            try? await clock.sleep(until: clock.uptime + .milliseconds(20))
        }
    }

    /// Forgets what was learned of a device, in memory and on the disk.
    ///
    /// - Returns: what was forgotten; nil where the site file has no such device.
    /// - Throws: what the disk says; the gateway has forgotten it all the same.
    func forgetLearned(of id: String) async throws -> LearnedAddresses? {
        guard let site, let device = site.devices.first(where: { $0.id == id }),
            let connection = site.connections.first(where: { $0.name == device.connection })
        else { return nil }
        let identity = DeviceIdentity(device, on: connection)
        let known = board.status(of: id)?.learned ?? learned[identity] ?? LearnedAddresses()
        if await poller(of: id)?.forgetLearned(of: id) != true { board.update(id) { $0.learned = LearnedAddresses() } }
        logger.notice("what was learned of a device is forgotten", metadata: ["device": "\(id)"])
        try learned.keep([identity: LearnedAddresses()])
        return known
    }

    /// Writes down what polling found out since, for the next start.
    ///
    /// - Parameter stopped: devices that were polled until now.
    func keepLearned(including stopped: [Device] = []) {
        guard let site else { return }
        var current: [DeviceIdentity: LearnedAddresses] = [:]
        for connection in site.connections {
            let polled = connections[connection.name]?.devices ?? []
            for device in polled + stopped.filter({ $0.connection == connection.name }) {
                current[DeviceIdentity(device, on: connection)] = board.status(of: device.id)?.learned
            }
        }
        do {
            try learned.keep(current)
            isLearnedUnkept = false
        } catch {
            if !isLearnedUnkept { logger.warning("cannot keep what was learned", metadata: ["reason": "\(error)"]) }
            isLearnedUnkept = true
        }
    }
}
