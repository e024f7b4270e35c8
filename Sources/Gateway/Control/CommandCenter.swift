import Audit
import Engine
import Foundation
import Logging
import Model
import Payloads

/// Governed commands of one site file: the desk, its ledger, the brokers' connections, the lockout file.
final class CommandCenter: Sendable {
    let room: ControlRoom
    let hub: CommandHub
    let site: ControlSite
    let metrics: MetricsBook
    /// One a broker, for what goes out, decisions and orders.
    private let connections: [CommandConnection]
    /// One a broker, for requests; none where nothing is taken.
    private let requests: [CommandConnection]
    private let ledger: ReopeningLedger
    private let signer: NoteSigner
    private let lockoutPath: String
    /// Whether anything can be commanded; without it what an earlier site file left open is ended, and nothing is taken.
    private let isTaking: Bool
    /// Watchdogs that profiles declare: device and `device/point`.
    private let declared: [(device: String, point: String)]
    private let clock: any Timekeeper
    private let logger: Logger

    /// File in the state folder that locks the site while it is there.
    static let lockoutFileName = "lockout"
    private static let lockoutInterval = Duration.milliseconds(250)
    private static let checkpointInterval = Duration.seconds(60)
    private static let metricsInterval = Duration.seconds(15)
    /// How long a change of the site file waits for writes that are out.
    private static let restTime = Duration.seconds(3)
    /// How long a stop waits for points to come back to their fallback.
    private static let drainTime = Duration.seconds(10)

    /// Whether a site file asks for commands at all.
    static func isNeeded(by site: Site) -> Bool {
        !site.commands.policies.isEmpty || !site.commands.issuers.isEmpty
    }

    /// - Throws: ``KeyProblem`` where the key of the audit cannot be read, and where a broker's connection cannot be set up.
    init(
        site: Site, keys: [String: IssuerKey], ledger: ReopeningLedger, assembly: Assembly, clock: any Timekeeper,
        logger: Logger
    ) throws {
        let folder = site.gateway.stateFolder
        self.site = ControlSite(site)
        self.ledger = ledger
        self.clock = clock
        self.logger = logger
        metrics = MetricsBook(folder: folder, clock: clock)
        declared = site.devices.compactMap { device in
            device.watchdog.map { (device.id, "\(device.id)/\($0.point)") }
        }
        lockoutPath = folder + "/" + Self.lockoutFileName
        signer = try AuditKey.open(folder: folder, gateway: site.gateway.id)
        let inbound = InboundCommands(
            gateway: site.gateway.id, keys: keys, skew: site.commands.skew, publishers: site.publishers,
            takingPlain: Set(self.site.points.covered.filter { $0.policy?.allowsUnsigned == true }.map(\.id)))
        hub = CommandHub(gateway: site.gateway.id, inbound: inbound, clock: clock, logger: logger)
        isTaking = Self.isNeeded(by: site)
        let topics = CommandTopics(gateway: site.gateway.id)
        let governing = isTaking ? topics.governing : []
        connections = try site.publishers.map {
            try CommandConnection($0.name, $0.forSite, subscriptions: governing, clock: clock)
        }
        requests = try (isTaking ? site.publishers : []).map {
            try CommandConnection($0.name, $0.forCommands, subscriptions: topics.requests, clock: clock)
        }
        room = ControlRoom(
            site: self.site, ledger: ledger, writer: BusWriter(assembly: assembly), uplink: hub,
            outcomes: JournalOutcomes(folder: folder, site: site), clock: clock)
    }

    /// What proves the messages of each issuer.
    ///
    /// - Throws: ``KeyProblem`` where a key cannot be read, or proves two names: whoever has it would be two persons.
    static func keys(_ issuers: [Issuer]) throws -> [String: IssuerKey] {
        var keys: [String: IssuerKey] = [:]
        for issuer in issuers {
            let key: IssuerKey
            switch issuer.key {
            case .ed25519(let bytes): key = try IssuerKey(publicKey: bytes)
            case .hmacFile(let path): key = try KeyFiles.secret(path)
            case .none: continue
            }
            if let other = keys.first(where: { $0.value.isSame(as: key) })?.key {
                throw KeyProblem("\(other) and \(issuer.name) have the same key; each issuer needs its own")
            }
            keys[issuer.name] = key
        }
        return keys
    }

    // MARK: - Running

    /// Runs until the task is cancelled.
    func run() async {
        await hub.attach(room, connections)
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.room.run() }
            // A lockout counts before anything is taken from outside.
            await keepLockout()
            group.addTask { await self.watchLockoutFile() }
            group.addTask { await self.signCheckpoints() }
            group.addTask { await self.watchFault() }
            group.addTask { await self.watchAlarms() }
            group.addTask { await self.followMetrics() }
            group.addTask { await self.watchBrokers() }
            for connection in connections {
                group.addTask {
                    await connection.followSession {
                        await self.hub.session(of: connection, isConnected: $0, silence: $1)
                    }
                }
                group.addTask { await connection.followMessages { await self.hub.take($0, from: connection) } }
            }
            for connection in requests {
                // Whether a broker is there is judged by the session that carries the answers.
                group.addTask { await connection.followSession { _, _ in } }
                group.addTask { await connection.followMessages { await self.hub.take($0, from: connection) } }
            }
            await group.waitForAll()
        }
    }

    /// What the retained status tells of commands.
    var summary: JSONValue {
        get async {
            let watchdogs = await self.watchdogs
            return .compact([
                ("metrics", await metrics.summary),
                ("watchdogs", watchdogs.isEmpty ? .null : .object(watchdogs.map { .init($0.device, $0.status) })),
            ])
        }
    }

    /// How each watchdog that a profile declares is fed, by device.
    private var watchdogs: [(device: String, status: JSONValue)] {
        get async {
            let known = await room.watchdogs
            return declared.map { device, point in
                if let watchdog = known?.first(where: { $0.plan.point == point }) { return (device, watchdog.status) }
                let isMeant = site.watchdogs.contains { $0.point == point }
                return (
                    device,
                    .compact([
                        ("point", .string(point)), ("state", .string(isMeant ? "stopped" : "not_fed")),
                        ("reason", .string(isMeant ? "the ledger cannot be written" : "no policy feeds it")),
                    ])
                )
            }
        }
    }

    /// Takes back what is leased, and tells whether all of it is back; ``run()`` must go on until then.
    ///
    /// - Parameter points: nil for all, before the gateway stops.
    func drain(_ points: Set<String>? = nil) async -> Bool {
        await room.drain(points, within: Self.drainTime)
    }

    /// Lets what is being written come to its end, before connections or the desk are made anew.
    func rest() async {
        await room.rest(within: Self.restTime)
    }

    /// Goes on after ``rest()``, where the desk outlives the change.
    func resume() async {
        await room.resume()
    }

    var status: CommandsStatus {
        get async {
            let fault = await room.fault.map { "\($0)" }
            let state: CommandsStatus.State = fault != nil ? .refused : isTaking ? .taken : .ending
            var status = CommandsStatus(
                state: state, fault: fault, unrecorded: await room.unrecordedCount, alarms: await room.alarms)
            status.brokers = brokers
            return status
        }
    }

    /// By the name of the publisher: all sessions with its broker as one.
    private var brokers: [String: CommandBroker] {
        Dictionary((connections + requests).map { ($0.name, $0.state) }) { $0.merging($1) }
    }

    /// The last checkpoint, then goodbye.
    func close() async {
        let lost = await room.unrecordedCount
        if lost > 0 {
            logger.error("audit entries are lost: the ledger did not come back", metadata: ["entries": "\(lost)"])
        }
        if let note = try? await ledger.checkpoint(signedBy: signer) { await hub.publish(checkpoint: note.bytes) }
        for connection in requests + connections { await connection.close() }
    }

    /// To be called when ``run()`` has returned: whoever still waits for the desk waits in vain.
    func dismiss() async {
        await hub.close()
    }

    // MARK: - Tasks

    private func watchLockoutFile() async {
        while !Task.isCancelled {
            do { try await clock.sleep(until: clock.uptime + Self.lockoutInterval) } catch { return }
            await keepLockout()
        }
    }

    /// Makes the desk say what the file says.
    private func keepLockout() async {
        let isThere = FileManager.default.fileExists(atPath: lockoutPath)
        let entry = await room.view?.lockouts.first { $0.scope == .site }
        let isOurs = entry?.by == Sender.lockoutFile.name
        let isAway = await room.fault != nil
        // Without a ledger a lockout is followed and confirmed later; nothing is let go.
        guard isThere ? entry == nil : isOurs && !isAway else { return }
        let refusal = await hub.ask { token in
            .order(
                IncomingOrder(
                    .lockout(.site, isOn: isThere), reason: "the file \(lockoutPath)", sender: .lockoutFile,
                    token: token))
        }
        let isFollowed = await room.view?.lockouts.contains { $0.scope == .site } ?? false
        if let refusal, !(isThere && isFollowed) {
            logger.error(
                "lockout file not obeyed", metadata: ["path": "\(lockoutPath)", "reason": "\(refusal.message)"])
        } else {
            logger.warning("lockout by file", metadata: ["path": "\(lockoutPath)", "on": "\(isThere)"])
        }
    }

    private func signCheckpoints() async {
        var last: SignedNote?
        while !Task.isCancelled {
            if let note = try? await ledger.checkpoint(signedBy: signer), note != last {
                last = note
                await hub.publish(checkpoint: note.bytes)
            }
            do { try await clock.sleep(until: clock.uptime + Self.checkpointInterval) } catch { return }
        }
    }

    /// Keeps the figures of the retained status fresh.
    private func followMetrics() async {
        while !Task.isCancelled {
            await metrics.refresh()
            do { try await clock.sleep(until: clock.uptime + Self.metricsInterval) } catch { return }
        }
    }

    /// Tells once of each point that could not be taken back, and once when it is.
    private func watchAlarms() async {
        var told: [CommandAlarm] = []
        while !Task.isCancelled {
            let alarms = await room.alarms
            for alarm in alarms where !told.contains(alarm) {
                logger.error(
                    "a point is not at its fallback",
                    metadata: [
                        "point": "\(alarm.point)",
                        "fallback": "\(String(decoding: JSONValue(alarm.fallback).bytes, as: UTF8.self))",
                        "reason": "\(alarm.reason)",
                        "advice": "\(alarm.advice)",
                    ])
            }
            for alarm in told where !alarms.contains(where: { $0.point == alarm.point }) {
                logger.notice("the point is no longer an alarm", metadata: ["point": "\(alarm.point)"])
            }
            told = alarms
            do { try await clock.sleep(until: clock.uptime + .milliseconds(500)) } catch { return }
        }
    }

    /// Tries again what brokers refused, and logs once what each of them refuses.
    private func watchBrokers() async {
        var told: [String: String] = [:]
        while !Task.isCancelled {
            for connection in connections { connection.retry() }
            for (name, broker) in brokers {
                let trouble = broker.trouble
                guard told[name] != trouble else { continue }
                let publisher = Logger.MetadataValue("\(name)")
                if let trouble {
                    logger.warning(
                        "command session in trouble", metadata: ["publisher": publisher, "reason": "\(trouble)"])
                } else {
                    logger.notice("command session connected", metadata: ["publisher": publisher])
                }
                told[name] = trouble
            }
            do { try await clock.sleep(until: clock.uptime + .seconds(1)) } catch { return }
        }
    }

    /// Tells once when nothing can be commanded, and once when it can again.
    private func watchFault() async {
        var told: LedgerError?
        while !Task.isCancelled {
            let fault = await room.fault
            if fault != told {
                if let fault {
                    logger.error("nothing is commanded: the ledger cannot be written", metadata: ["reason": "\(fault)"])
                } else {
                    logger.notice("ledger takes entries again")
                }
                told = fault
            }
            do { try await clock.sleep(until: clock.uptime + .seconds(1)) } catch { return }
        }
    }
}

extension Watchdog {
    /// A watchdog in `status/1`.
    fileprivate var status: JSONValue {
        .compact([
            ("point", .string(plan.point)), ("state", .string(state.name)), ("since", .time(since)),
            ("reason", .optional(state.reason)), ("beats", .integer(beats)),
        ])
    }
}
