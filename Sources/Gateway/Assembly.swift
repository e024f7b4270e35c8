import Engine
import Foundation
import Logging
import ModbusBus
import Model
import MosquittoUplink
import NIOCore
import Payloads
import SQLiteJournal

/// Everything that runs for one site, put together from its file, and changed when the file changes.
actor Assembly {
    /// A connection at work.
    private struct RunningConnection {
        var poller: Poller
        var task: Task<Void, Never>
        var devices: [Device]
    }

    /// A publisher at work.
    private struct RunningPublisher {
        var publisher: Publisher
        var task: Task<Void, Never>
    }

    /// Governed commands at work.
    private struct RunningCommands {
        var center: CommandCenter
        var keys: [String: IssuerKey]
        var publishers: [PublisherSettings]
        var task: Task<Void, Never>
    }

    /// What runs: the site file, with the points that devices were found to have.
    private(set) var site: Site?
    /// The site file as it was read.
    private var declared: Site?
    private var chains: ChainFile
    private var isStopping = false
    /// What pollers find out about SunSpec devices; for ``adopt(_:)``, by whoever also applies site files.
    nonisolated let found = AsyncStream<DiscoveredChain>.makeStream()
    private let journal: SQLiteJournal
    private let clock: any Timekeeper
    private let loops: any EventLoopGroup
    private let logger: Logger
    let board = StatusBoard()
    let tap = ReadingTap()
    private var rates = Rates()
    private var connections: [String: RunningConnection] = [:]
    private var publishers: [String: RunningPublisher] = [:]
    private var commands: RunningCommands?
    private var ledger: ReopeningLedger?
    /// The next `n` of each point of each device of this epoch, for whoever polls it next.
    private var numbers: [String: [String: UInt64]] = [:]

    private var learned: LearnedFile
    /// Whether the disk refused to keep what was learned, which has been said.
    private var isLearnedUnkept = false

    init(
        journal: SQLiteJournal, learned: LearnedFile, chains: ChainFile, clock: any Timekeeper,
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

    /// Brings what runs in line with `site`: the first time everything is started, later only what changed.
    func apply(_ declared: Site) async throws {
        self.declared = declared
        let site = chains.applied(to: declared)
        let change = SiteChange(from: self.site, to: site)
        // What cannot be read changes nothing: whoever holds a point must stay watched.
        let keys = try CommandCenter.keys(site.commands.issuers)
        // Nobody watches leases without a command section: they go back while their devices are still there.
        if !CommandCenter.isNeeded(by: site) { await endCommands() }
        for name in change.connectionsToStop { await stopConnection(name) }
        for name in change.publishersToStop { await stopPublisher(name, farewell: nil) }
        self.site = site
        await journal.serve(Set(site.publishers.map(\.name)))
        for id in change.removedDevices { board.remove(id) }
        for (index, connection) in change.connectionsToStart.enumerated() {
            try await start(connection, phase: Double(index) * 0.618_034)
        }
        for settings in change.publishersToStart { try start(settings, of: site) }
        await announce(change, gateway: site.gateway.id)
        try await applyCommands(of: site, keys)
    }

    /// Polls a device for what it was found to hold, from now on and after every start.
    func adopt(_ found: DiscoveredChain) async throws {
        guard !isStopping, let declared, let device = declared.devices.first(where: { $0.id == found.device }),
            let connection = declared.connections.first(where: { $0.name == device.connection })
        else { return }
        do {
            try chains.keep(found.chain, of: DeviceIdentity(device, on: connection))
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
        try await apply(declared)
    }

    private func start(_ connection: Connection, phase: Double) async throws {
        guard let devices = site?.devices(on: connection), !devices.isEmpty else { return }
        var polled: [PolledDevice] = []
        for device in devices {
            let layout = try await journal.register(DeviceDocument(device).layout)
            let made = PolledDevice(
                device: device, layout: layout, cost: RequestCost(connection.channel),
                numbers: numbers[device.id] ?? [:],
                learned: learned.learned(of: DeviceIdentity(device, on: connection)), at: clock.uptime)
            board.update(device.id) { status in
                status.since = status.since ?? clock.utc
                status.learned = made.learned
                status.identity = Identification(checks: device.identity, on: connection.channel).state
                status.discovery = Self.discovery(of: device)
            }
            polled.append(made)
        }
        let poller = Poller(
            connection: connection, devices: polled, bus: Buses.make(connection, loop: loops.next(), clock: clock),
            journal: journal, clock: clock, board: board, tap: tap, found: found.continuation,
            phase: phase.truncatingRemainder(dividingBy: 1))
        connections[connection.name] = RunningConnection(
            poller: poller, task: Task { await poller.run() }, devices: devices)
        logger.notice(
            "connection started", metadata: ["connection": "\(connection.name)", "endpoint": "\(connection.endpoint)"])
    }

    private static func discovery(of device: Device) -> Discovery.State {
        guard let sunSpec = device.sunSpec else { return .none }
        return device.chain.map { .found($0, missing: sunSpec.missing(in: $0)) } ?? .pending
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

    /// A desk whose site file changed is made anew from its ledger, by the rule that holds after a crash.
    private func applyCommands(of site: Site, _ keys: [String: IssuerKey]) async throws {
        let isNeeded = CommandCenter.isNeeded(by: site)
        if let running = commands {
            let isSame = running.center.site == ControlSite(site) && running.keys == keys
            if isNeeded, isSame, running.publishers == site.publishers { return }
            await stopCommands()
        }
        guard isNeeded else { return }
        let ledger = self.ledger ?? ReopeningLedger(folder: site.gateway.stateFolder, clock: clock)
        self.ledger = ledger
        let center = try CommandCenter(
            site: site, keys: keys, ledger: ledger, assembly: self, clock: clock, logger: logger)
        tap.watch(center.site.watchedPoints) { await center.room.submit(.readings($0)) }
        commands = RunningCommands(
            center: center, keys: keys, publishers: site.publishers, task: Task { await center.run() })
        logger.notice(
            "commands are taken",
            metadata: [
                "policies": "\(site.commands.policies.count)", "issuers": "\(site.commands.issuers.count)",
                "read_only": "\(site.commands.isReadOnly)",
            ])
    }

    private func stopCommands() async {
        guard let running = commands else { return }
        commands = nil
        tap.watch([], nil)
        await running.center.close()
        running.task.cancel()
        await running.task.value
    }

    /// Takes back what is leased while devices are still polled, then lets go of the ledger.
    private func endCommands() async {
        if let center = commands?.center, !(await center.drain()) {
            logger.error("not every commanded point is back at its fallback; see headgate audit export")
        }
        await stopCommands()
        await ledger?.close()
        ledger = nil
    }

    // MARK: - Stopping

    /// Stops polling, commits, gives publishers a moment for the last rows, says goodbye.
    func stop() async {
        isStopping = true
        await endCommands()
        for name in connections.keys { await stopConnection(name) }
        await journal.flush()
        await drainPublishers()
        let farewell = await status(.stopping).message
        for name in publishers.keys { await stopPublisher(name, farewell: farewell) }
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

    // MARK: - Asking

    /// Every device of the site, see ``DevicesDocument``.
    func devicesDocument() -> JSONValue {
        guard let site else { return .compact([("devices", .array([]))]) }
        return DevicesDocument(site: site, board: board.all, now: clock.utc).value
    }

    /// What a broker is told whenever a session stands: the state, then every device.
    private func greeting() async -> [Announcement] {
        guard let site else { return [] }
        let status = await status(.online).message
        let gateway = site.gateway.id
        let documents = site.devices.map { device -> Announcement in
            { DeviceDocument(device).message(gateway: gateway) }
        }
        return [{ status }] + documents
    }

    func publishStatus() async {
        let message = await status(.online).message
        for running in publishers.values { await running.publisher.say(message) }
    }

    /// The state of everything at this moment.
    func status(_ state: StatusDocument.State) async -> StatusDocument {
        var document = document(state, isWill: false)
        document.devices = board.all
        document.journal = await journal.figures
        for (name, running) in publishers {
            var figures = await running.publisher.figures
            figures.drainSeconds = rates.drainSeconds(name)
            document.publishers[name] = figures
        }
        return document
    }

    private func document(_ state: StatusDocument.State, isWill: Bool) -> StatusDocument {
        StatusDocument(
            gateway: site?.gateway.id ?? "", state: state, epoch: journal.epoch, version: headgateVersion,
            time: isWill ? nil : clock.utc)
    }

    /// Notes the counters of this moment; called once a second.
    func sample(_ status: StatusDocument) {
        guard let journal = status.journal else { return }
        let writes = try? String(contentsOfFile: "/proc/self/io", encoding: .utf8)
        rates.add(
            Rates.Sample(
                uptime: clock.uptime, readings: journal.readings, rows: journal.next, commits: journal.commits,
                syncs: journal.syncs, bytesWritten: writes.flatMap(DiskWrites.byteCount),
                pending: status.publishers.mapValues(\.pending)))
    }

    /// What the buffer does, as ``JournalReport/Live`` reads it.
    func journalDocument() async -> [UInt8] {
        let status = await status(.online)
        var json = JSONWriter()
        json.object { json in
            json.member("window_s") { $0.number(rates.seconds) }
            json.optional("readings_per_s", rates.perSecond(\.readings)) { $0.number($1) }
            json.optional("rows_per_s", rates.perSecond(\.rows)) { $0.number($1) }
            json.optional("commits_per_s", rates.perSecond(\.commits)) { $0.number($1) }
            json.optional("fsyncs_per_s", rates.perSecond(\.syncs)) { $0.number($1) }
            json.optional("bytes_written_per_day", rates.perSecond(\.bytesWritten)) { $0.number($1 * 86_400) }
            json.member("lost_readings") { $0.integer(status.journal?.lostReadings ?? 0) }
            json.member("volatile_rows") { $0.integer(status.journal?.volatileRows ?? 0) }
            json.optional("fault", status.journal?.fault) { $0.string($1) }
            json.member("publishers") {
                $0.object { list in
                    for (name, figures) in status.publishers.sorted(by: { $0.key < $1.key }) {
                        list.member(name) { $0.publisher(figures) }
                    }
                }
            }
        }
        return json.bytes
    }

    /// Gives a publisher rows to deliver again.
    ///
    /// - Returns: false when there is no such publisher.
    func replay(_ positions: [ClosedRange<Position>], to name: String) async -> Bool {
        guard let running = publishers[name] else { return false }
        for range in positions { await running.publisher.replay(range) }
        return true
    }

    var publisherNames: [String] { publishers.keys.sorted() }

    /// Writes a point through its connection and confirms it, see ``Poller/write(_:point:value:)``.
    func write(_ device: String, point: String, value: PointValue) async -> WriteOutcome {
        guard let poller = poller(of: device) else { return .notSent("no device '\(device)' is polled") }
        return await poller.write(device, point: point, value: value)
    }

    /// Reads where writes of a point are confirmed, see ``Poller/readBack(_:point:)``.
    func readBack(_ device: String, point: String) async -> ReadBack {
        guard let poller = poller(of: device) else { return .unreachable("no device '\(device)' is polled") }
        return await poller.readBack(device, point: point)
    }

    private func poller(of device: String) -> Poller? {
        connections.values.first { $0.devices.contains { $0.id == device } }?.poller
    }

    /// Reads a device now, through its connection; nil when there is no such device.
    func readNow(_ device: String) async -> [(point: Point, value: PointValue, reasons: QualityReasons)]? {
        await poller(of: device)?.readNow(device)
    }
}

extension JSONWriter {
    fileprivate mutating func publisher(_ figures: PublisherFigures) {
        object { json in
            json.member("state") { $0.string(figures.state.rawValue) }
            json.optional("trouble", figures.trouble) { $0.string($1) }
            json.member("pending") { $0.integer(figures.pending) }
            json.member("set_aside") { $0.integer(figures.setAside) }
            json.member("oldest_seq") { $0.integer(figures.oldest) }
            json.optional("drain_s", figures.drainSeconds) { $0.number($1) }
        }
    }
}
