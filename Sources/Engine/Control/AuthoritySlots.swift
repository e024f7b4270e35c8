package import Model

/// Who holds one point. The effective value is that of the highest occupied slot.
package struct AuthoritySlots: Hashable, Sendable {
    package struct Occupant: Hashable, Sendable {
        /// Nil for somebody at the device itself.
        package var command: CommandID?
        package var holder: String
        package var value: PointValue
        /// When the slot empties itself; nil for never.
        package var until: Deadline?

        package init(command: CommandID?, holder: String, value: PointValue, until: Deadline? = nil) {
            self.command = command
            self.holder = holder
            self.value = value
            self.until = until
        }
    }

    private var occupants: [AuthoritySlot: Occupant] = [:]

    package init() {}

    package subscript(slot: AuthoritySlot) -> Occupant? { occupants[slot] }

    /// The occupied slots, highest first.
    package var occupied: [(slot: AuthoritySlot, occupant: Occupant)] {
        occupants.sorted { $0.key < $1.key }.map { (slot: $0.key, occupant: $0.value) }
    }

    package var isEmpty: Bool { occupants.isEmpty }

    package var highest: (slot: AuthoritySlot, occupant: Occupant)? { occupied.first }

    /// Whoever is above `slot`.
    package func above(_ slot: AuthoritySlot) -> Occupant? {
        occupied.first { $0.slot < slot }?.occupant
    }

    /// The highest that is below `slot`.
    package func below(_ slot: AuthoritySlot) -> Occupant? {
        occupied.first { $0.slot > slot }?.occupant
    }

    package mutating func take(_ slot: AuthoritySlot, _ occupant: Occupant) {
        occupants[slot] = occupant
    }

    package mutating func empty(_ slot: AuthoritySlot) {
        occupants[slot] = nil
    }

    package mutating func empty(_ command: CommandID) {
        occupants = occupants.filter { $0.value.command != command }
    }

    /// Gives a lease a new end.
    package mutating func renew(_ command: CommandID, until: Deadline?) {
        for (slot, occupant) in occupants where occupant.command == command {
            occupants[slot]?.until = until ?? occupant.until
        }
    }
}
