import Engine
import Files
import Logging
import Model
import Payloads

/// Logs what changed, once for each change: devices, brokers, the disk and its room. The engine decides, this only tells.
struct Watch {
    let assembly: Assembly
    /// The state folder.
    let folder: String
    let clock: any Timekeeper
    let logger: Logger

    func run() async {
        var devices: [String: DeviceState] = [:]
        var identities: [String: Identification.State] = [:]
        var discoveries: [String: Discovery.State] = [:]
        var brokers: [String: String?] = [:]
        var learned: [String: LearnedAddresses] = [:]
        var fault: String?
        var disk = DiskRoomWatch()
        while !Task.isCancelled {
            try? await clock.sleep(until: clock.uptime + .seconds(1))
            if disk.isDue(at: clock.uptime), let room = DiskRoom(of: folder) { log(disk.take(room), room) }
            let status = await assembly.status(.online)
            await assembly.sample(status)
            await assembly.keepLearned()
            for (id, device) in status.devices where devices[id] != device.state {
                if device.state != .waiting { log(id, device) }
                devices[id] = device.state
            }
            for (id, device) in status.devices where learned[id] ?? LearnedAddresses() != device.learned {
                log(id, device.learned, before: learned[id] ?? LearnedAddresses())
                learned[id] = device.learned
            }
            for (id, device) in status.devices where identities[id] != device.identity {
                log(id, device.identity, before: identities[id])
                identities[id] = device.identity
            }
            for (id, device) in status.devices where discoveries[id] != device.discovery {
                if case .failed(let reason) = device.discovery {
                    logger.warning(
                        "models of a device are not known", metadata: ["device": "\(id)", "reason": "\(reason)"])
                }
                discoveries[id] = device.discovery
            }
            for (name, figures) in status.publishers where brokers[name] != .some(figures.trouble) {
                log(name, figures)
                brokers[name] = figures.trouble
            }
            if let journal = status.journal, journal.fault != fault {
                if let reason = journal.fault {
                    logger.error("journal does not take rows", metadata: ["reason": "\(reason)"])
                } else {
                    logger.notice("journal takes rows again", metadata: ["lost_readings": "\(journal.lostReadings)"])
                }
                fault = journal.fault
            }
        }
    }

    /// Reading goes on where the disk is full; commands do not, since the ledger cannot be written.
    private func log(_ news: DiskRoomWatch.News?, _ room: DiskRoom) {
        let metadata: Logger.Metadata = [
            "folder": "\(folder)", "free_mib": "\(room.free >> 20)", "of_mib": "\(room.total >> 20)",
        ]
        switch news {
        case nil: break
        case .low: logger.warning("little room on the disk of the state folder", metadata: metadata)
        case .enough: logger.notice("room on the disk of the state folder again", metadata: metadata)
        }
    }

    private func log(_ id: String, _ device: DeviceStatus) {
        var metadata: Logger.Metadata = [
            "device": "\(id)", "state": "\(device.state)", "trouble": "\(device.trouble ?? "none")",
        ]
        if let fault = device.faultOfTrouble { metadata["fault"] = "\(fault.words)" }
        logger.log(level: device.state == .online ? .notice : .warning, "device state changed", metadata: metadata)
    }

    /// What a device turned out not to give: a person may correct the profile (`headgate devices --refused`).
    private func log(_ id: String, _ learned: LearnedAddresses, before: LearnedAddresses) {
        let new = learned.refused.filter { !before.refused.contains($0) }
        if !new.isEmpty {
            let spans = new.map(\.description).joined(separator: ", ")
            logger.warning("device refuses addresses", metadata: ["device": "\(id)", "refused": "\(spans)"])
        }
        let hasNewLimit =
            learned.registerLimit.map { $0 != before.registerLimit } ?? false
            || learned.bitLimit.map { $0 != before.bitLimit } ?? false
        if hasNewLimit {
            let metadata: Logger.Metadata = [
                "device": "\(id)", "registers": "\(learned.registerLimit.map(String.init) ?? "as in the profile")",
                "bits": "\(learned.bitLimit.map(String.init) ?? "as in the profile")",
            ]
            logger.warning("device gives less by one request than its profile says", metadata: metadata)
        }
    }

    private func log(_ id: String, _ identity: Identification.State, before: Identification.State?) {
        switch identity {
        case .exempt, .pending: break
        case .confirmed:
            guard let before, before != .pending else { return }
            logger.notice("device identified again", metadata: ["device": "\(id)"])
        case .wrong(let expected, let found):
            logger.error(
                "wrong device", metadata: ["device": "\(id)", "expected": "\(expected)", "found": "\(found)"])
        case .unverified(let reason):
            logger.warning("device cannot be identified", metadata: ["device": "\(id)", "reason": "\(reason)"])
        }
    }

    private func log(_ name: String, _ figures: PublisherFigures) {
        if let trouble = figures.trouble {
            logger.warning("publisher in trouble", metadata: ["publisher": "\(name)", "reason": "\(trouble)"])
        } else {
            logger.notice("publisher connected", metadata: ["publisher": "\(name)"])
        }
    }
}
