import Model

/// What persons say afterwards: that they have looked after a point, and why they changed one at the device.
extension CommandDesk {
    // MARK: - A point that the gateway cannot take back

    func objectionToAcknowledging(_ point: String) -> DeskRefusal? {
        guard let restoration = points[point]?.restoration, restoration.isAlarm else {
            return DeskRefusal(code: .unknownPoint, message: "there is no alarm at \(point)")
        }
        guard isOutOfReach(point) else {
            return DeskRefusal(
                code: .deviceUnhealthy,
                message: "the gateway goes on trying to take \(point) back; set it, and the alarm ends by itself")
        }
        return nil
    }

    /// Whether only a person at the device can take the point to its fallback.
    private func isOutOfReach(_ point: String) -> Bool {
        guard let known = site.points[point] else { return true }
        return known.point.write == nil || site.settings.isReadOnly || points[point]?.restoration?.home == .null
    }

    mutating func acknowledge(_ point: String, _ order: IncomingOrder) {
        guard let restoration = points[point]?.restoration else { return }
        leaf(
            "acknowledged",
            [
                ("point", .string(point)), ("id", .string(restoration.tag.command.description)),
                ("value", JSONValue(restoration.home)), ("by", .string(order.sender.name)), order.sender.accountMember,
                ("reason", .optional(order.reason)),
            ])
        endRestoration(point, note: "acknowledged by \(order.sender.name)")
    }

    // MARK: - A change at the device

    func objectionToExplaining(_ id: CommandID) -> DeskRefusal? {
        if overriddenPoint(id) != nil { return nil }
        return DeskRefusal(
            code: .expired, message: "\(id) is no command whose value was changed at the device, or it is too long ago")
    }

    /// The point of a command that was overridden at the device, while that is known.
    private func overriddenPoint(_ id: CommandID) -> String? {
        if let point = points.first(where: { $0.value.overridden == id })?.key { return point }
        if let plan = outcomes[id], plan.intervention?.kind == .overridden { return plan.command.point }
        return finished[id].flatMap { $0.state == .overridden ? $0.point : nil }
    }

    /// Goes into the outcome if that is still to come, to the world as one more event, and into the audit for the export.
    mutating func explain(_ id: CommandID, by sender: Sender, reason: HumanReason?, note: String?) {
        guard let point = overriddenPoint(id) else { return }
        if outcomes[id]?.intervention?.kind == .overridden {
            outcomes[id]?.intervention?.reason = reason
            outcomes[id]?.intervention?.note = note
            if let plan = outcomes[id] { output.record(plan.record) }
        }
        seq += 1
        let event = CommandEvent(
            id: id, point: point, state: .overridden, time: now.utc, actor: sender.name, note: note, reason: reason,
            seq: seq)
        output.messages.append(.event(event))
        leaf(
            "explained",
            [
                ("event", event.document), ("by", .string(sender.name)), sender.accountMember,
                ("reason", .optional(reason?.rawValue)), ("note", .optional(note)),
            ])
    }
}
