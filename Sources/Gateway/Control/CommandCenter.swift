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
    private let connections: [CommandConnection]
    private let ledger: ReopeningLedger
    private let signer: NoteSigner
    private let lockoutPath: String
    /// Whether anything can be commanded; without it what an earlier site file left open is ended, and nothing is taken.
    private let isTaking: Bool
    private let clock: any Timekeeper
    private let logger: Logger

    /// File in the state folder that locks the site while it is there.
    static let lockoutFileName = "lockout"
    private static let lockoutInterval = Duration.milliseconds(250)
    private static let checkpointInterval = Duration.seconds(60)
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
        lockoutPath = folder + "/" + Self.lockoutFileName
        signer = try AuditKey.open(folder: folder, gateway: site.gateway.id)
        let inbound = InboundCommands(
            gateway: site.gateway.id, keys: keys, skew: site.commands.skew)
        hub = CommandHub(gateway: site.gateway.id, inbound: inbound, clock: clock, logger: logger)
        isTaking = Self.isNeeded(by: site)
        let subscriptions = isTaking ? CommandTopics(gateway: site.gateway.id).subscriptions : []
        connections = try site.publishers.map { try CommandConnection($0, subscriptions: subscriptions) }
        room = ControlRoom(
            site: self.site, ledger: ledger, writer: BusWriter(assembly: assembly), uplink: hub,
            outcomes: JournalOutcomes(folder: folder, site: site), clock: clock)
    }

    /// What proves the messages of each issuer.
    ///
    /// - Throws: ``KeyProblem`` where a key cannot be read.
    static func keys(_ issuers: [Issuer]) throws -> [String: IssuerKey] {
        var keys: [String: IssuerKey] = [:]
        for issuer in issuers {
            switch issuer.key {
            case .ed25519(let bytes): keys[issuer.name] = try IssuerKey(publicKey: bytes)
            case .hmacFile(let path): keys[issuer.name] = try KeyFiles.secret(path)
            case .none: continue
            }
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
            for connection in connections {
                group.addTask {
                    await connection.followSession { await self.hub.session(of: connection, isConnected: $0) }
                }
                group.addTask { await connection.followMessages { await self.hub.take($0, from: connection) } }
            }
            await group.waitForAll()
        }
    }

    /// Takes back what is leased, and tells whether all of it is back; ``run()`` must go on until then.
    ///
    /// - Parameter points: nil for all, before the gateway stops.
    func drain(_ points: Set<String>? = nil) async -> Bool {
        await room.drain(points, within: Self.drainTime)
    }

    var status: CommandsStatus {
        get async {
            let fault = await room.fault.map { "\($0)" }
            let state: CommandsStatus.State = fault != nil ? .refused : isTaking ? .taken : .ending
            return CommandsStatus(
                state: state, fault: fault, unrecorded: await room.unrecordedCount, alarms: await room.alarms)
        }
    }

    /// The last checkpoint, then goodbye.
    func close() async {
        let lost = await room.unrecordedCount
        if lost > 0 {
            logger.error("audit entries are lost: the ledger did not come back", metadata: ["entries": "\(lost)"])
        }
        if let note = try? await ledger.checkpoint(signedBy: signer) { await hub.publish(checkpoint: note.bytes) }
        for connection in connections { await connection.close() }
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
