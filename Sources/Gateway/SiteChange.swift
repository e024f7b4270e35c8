import Engine
package import Model

/// What a changed site file means for a running gateway: only what changed is restarted.
package struct SiteChange: Hashable, Sendable {
    /// Connections to stop, by name: gone, or they or one of their devices changed.
    package var connectionsToStop: [String]
    package var connectionsToStart: [Connection]
    package var publishersToStop: [String]
    package var publishersToStart: [PublisherSettings]
    /// Devices whose descriptors must be published anew.
    package var changedDevices: [Device]
    /// Devices that are gone.
    package var removedDevices: [String]

    /// Why the new file cannot be applied to a running gateway, in words; nil when it can.
    package static func obstacle(from old: Site, to new: Site) -> String? {
        if old.gateway.id != new.gateway.id { return "gateway.id changed; restart the gateway to apply it" }
        if old.gateway.stateFolder != new.gateway.stateFolder {
            return "gateway.state changed; restart the gateway to apply it"
        }
        if old.buffer != new.buffer { return "buffer changed; restart the gateway to apply it" }
        return nil
    }

    package init(from old: Site?, to new: Site) {
        let oldPublishers = old?.publishers ?? []
        connectionsToStop = (old?.connections ?? []).filter { !Self.isUnchanged($0, old, new) }.map(\.name)
        connectionsToStart = new.connections.filter { !Self.isUnchanged($0, old, new) }
        publishersToStop = oldPublishers.filter { !new.publishers.contains($0) }.map(\.name)
        publishersToStart = new.publishers.filter { !oldPublishers.contains($0) }
        changedDevices = new.devices.filter { !(old?.devices.contains($0) ?? false) }
        let remaining = Set(new.devices.map(\.id))
        removedDevices = (old?.devices ?? []).map(\.id).filter { !remaining.contains($0) }
    }

    /// Points that are taken back before the new file is applied: those that nobody can command any more, and those that will
    /// be somewhere else, also when their names stay.
    package static func withdrawnPoints(from old: Site, to new: Site) -> Set<String> {
        let kept = PointPlace.kept(from: old, to: new)
        let isFrozen = new.commands.isReadOnly && !old.commands.isReadOnly
        let covered = Set(ControlSite(new).points.covered.map(\.id))
        let commanded = ControlSite(old).points.covered.map(\.id)
        return Set(commanded.filter { isFrozen || !covered.contains($0) || !kept.contains($0) })
    }

    private static func isUnchanged(_ connection: Connection, _ old: Site?, _ new: Site) -> Bool {
        guard let old, old.connections.contains(connection), new.connections.contains(connection) else { return false }
        return old.devices(on: connection) == new.devices(on: connection)
    }
}

extension Site {
    /// The devices of one connection, in the order of the file.
    package func devices(on connection: Connection) -> [Device] {
        devices.filter { $0.connection == connection.name }
    }
}
